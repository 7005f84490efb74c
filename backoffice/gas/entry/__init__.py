"""The grid for entering readings of many customers at once."""
