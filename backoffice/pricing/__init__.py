"""The effect of a new price on open orders, and applying it."""
