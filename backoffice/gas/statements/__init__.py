"""What a customer's deposit came to month by month, and what was drawn in one of them."""
