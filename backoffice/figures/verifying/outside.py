"""Drains the notes that outside programs left, page by page, with corrections that name the database user.

Notes that cannot be drained stay, and are tried again later.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
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

from ...database import statistics
from ...database.proof import prove
from ..computing import definitions
from ..computing.increments import noted_names
from ..computing.registry import Bundle, Registry, noop
from ..keeping.drain import Doubtful, Drained, Pending, correction_of, drain
from ..keeping.hooks import skip_drain
from ..keeping.notes import NOTES, Touched
from ..models import bundle_of_note, noted_bundle
from .batches import Count, Pieces
from .healing import Failure, Healer

NOTES_AT_ONCE = 1_000
"""The most notes of outside programs that are drained in one transaction."""


@dataclass
class NotedResult(Drained):
    """The result of draining outside programs' notes; a note that failed stays for the next time."""

    failures: list[Failure] = field(default_factory=list)


def heal_noted(
    engine: Engine,
    registry: Registry,
    *,
    run_id: int | None = None,
    within: Callable[[Connection, Sequence[Any], Drained], None] = noop,
    above: int = 0,
    put_off: bool = False,
    doubtful: Doubtful | None = None,
) -> NotedResult:
    """Drain every note that outside programs left behind, bundle after bundle, lower ones first.

    What builds on a figure stays noted, in the name of the program that wrote, until its own bundle is drained.
    Notes of bundles that this process does not know belong to a newer one, and stay for it.
    `within` as in `Healer`; only notes with an id `above` that are drained. A note that cannot be
    drained is tried again later, with growing delays; `put_off` tries these now, too. Those that are `doubtful`
    are not corrected.
    """
    result = NotedResult()
    healer = Healer(
        registry, engine.begin, result.failures.append,
        within=within, stands=result.add, doubtful=doubtful,
    )  # fmt: skip
    wanted = and_(NOTES.c.id > above, (known_notes if put_off else due_notes)(registry))
    waiting = _waiting(engine, wanted)
    if waiting:  # also for one owner's long history, which the planner must not assume to be short
        statistics.refresh(engine)
    for bundle in registry.bundles:
        if bundle.name not in waiting:
            continue
        after, high = above, waiting[bundle.name]  # notes that arrive meanwhile delay no others
        while notes := _page(engine, wanted, bundle, after, high):
            _take_notes(healer, bundle, notes, run_id)
            after = notes[-1].id
        waiting = _waiting(engine, wanted)  # now with those of what builds on it
    return result


Notes = Sequence[Row[*tuple[Any, ...]]]
"""Notes of one owner (or one that names none)."""


def _waiting(engine: Engine, wanted: ColumnElement[bool]) -> dict[str, int]:
    """Bundle → the id of its last wanted note."""
    noted = select(noted_bundle, func.max(NOTES.c.id)).where(wanted)
    with engine.connect() as connection:
        return dict(connection.execute(noted.group_by(noted_bundle)).all())


def _page(
    engine: Engine, wanted: ColumnElement[bool], bundle: Bundle, after: int, high: int
) -> Notes:
    """The bundle's next notes by id."""
    columns = (NOTES.c[name] for name in ("id", "bundle", "owner", "source", "db_user"))
    mine = noted_bundle == bundle.name, NOTES.c.id > after, NOTES.c.id <= high
    page = select(*columns).where(*mine, wanted).order_by(NOTES.c.id).limit(NOTES_AT_ONCE)
    with engine.connect() as connection:
        return connection.execute(page).all()


def by_owner(notes: Notes) -> list[Notes]:
    """The notes grouped by owner: those on one owner are drained together, so that it is recomputed only once."""
    groups: dict[Any, list[Row[*tuple[Any, ...]]]] = defaultdict(list)
    for note in notes:
        groups[note.bundle, note.owner or -note.id].append(note)
    return list(groups.values())


def rows_of_notes(count: Count) -> Count:
    """Counts the rows beneath the owners that notes name."""

    def counted(connection: Connection, groups: Sequence[Notes], most: int) -> int:
        return count(connection, [n[0].owner for n in groups if n[0].owner is not None], most)

    return counted


def taking(
    pieces: Pieces,
    registry: Registry,
    db_user: str,
    until: timedelta,
    run_id: int | None,
    doubtful: Doubtful | None,
) -> Callable[[Connection, Sequence[Notes], bool], Drained]:
    """Drains notes of a program, of one bundle alone: what builds on it is left noted (see `defer`).

    A single owner is written in pieces: its notes stay until the last one.
    """

    def take(connection: Connection, part: Sequence[Notes], _alone: bool) -> Drained:
        ids, which = [note.id for group in part for note in group], part[0][0].id
        most_rows = pieces.most_rows(which) if len(part) == 1 else None
        drained = drain_noted(
            connection, registry, ids,
            run_id=run_id, alone=True, most_rows=most_rows, doubtful=doubtful,
        )  # fmt: skip
        drained.notes -= defer(connection, db_user, until)
        return drained

    return take


