"""Invoices: entered, changed, voided, moved to another meter."""
