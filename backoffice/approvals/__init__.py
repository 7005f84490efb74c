"""Verbs that two people look at: what one would do is shown first, and above the limits another user approves it."""
