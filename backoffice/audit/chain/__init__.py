"""The chain upon the trail: sealed, written down elsewhere, verified."""
