"""Who changed what: an append-only trail that the database's own triggers write."""

from .triggers import out_of_date, record_repairs, sync

__all__ = ["out_of_date", "record_repairs", "sync"]
