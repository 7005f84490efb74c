"""The search of the top bar: what each domain finds, and its screen."""
