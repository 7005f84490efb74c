"""The database triggers of billing."""

from ..customers.triggers import follows_merged, stamps_balance

OF_CUSTOMERS = ("meter_assignments", "invoices", "payments", "meter_adjustments")

TRIGGERS = (stamps_balance("meters"), *map(follows_merged, OF_CUSTOMERS))
