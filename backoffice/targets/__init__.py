"""Targets of account managers by month, and what they achieved."""
