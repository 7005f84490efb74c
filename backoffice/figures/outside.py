"""What outside programs left noted: drained page by page, with corrections that name who wrote.

What cannot be drained stays noted, and is tried again later.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    and_,
    delete,
    func,
    or_,
    select,
    text,
    update,
)

from ..database.proof import prove
from . import definitions
from .drain import Drained, Pending, Unnoted, correction_of, drain
from .healing import Failure, Healer
from .hooks import skip_drain
from .models import bundle_of_note, noted_bundle
from .notes import NOTES, Touched
from .registry import Registry, noop

NOTES_AT_ONCE = 1_000
"""Notes of outside programs drained in one transaction."""


@dataclass
class NotedResult(Drained):
    """What draining outside programs' notes did; a note that failed stays, for the next time."""

    failures: list[Failure] = field(default_factory=list)


def heal_noted(
    engine: Engine,
    registry: Registry,
    *,
    run_id: int | None = None,
    within: Callable[[Connection, Sequence[Any], Drained], None] = noop,
    above: int = 0,
) -> NotedResult:
    """Drain every note that outside programs left behind.

    Those of bundles that this process does not know belong to a newer one, and stay for it.
    `within` as in `Healer`; only notes with an id `above` that are looked at. One that cannot be
    drained is tried again later, and later each time.
    """
    result = NotedResult()
    failed = result.failures.append
    healer = Healer(registry, engine.begin, failed, within=within, stands=result.add)
    after = above
    while True:
        page = select(NOTES.c.id, NOTES.c.bundle, NOTES.c.owner, NOTES.c.db_user).where(
            NOTES.c.id > after, due_notes(registry)
        )
        with engine.connect() as connection:
            notes = connection.execute(page.order_by(NOTES.c.id).limit(NOTES_AT_ONCE)).all()
        if not notes:
            return result
        take_notes(healer, notes, run_id)
        after = notes[-1].id


def take_notes(
    healer: Healer, notes: Sequence[Row[int, str, int | None, str]], run_id: int | None
) -> None:
    """Drain these notes; where what builds on a figure cannot be corrected, that stays noted.

    One user's in a transaction: lower owners are locked first, and a second user's would come after
    the first one's higher ones.
    """

    def take(connection: Connection, part: Sequence[Row[*tuple[Any, ...]]], alone: bool) -> Drained:
        ids = [note.id for note in part]
        drained = drain_noted(connection, healer.registry, ids, run_id=run_id, alone=alone)
        if alone:
            defer(connection, part[0].db_user, UPPER_AGAIN)
        return drained

    def failed(note: Row[*tuple[Any, ...]], error: str) -> None:
        with healer.begin() as connection:
            schedule_retry(connection, [note.id])
        healer.failed(Failure(note.bundle, note.owner, error))

    for db_user in dict.fromkeys(note.db_user for note in notes):
        mine = [note for note in notes if note.db_user == db_user]
        healer.each(mine, take, failed)


UPPER_AGAIN = timedelta(seconds=30)
"""When what builds on a drained figure, and could not be corrected, is tried again."""


def defer(connection: Connection, db_user: str, until: timedelta) -> None:
    """Leave noted what this transaction has noted, in the name of the program that wrote.

    Nobody but its own run takes it up before `until`.
    """
    mine = NOTES.c.xid == func.pg_current_xact_id()
    later = func.clock_timestamp() + until
    connection.execute(update(NOTES).where(mine).values(db_user=db_user, retry_at=later))
    skip_drain(connection)


def schedule_retry(connection: Connection, ids: Sequence[int]) -> None:
    """These notes could not be drained: they are tried again after a second, two, four … ten minutes."""
    prove(connection)
    wait = func.least(func.power(2, NOTES.c.attempts), 600) * text("interval '1 second'")
    connection.execute(
        update(NOTES)
        .where(NOTES.c.id == func.any(list(ids)))
        .values(attempts=NOTES.c.attempts + 1, retry_at=func.clock_timestamp() + wait)
    )


def noted(engine: Engine) -> dict[str, int]:
    """How many notes are undrained, by bundle."""
    bundle = noted_bundle.label("bundle")
    statement = select(bundle, func.count()).group_by(bundle)
    with engine.connect() as connection:
        return dict(connection.execute(statement).all())


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
    chosen = select(NOTES.c.id).where(NOTES.c.id == func.any(ids), known_notes(registry))
    chosen = chosen.with_for_update(skip_locked=True)
    names = ["id", "bundle", "was_wrong", "db_user", "owner", "source", "source_id", "key", "delta"]
    removed = delete(NOTES).where(NOTES.c.id.in_(chosen.scalar_subquery()))
    return connection.execute(removed.returning(*(NOTES.c[name] for name in names))).all()


def known_notes(registry: Registry) -> ColumnElement[bool]:
    """The notes of bundles that the database keeps by this process's definitions, however they were written.

    It recomputes absolutely.
    """
    return and_(noted_bundle.in_(registry.bundle_names), definitions.is_kept_by_ours(registry))


def due_notes(registry: Registry) -> ColumnElement[bool]:
    """Of the known notes, those that are not put off because they could not be drained."""
    is_due = or_(NOTES.c.retry_at.is_(None), NOTES.c.retry_at <= func.clock_timestamp())
    return and_(known_notes(registry), is_due)
