"""New prices of gas: what one changes before it is saved, of a customer or of many, and applying it."""
