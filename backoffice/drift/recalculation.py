"""Recalculating a record: each domain says which figures of which owners belong to a record of its own.

`owners_of(session, user, id)` answers figure → owner ids, or None where the user may see no such record.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

Owners = Mapping[str, Sequence[int]]
"""Figure → the ids of its owners."""

OwnersOf = Callable[[Session, Any, int], Owners | None]

_KINDS: dict[str, list[OwnersOf]] = {}


def register(kind: str, owners_of: OwnersOf) -> None:
    """Let records of `kind` be recalculated; several domains may each add their figures of it."""
    _KINDS.setdefault(kind, []).append(owners_of)


def owners_of(session: Session, user: Any, kind: str, record_id: int) -> Owners | None:
    """Everything that belongs to the record; None where `user` may see no such record."""
    found: dict[str, list[int]] = {}
    answers = [ask(session, user, record_id) for ask in _KINDS.get(kind, ())]
    known = [answer for answer in answers if answer is not None]
    for answer in known:
        for figure, owners in answer.items():
            found[figure] = sorted({*found.get(figure, ()), *owners})
    return found if known else None
