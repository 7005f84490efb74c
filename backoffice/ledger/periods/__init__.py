"""Closed periods: months whose dated rows can no longer change, in the ledger and in every domain."""
