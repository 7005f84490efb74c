"""Keeping figures right at every commit: notes, locks, recomputes, and triggers for other programs."""
