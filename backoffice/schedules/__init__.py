"""Schedules: periodic work, its due times, and the loop that requests it."""
