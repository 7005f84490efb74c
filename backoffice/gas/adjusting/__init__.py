"""Closed months that are stored otherwise than their facts come to: accepted, and taken back on an open day."""
