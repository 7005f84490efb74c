"""The next number of a year: PAY-2026-00001, PAY-2026-00002, …, whatever else is in the column."""

from typing import Any

from sqlalchemy import func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import InstrumentedAttribute, Session

DOUBLINGS = 31
"""Numbers go up to 2 to the power of this."""
STEPS = 64
"""Numbers that one statement looks for, once it is known between which the next one lies."""
SCANNED = 10_000
"""Numbers that one statement looks for where somebody has typed every doubling: then one after the other."""


def next_number(session: Session, column: InstrumentedAttribute[str], head: str) -> str:
    """A text of `head` and a number of five digits or more that `column` does not hold, after one that it does.

    Found by looking for single texts, so that neither the collation nor a million other texts matter.
    Those who ask for the same head wait for each other until their transactions end; so nobody asks
    while holding what another one needs for its number.
    """
    session.execute(select(func.pg_advisory_xact_lock(func.hashtext(head))))
    taken, scanned, looked_for = 0, 0, [2**power for power in range(DOUBLINGS)]
    while True:
        found = _taken(session, column, head, looked_for)
        free = next((number for number in looked_for if number not in found), None)
        if free is None:
            taken, scanned = scanned, scanned + SCANNED
            looked_for = [*range(taken + 1, scanned + 1)]
            continue
        taken = max((n for n in looked_for if n < free), default=taken)
        if free - taken == 1:
            return f"{head}{free:05d}"
        step = max((free - taken) // STEPS, 1)
        looked_for = [*range(taken + step, free, step), free]


def _taken(session: Session, column: Any, head: str, numbers: list[int]) -> set[int]:
    """Which of these numbers the column holds."""
    texts = {f"{head}{number:05d}": number for number in numbers}
    held = session.scalars(
        select(column)
        .where(column == func.any(literal(list(texts), ARRAY(column.type))))
        .distinct()
    )
    return {texts[text] for text in held}
