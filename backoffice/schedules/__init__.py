"""Schedules: what is done by itself, when it is due, and the loop that asks for it."""