def _take_notes(healer: Healer, bundle: Bundle, notes: Notes, run_id: int | None) -> None:
    """Drain these notes of a bundle, each database user's in a transaction; then those of emptied tables."""

    def failed(group: Notes, error: str) -> None:
        with healer.begin() as connection:
            schedule_retry(connection, [note.id for note in group])
        healer.failed(Failure(bundle.name, group[0].owner, error))

    emptied = [note for note in notes if note.owner is None and note.source is None]
    for db_user in dict.fromkeys(note.db_user for note in notes):
        mine = [note for note in notes if note.db_user == db_user and note not in emptied]
        pieces = Pieces()
        take = taking(pieces, healer.registry, db_user, timedelta(), run_id, healer.doubtful)
        rows = rows_of_notes(healer.rows_of(bundle))
        healer.reporting_to(pieces).each(by_owner(mine), take, failed, bundle.name, rows)
    if emptied:
        _take_emptied(healer, bundle, emptied, run_id)


def _take_emptied(healer: Healer, bundle: Bundle, notes: Notes, run_id: int | None) -> None:
    """Recompute every owner of a bundle with a source that was emptied; then delete the notes about that."""
    failures: list[Failure] = []

    def failed(failure: Failure) -> None:
        failures.append(failure)
        healer.failed(failure)

    every = select(bundle.owner_key).order_by(bundle.owner_key)
    correcting = correction_of("bypass", db_user=notes[-1].db_user, run_id=run_id)
    with healer.begin() as connection:
        owners = list(connection.scalars(every))
    replace(healer, failed=failed).heal([bundle], owners, correcting)
    ids = [note.id for note in notes]
    with healer.begin() as connection:
        if failures:
            schedule_retry(connection, ids)
        else:
            forget(connection, ids)
    if not failures:
        healer.stands(Drained(notes=len(ids)))


def defer(connection: Connection, db_user: str, until: timedelta) -> int:
    """Leave this transaction's notes undrained, in the name of the program that wrote; returns how many notes.

    Only the run that owns them takes them up before `until`.
    """
    prove(connection)
    mine = NOTES.c.xid == func.pg_current_xact_id()
    later = func.clock_timestamp() + until
    left = connection.execute(update(NOTES).where(mine).values(db_user=db_user, retry_at=later))
    skip_drain(connection)
    return left.rowcount


def schedule_retry(connection: Connection, ids: Sequence[int]) -> None:
    """Schedule another attempt for notes that could not be drained: after 1, 2, 4 … seconds, at most 10 minutes."""
    prove(connection)
    doubled = func.power(2, func.least(NOTES.c.attempts, 10))  # a larger power may overflow
    wait = func.least(doubled, 600) * text("interval '1 second'")
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
    most_rows: int | None = None,
    doubtful: Doubtful | None = None,
) -> Drained:
    """Drain notes that outside programs left behind.

    The corrections name the cause `bypass` and the database user who wrote, which does not say that the write caused
    the difference. Notes that another worker is draining are skipped; with
    `alone` what builds on them stays noted. Where it is cut at `most_rows`, they stay, to be drained again.
    """
    definitions.hold(connection)
    taken = _taken(connection, registry, ids)
    by_user: dict[str, Pending] = {}
    for _id, name, db_user, owner, *touched in sorted(map(tuple, taken)):
        bundle = bundle_of_note(name)
        pending = by_user.setdefault(db_user, {})
        if name not in noted_names(registry):  # a change by another declaration
            del touched[2:]
        pending.setdefault(bundle, Touched()).add(owner, *touched)
    total = Drained()
    for db_user, pending in by_user.items():  # in the order of their writes
        correcting = correction_of("bypass", db_user=db_user, run_id=run_id)
        total.add(
            drain(
                connection, registry, pending, correcting,
                alone=alone, most_rows=most_rows, doubtful=doubtful,
            )
        )  # fmt: skip
    if not total.is_cut:
        total.notes += forget(connection, [note.id for note in taken])
    return total


def _taken(connection: Connection, registry: Registry, ids: Sequence[int]) -> Sequence[Row[Any]]:
    """The notes of these ids that no other worker is draining, locked."""
    names = ["id", "bundle", "db_user", "owner", "source", "source_id", "key", "delta"]
    chosen = select(*(NOTES.c[name] for name in names)).where(
        NOTES.c.id == func.any(list(ids)), known_notes(registry)
    )
    return connection.execute(chosen.with_for_update(skip_locked=True)).all()


def forget(connection: Connection, ids: Sequence[int]) -> int:
    """Delete notes that have been drained; returns how many."""
    prove(connection)
    mine = NOTES.c.id == func.any(list(ids))
    return connection.execute(delete(NOTES).where(mine)).rowcount


def known_notes(registry: Registry) -> ColumnElement[bool]:
    """The notes of bundles that the database keeps by this process's definitions, however they were written.

    It recomputes absolutely.
    """
    return and_(noted_bundle.in_(registry.bundle_names), definitions.is_kept_by_ours(registry))


def due_notes(registry: Registry) -> ColumnElement[bool]:
    """The known notes that are not waiting for a retry."""
    is_due = or_(NOTES.c.retry_at.is_(None), NOTES.c.retry_at <= func.clock_timestamp())
    return and_(known_notes(registry), is_due)
