"""Recalculating customers from the documents of their meters."""
