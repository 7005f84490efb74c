"""Statements of customers and of meters."""
