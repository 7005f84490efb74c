"""Writes of other programs: detected and followed."""
