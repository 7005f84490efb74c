"""Verifying figures: chunks of a run, what a page looks at, and what is no figure."""
