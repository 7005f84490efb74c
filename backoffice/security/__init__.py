"""Permissions, and authentication of users and programs."""
