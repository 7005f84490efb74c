"""What PostgreSQL keeps of billing, whoever writes."""

from ..customers.triggers import follows_merged, stamps_balance
from ..figures.guards import declare

OF_CUSTOMERS = ("meter_assignments", "invoices", "payments", "meter_adjustments")

declare(stamps_balance("meters"), *map(follows_merged, OF_CUSTOMERS))
