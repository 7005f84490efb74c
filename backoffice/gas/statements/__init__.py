"""A customer's statement of deposits and purchases by month, and the details of one month."""
