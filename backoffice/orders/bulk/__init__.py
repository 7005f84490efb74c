"""Changing many orders at once: the account manager, the closing date."""
