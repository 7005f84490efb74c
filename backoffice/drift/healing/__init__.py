"""Correction of figures: heals, dry runs and their application."""
