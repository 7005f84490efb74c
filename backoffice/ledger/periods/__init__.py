"""Closed periods: months of which nothing dated changes any more, in the ledger and in the whole book."""
