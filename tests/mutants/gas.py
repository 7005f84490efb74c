"""Careless changes of locked days, as gas uses them."""

from .mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "gas-row-of-the-last-locked-day-is-changed-away",
        "backoffice/book/locks.py",
        "OLD.{day} <= last OR",
        "OLD.{day} < last OR",
        ("tests/gas/test_locked_days.py::test_the_last_locked_day_is_locked_as_those_before_it",),
    ),
)
