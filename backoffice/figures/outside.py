"""Draining what outside programs left noted, with corrections that name who wrote."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select

from ..database.proof import prove
from . import definitions
from .drain import (
    NOTES,
    Drained,
    Pending,
    Touched,
    Unnoted,
    bundle_of_note,
    correction_of,
    drain,
    ours,
)
from .registry import Registry


def drain_noted(
    connection: Connection,
    registry: Registry,
    ids: Sequence[int],
    *,
    run_id: int | None = None,
    alone: bool = False,
) -> Drained:
    """Drain notes that outside programs left behind.

    The corrections name the cause `bypass` and the database user who wrote; of what was wrong before and
    nobody noted, the cause `heal` and nobody. Notes that another worker is draining are passed over; with
    `alone` what builds on them stays noted.
    """
    definitions.hold(connection)
    prove(connection)
    taken = _taken(connection, registry, ids)
    by_user: dict[str, Pending] = {}
    seen: set[tuple[str, int | None]] = set()
    unnoted: Unnoted = defaultdict(set)
    for _id, name, was_wrong, db_user, owner, *touched in sorted(map(tuple, taken)):
        bundle = bundle_of_note(name)
        if was_wrong is not False:
            unnoted[bundle] |= {owner} if was_wrong and (bundle, owner) not in seen else set()
            continue
        seen.add((bundle, owner))
        pending = by_user.setdefault(db_user, {})
        if name not in registry.noted_names:  # a change by another declaration
            del touched[2:]
        pending.setdefault(bundle, Touched()).add(owner, *touched)
    total = Drained(notes=len(taken))
    for db_user, pending in by_user.items():  # in the order in which they wrote
        correcting = correction_of("bypass", db_user=db_user, run_id=run_id)
        total.add(drain(connection, registry, pending, correcting, alone=alone, unnoted=unnoted))
    return total


def _taken(connection: Connection, registry: Registry, ids: Sequence[int]) -> Sequence[Row[Any]]:
    """The notes of these ids that nobody else is draining, removed."""
    chosen = select(NOTES.c.id).where(NOTES.c.id == func.any(ids), ours(registry))
    chosen = chosen.with_for_update(skip_locked=True)
    names = ["id", "bundle", "was_wrong", "db_user", "owner", "source", "source_id", "key", "delta"]
    removed = delete(NOTES).where(NOTES.c.id.in_(chosen.scalar_subquery()))
    return connection.execute(removed.returning(*(NOTES.c[name] for name in names))).all()
