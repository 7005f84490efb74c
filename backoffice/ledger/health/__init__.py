"""Balance health: whether the balance sheet is valid, what speaks against it, and the heal of what is safe to heal."""
