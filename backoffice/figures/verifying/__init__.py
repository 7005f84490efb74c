"""Drift with its roots, healing, and the proof that a declaration is consistent."""
