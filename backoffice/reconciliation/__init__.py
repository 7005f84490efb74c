"""Reconciliation: a figure's stored rows beside their expected values, on screen, as files, and stored every night."""
