"""The book's meaning: the currency and the business time zone in which it is kept, stored in it.

Every process compares its own settings with it wherever a connection to the database begins, so that
no path (web, worker, scheduler, command) reads or heals a book that it understands otherwise.
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
