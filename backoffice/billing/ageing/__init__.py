"""Ageing of receivables."""
