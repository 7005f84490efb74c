"""Meters, and the customers to whom they are assigned."""
