"""New prices of gas: the preview of what they change, for one customer or many, and applying them."""
