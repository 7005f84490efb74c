"""Adjustments of closed months that differ from their facts: accepted, and reversed on an open day."""
