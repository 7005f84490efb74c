"""Closed periods: months in which no dated row changes any more, in the ledger and in every domain."""
