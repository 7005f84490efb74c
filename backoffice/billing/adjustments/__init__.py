"""Corrections of what is owed for a meter."""
