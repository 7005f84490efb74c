"""Right at every commit: notes, locks, recomputing; triggers for whoever writes."""
