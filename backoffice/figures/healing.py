"""Healing: the expected value is written over a drifted one, under lock, and leaves a correction.

Heal = lock → a new statement recomputes → compare → write only if different → correction, in one
transaction per chunk of owners. A rebuild is the same over every owner, not the suspected ones.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, Row, func, select
from sqlalchemy.exc import DBAPIError

from .declaration import Figure
from .drain import (
    NOTES,
    Correcting,
    Drained,
    Pending,
    Touched,
    correction_of,
    drain,
    drain_noted,
    ours,
)
from .hooks import leave_noted
from .models import FigureNote
from .registry import Bundle, Registry
from .relations import BETWEEN, OWNERS
from .statements import suspects
from .verification import CHUNK, next_owners

WRITE_CHUNK = 1_000
"""Owners locked and recomputed in one transaction, so that nobody waits long for a lock."""

Position = tuple[str, int]
"""Bundle and owner up to which everything is committed."""


NOTES_AT_ONCE = 1_000
"""Notes of outside programs drained in one transaction."""

TRIES = 6
PASSING = {"40001", "40P01", "55P03"}
"""SQL states of a conflict with somebody else (serialization, deadlock, lock timeout): tried again."""

PATIENCE = "200ms"
"""How long a heal waits for a lock: less than PostgreSQL waits before it looks for a deadlock, so
that whoever saves a row that a heal also wants to write is not the one who is refused. (Somebody who
has queued behind both for just a second may be: their wait looks like a part of the circle.)"""


@dataclass(frozen=True)
class Failure:
    """An owner (None: every one) whose figures could not be corrected, and what PostgreSQL said."""

    bundle: str
    owner: int | None
    error: str


@dataclass
class HealResult:
    """How many owners were looked at, how many corrections were left, and where to resume."""

    checked: int = 0
    corrections: int = 0
    failures: list[Failure] = field(default_factory=list)
    position: Position | None = None


def heal(
    engine: Engine,
    registry: Registry,
    figures: Sequence[Figure] | None = None,
    owners: Iterable[int] | None = None,
    *,
    cause: str = "heal",
    reason: str = "",
    run_id: int | None = None,
    every_owner: bool = False,
    resume: HealResult | None = None,
    committed: Callable[[HealResult, int], None] | None = None,
) -> HealResult:
    """Correct every drifted figure in scope, and whatever builds on it.

    Figures of a bundle share owner and lock and are healed together. Where changes are added to a
    figure, what it builds on is healed before it; of given `owners` that is the caller's to do, for
    those are other owners. `every_owner` recomputes all
    in scope (a rebuild) instead of the suspected ones; either way only differences are written.
    `resume` continues an earlier call behind its position, counting on; `committed(result, owners)`
    is told of each page of owners once it stands.
    """
    result = resume or HealResult()
    given = None if owners is None else sorted(set(owners))
    correcting = correction_of(cause, reason, run_id=run_id)
    wanted = registry.figures if figures is None else figures
    if given is None:
        wanted = registry.with_beneath(wanted)
    for bundle, after in _bundles(registry, wanted, result.position):
        for page in _pages(engine, registry, bundle, given, after, every_owner):
            for i in range(0, len(page.owners), WRITE_CHUNK):
                part = page.owners[i : i + WRITE_CHUNK]
                _correct(engine, registry, bundle, part, correcting, result)
            result.checked += page.size
            result.position = (bundle.name, page.last)
            if committed is not None:
                committed(result, page.size)
    return result


def _correct(
    engine: Engine,
    registry: Registry,
    bundle: Bundle,
    owners: list[int],
    correcting: Correcting,
    result: HealResult,
) -> None:
    """Heal these owners in one transaction; where that fails, halve until the owner is found.

    One owner that cannot be corrected is recorded and never stops the rest. Where only what builds
    on it cannot be, the owner is corrected alone and the rest stays noted.
    """

    def correct(connection: Connection, alone: bool) -> Drained:
        pending: Pending = {bundle.name: Touched(owners=set(owners))}
        return drain(connection, registry, pending, correcting, alone=alone)

    outcome = _tried(engine, correct, TRIES if len(owners) == 1 else 1)
    if isinstance(outcome, str) and len(owners) == 1:
        error, outcome = outcome, _tried(engine, correct, 1, alone=True)
        if isinstance(outcome, str):
            result.failures.append(Failure(bundle.name, owners[0], error))
    if isinstance(outcome, Drained):
        result.corrections += len(outcome.corrections)
    elif len(owners) > 1:
        middle = len(owners) // 2
        for half in (owners[:middle], owners[middle:]):
            _correct(engine, registry, bundle, half, correcting, result)


def _tried(
    engine: Engine,
    work: Callable[[Connection, bool], Drained],
    tries: int,
    *,
    alone: bool = False,
) -> Drained | str:
    """One transaction, tried again where it met somebody else's; answers the error that remains.

    With `alone`, what builds on what is corrected stays noted when the transaction commits.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            with engine.begin() as connection:
                connection.execute(select(func.set_config("lock_timeout", PATIENCE, True)))
                drained = work(connection, alone)
                if alone:
                    leave_noted(connection)
                return drained
        except DBAPIError as error:
            state = getattr(error.orig, "sqlstate", None)
            if error.connection_invalidated or state is None:
                raise
            if state not in PASSING or attempt == tries:
                return str(error.orig).strip().splitlines()[0]
            time.sleep(random.uniform(0.05, 0.2) * attempt)  # noqa: S311 (jitter, no secret)


