"""Explanations: previews, terms, and how a number was calculated."""
