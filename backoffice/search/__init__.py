"""The search of the top bar: the results of each domain, and the screen."""
