"""Recalculation of a record: each domain declares which figures and owners belong to a kind of record.

`ask(session, user, id)` returns figure → owner ids, or None where the user may see no such record.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from ..app.domain import declared

Owners = Mapping[str, Sequence[int]]
"""Figure → the ids of its owners."""


@dataclass(frozen=True)
class OwnersOf:
    """How a domain finds its figures of a record of `kind`; several domains may declare one each."""

    kind: str
    ask: Callable[[Session, Any, int], Owners | None]


def owners_of(session: Session, user: Any, kind: str, record_id: int) -> Owners | None:
    """All figures and owners that belong to the record; None where `user` may see no such record."""
    found: dict[str, list[int]] = {}
    answers = [
        owners.ask(session, user, record_id) for owners in declared().owners if owners.kind == kind
    ]
    known = [answer for answer in answers if answer is not None]
    for answer in known:
        for figure, owners in answer.items():
            found[figure] = sorted({*found.get(figure, ()), *owners})
    return found if known else None
