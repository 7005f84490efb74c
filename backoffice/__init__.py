"""Backoffice: the office app in which every stored total explains itself, proves itself and heals itself."""

from .app import create_app

__all__ = ["create_app"]
