"""What stands behind a number: previews, terms, explanations."""
