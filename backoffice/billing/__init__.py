"""Billing by meter: invoices, payments and adjustments become the balances of meters and customers."""
