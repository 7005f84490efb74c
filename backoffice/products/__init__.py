"""Products, and their prices from a date on."""
