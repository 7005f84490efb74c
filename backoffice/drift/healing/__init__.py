"""Correcting figures: heals, dry runs and their application."""
