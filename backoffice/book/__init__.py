"""The book's meaning: the currency and the business time zone in which it is kept, stored in the database.

Every process compares its own settings with it on every new database connection, so that no process
(web, worker, scheduler, command) reads or heals a book with a different currency or time zone.
"""

from .meaning import (
    APPLICATION,
    Meaning,
    MeaningDiffers,
    check_at_start,
    difference_in,
    of_this_process,
    refuse_other_books,
)
from .models import Book

__all__ = [
    "APPLICATION",
    "Book",
    "Meaning",
    "MeaningDiffers",
    "check_at_start",
    "difference_in",
    "of_this_process",
    "refuse_other_books",
]