@dataclass(frozen=True)
class Page:
    """Owners to recompute, out of `size` owners in id order up to `last`."""

    owners: list[int]
    last: int
    size: int


def _bundles(
    registry: Registry, wanted: Sequence[Figure], resume: Position | None
) -> list[tuple[Bundle, int | None]]:
    """The bundles still to heal, each with the owner behind which to begin."""
    bundles = registry.bundles_of(wanted)
    if resume is None:
        return [(b, None) for b in bundles]
    names = [b.name for b in bundles]
    first = names.index(resume[0])
    return [(b, resume[1] if i == 0 else None) for i, b in enumerate(bundles[first:])]


def _pages(
    engine: Engine,
    registry: Registry,
    bundle: Bundle,
    given: list[int] | None,
    after: int | None,
    every_owner: bool,
) -> Iterator[Page]:
    """The scope's owners page by page; those suspected, or all of them."""
    while True:
        with engine.connect() as connection:
            page = (
                _next_of(connection, registry, bundle, given, after, every_owner)
                if given is not None
                else _next_of_all(connection, registry, bundle, after, every_owner)
            )
        if page is None:
            return
        yield page
        after = page.last


def _next_of(
    connection: Connection,
    registry: Registry,
    bundle: Bundle,
    given: list[int],
    after: int | None,
    every_owner: bool,
) -> Page | None:
    ids = [i for i in given if after is None or i > after][:CHUNK]
    if not ids:
        return None
    if every_owner:
        return Page(ids, ids[-1], len(ids))
    found = suspects(registry, bundle, OWNERS).run(connection, owners=ids).scalars()
    return Page(sorted(found), ids[-1], len(ids))


def _next_of_all(
    connection: Connection,
    registry: Registry,
    bundle: Bundle,
    after: int | None,
    every_owner: bool,
) -> Page | None:
    bounds = next_owners(connection, bundle, after, CHUNK)
    if bounds is None:
        return None
    low, high, size = bounds
    if every_owner:
        everyone = select(bundle.owner_key).where(bundle.owner_key.between(low, high))
        return Page(sorted(connection.execute(everyone).scalars()), high, size)
    found = suspects(registry, bundle, BETWEEN).run(connection, low=low, high=high).scalars()
    return Page(sorted(found), high, size)


@dataclass
class NotedResult(Drained):
    """What draining outside programs' notes did; a note that failed stays, for the next time."""

    failures: list[Failure] = field(default_factory=list)


def heal_noted(engine: Engine, registry: Registry, *, run_id: int | None = None) -> NotedResult:
    """Drain every note that outside programs left behind.

    Those of bundles that this process does not know belong to a newer one, and stay for it.
    """
    result = NotedResult()
    after = 0
    while True:
        page = select(NOTES.c.id, NOTES.c.bundle, NOTES.c.owner, NOTES.c.db_user).where(
            NOTES.c.id > after, ours(registry)
        )
        with engine.connect() as connection:
            notes = connection.execute(page.order_by(NOTES.c.id).limit(NOTES_AT_ONCE)).all()
        if not notes:
            return result
        # One user's in a transaction: lower owners are locked first, and a second user's would
        # come after the first one's higher ones.
        for db_user in sorted({note.db_user for note in notes}):
            mine = [note for note in notes if note.db_user == db_user]
            _drain(engine, registry, mine, run_id, result)
        after = notes[-1].id


def _drain(
    engine: Engine,
    registry: Registry,
    notes: Sequence[Row[int, str, int | None, str]],
    run_id: int | None,
    result: NotedResult,
) -> None:
    """Drain these notes in one transaction; where that fails, halve until the note is found.

    Where only what builds on its figures cannot be corrected, that stays noted instead.
    """

    def take(connection: Connection, alone: bool) -> Drained:
        ids = [note.id for note in notes]
        return drain_noted(connection, registry, ids, run_id=run_id, alone=alone)

    outcome = _tried(engine, take, TRIES if len(notes) == 1 else 1)
    if isinstance(outcome, str) and len(notes) == 1:
        error, outcome = outcome, _tried(engine, take, 1, alone=True)
        if isinstance(outcome, str):
            result.failures.append(Failure(notes[0].bundle, notes[0].owner, error))
    if isinstance(outcome, Drained):
        result.add(outcome)
    elif len(notes) > 1:
        middle = len(notes) // 2
        for half in (notes[:middle], notes[middle:]):
            _drain(engine, registry, half, run_id, result)


def noted(engine: Engine) -> dict[str, int]:
    """How many notes are undrained, by bundle."""
    bundle = func.split_part(FigureNote.bundle, "#", 1).label("bundle")
    statement = select(bundle, func.count()).group_by(bundle)
    with engine.connect() as connection:
        return dict(connection.execute(statement).all())
