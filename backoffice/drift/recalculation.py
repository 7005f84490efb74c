"""Recalculating a record: each domain says which figures of which owners belong to a record of its own.

`ask(session, user, id)` answers figure → owner ids, or None where the user may see no such record.
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
    """What of a domain's figures belongs to a record of `kind`; several domains may each have theirs."""

    kind: str
    ask: Callable[[Session, Any, int], Owners | None]


def owners_of(session: Session, user: Any, kind: str, record_id: int) -> Owners | None:
    """Everything that belongs to the record; None where `user` may see no such record."""
    found: dict[str, list[int]] = {}
    answers = [
        owners.ask(session, user, record_id) for owners in declared().owners if owners.kind == kind
    ]
    known = [answer for answer in answers if answer is not None]
    for answer in known:
        for figure, owners in answer.items():
            found[figure] = sorted({*found.get(figure, ()), *owners})
    return found if known else None
