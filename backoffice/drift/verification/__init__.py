"""Verification of figures: chunks of a run, comparisons by pages, and findings that are not of figures."""
