"""Metered gas on deposit: readings, priced by date, drawn from what customers have paid in advance, month by month."""
