"""Adjustments of meters' balances."""
