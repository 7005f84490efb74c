"""Meters and their assignments to customers."""
