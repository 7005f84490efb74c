"""Balance health: whether the balance sheet is valid, its open problems, and the heal of what is safe to heal."""
