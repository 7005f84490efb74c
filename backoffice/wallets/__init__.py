"""Prepaid wallets: what customers pay in advance, and what services take from it."""
