"""What a new price changes in open orders, and applying it."""
