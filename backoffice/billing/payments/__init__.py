"""Payments: receipts, their parts, and the documents that they pay."""
