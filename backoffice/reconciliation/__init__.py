"""Reconciliation: a figure's stored rows beside their expected values, as a screen, as files, and kept every night."""
