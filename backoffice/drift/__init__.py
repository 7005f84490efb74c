"""Drift: what verification found, the runs that verify and heal figures, and the watch over outside programs."""
