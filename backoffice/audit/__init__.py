"""Who changed what: an append-only trail that the database's own triggers write."""

from .triggers import out_of_date, sync

__all__ = ["out_of_date", "sync"]
