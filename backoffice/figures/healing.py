"""Healing: the expected value is written over a drifted one, under lock, and leaves a correction.

Heal = lock → a new statement recomputes → compare → write only if different → correction, in one
transaction per chunk of owners. A rebuild is the same over every owner, not the suspected ones.
"""

import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Row, func, select, text, update
from sqlalchemy.exc import DBAPIError

from ..database import statistics
from ..database.proof import prove
from .declaration import Figure
from .definitions import require
from .drain import (
    NOTES,
    Correcting,
    Drained,
    Pending,
    Touched,
    correction_of,
    drain,
    due,
)
from .feeding import lower_bundles, owners_beneath
from .hooks import leave_noted
from .models import noted_bundle
from .outside import drain_noted
from .registry import Bundle, Registry
from .relations import BETWEEN, OWNERS
from .statements import suspects
from .verification import CHUNK, next_owners

WRITE_CHUNK = 1_000
"""Owners locked and recomputed in one transaction, so that nobody waits long for a lock."""

NOTES_AT_ONCE = 1_000
"""Notes of outside programs drained in one transaction."""

TRIES = 6
PASSING = {"40001", "40P01", "55P03"}
"""SQL states of a conflict with somebody else (serialization, deadlock, lock timeout): tried again."""

PATIENCE = "200ms"
"""How long a heal waits for a lock: less than PostgreSQL waits before it looks for a deadlock, so
that whoever saves a row that a heal also wants to write is not the one who is refused. (Somebody who
has queued behind both for just a second may be: their wait looks like a part of the circle.)"""


Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Failure:
    """An owner (None: every one) whose figures could not be corrected, and what PostgreSQL said."""

    bundle: str
    owner: int | None
    error: str


@dataclass
class HealResult:
    """How many owners were looked at, how many corrections were left, what failed, and who was left alone."""

    checked: int = 0
    corrections: int = 0
    failures: list[Failure] = field(default_factory=list)
    held: dict[str, set[int]] = field(default_factory=dict)


Begin = Callable[[], AbstractContextManager[Connection]]
"""Opens a transaction, which commits at the end of the block."""


def _unheard(*_: Any) -> None:
    """Nobody wants to be told."""


@dataclass(frozen=True)
class Healer:
    """Corrects owners in short transactions, each tried again where it met somebody else's.

    One owner that cannot be corrected is told of (`failed`) and never stops the rest. `within` is
    called inside each transaction with the owners (or notes) that it dealt with, `stands`
    once it has committed. Bundles that are `deferred` are verified by the caller afterwards.
    """

    registry: Registry
    begin: Begin
    failed: Callable[[Failure], None]
    within: Callable[[Connection, Sequence[Any], Drained], None] = _unheard
    stands: Callable[[Drained], None] = _unheard
    deferred: Collection[str] = ()

    def heal(self, bundle: Bundle, owners: Sequence[int], correcting: Correcting) -> None:
        """Correct these owners of `bundle`; where what builds on one cannot be, the owner is corrected alone.

        That changes nothing of what is expected above it, so nothing stays noted there.
        """

        def correct(connection: Connection, part: Sequence[int], alone: bool) -> Drained:
            pending: Pending = {bundle.name: Touched(owners=set(part))}
            return drain(
                connection, self.registry, pending, correcting,
                deferred=self.registry.bundle_names if alone else self.deferred,
            )  # fmt: skip

        for i in range(0, len(owners), WRITE_CHUNK):
            part = owners[i : i + WRITE_CHUNK]
            self.each(part, correct, self.of(bundle))

    def heal_tower(
        self, bundles: Sequence[Bundle], owners: Sequence[int], correcting: Correcting
    ) -> None:
        """Correct these owners of the last bundle together with what they build on in the others.

        In one transaction, from the lowest up, so that nothing is computed down to the facts twice
        (see `drain`). `bundles` are in order. Where an owner cannot be corrected, what is beneath it is not
        either; it is tried again without whoever else reads the same rows.
        """
        *lower, top = bundles

        def correct(connection: Connection, part: Sequence[int], alone: bool) -> Drained:
            found = {top: set(part)}
            for bundle in reversed(lower):
                found[bundle] = {
                    owner
                    for upper, above in found.items()
                    if bundle in lower_bundles(self.registry, upper)
                    for owner in owners_beneath(connection, self.registry, upper, bundle, above)
                }
            pending = {bundle.name: Touched(owners=owners) for bundle, owners in found.items()}
            return drain(
                connection, self.registry, pending, correcting,
                deferred=self.registry.bundle_names if alone else self.deferred,
            )  # fmt: skip

        for i in range(0, len(owners), WRITE_CHUNK):
            self.each(owners[i : i + WRITE_CHUNK], correct, self.of(top))

    def of(self, bundle: Bundle) -> Callable[[int, str], None]:
        """Tells of an owner of the bundle that could not be corrected."""
        return lambda owner, error: self.failed(Failure(bundle.name, owner, error))

    def each(
        self,
        things: Sequence[Thing],
        work: Callable[[Connection, Sequence[Thing], bool], Drained],
        failed: Callable[[Thing, str], None],
    ) -> None:
        """Do `work` on the things in one transaction; where that fails, halve until the one is found.

        That one is then done alone, without what builds on it.
        """
        if not things:
            return
        outcome = self._tried(things, work, TRIES if len(things) == 1 else 1)
        if outcome is None:
            return
        if len(things) == 1:
            if self._tried(things, work, 1, alone=True) is not None:
                failed(things[0], outcome)
            return
        middle = len(things) // 2
        for half in (things[:middle], things[middle:]):
            self.each(half, work, failed)

    def _tried(
        self,
        things: Sequence[Thing],
        work: Callable[[Connection, Sequence[Thing], bool], Drained],
        tries: int,
        *,
        alone: bool = False,
    ) -> str | None:
        """One transaction, tried again where it met somebody else's; answers the error that remains."""
        attempt = 0
        while True:
            attempt += 1
            try:
                with self.begin() as connection:
                    connection.execute(select(func.set_config("lock_timeout", PATIENCE, True)))
                    drained = work(connection, things, alone)
                    self.within(connection, things, drained)
                self.stands(drained)
                return None
            except DBAPIError as error:
                state = getattr(error.orig, "sqlstate", None)
                if error.connection_invalidated or state is None:
                    raise
                if state not in PASSING or attempt == tries:
                    return str(error.orig).strip().splitlines()[0]
                time.sleep(random.uniform(0.05, 0.2) * attempt)  # noqa: S311 (jitter, no secret)


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
) -> HealResult:
    """Correct every drifted figure in scope, and whatever builds on it.

    Figures of a bundle share owner and lock and are healed together. Where changes are added to a
    figure, what it builds on is healed before it; of given `owners` that is the caller's to do, for
    those are other owners. `every_owner` recomputes all in scope (a rebuild) instead of the
    suspected ones; either way only differences are written.
    """
    result = HealResult()

    done = Drained()
    given = None if owners is None else sorted(set(owners))
    correcting = correction_of(cause, reason, run_id=run_id)
    healer = Healer(registry, engine.begin, result.failures.append, stands=done.add)
    wanted = registry.figures if figures is None else figures
    with engine.connect() as connection:
        require(connection, registry, registry.bundles_of(wanted))
    if given is None:
        statistics.refresh(engine)
        wanted = registry.with_beneath(wanted)
    for bundle in registry.bundles_of(wanted):
        for page in _pages(engine, registry, bundle, given, every_owner):
            healer.heal(bundle, page.owners, correcting)
            result.checked += page.size
    result.corrections = len(done.corrections)
    result.held = done.held
    return result


@dataclass(frozen=True)
class Page:
    """Owners to recompute, out of `size` owners in id order up to `last`."""

    owners: list[int]
    last: int
    size: int


def _pages(
    engine: Engine,
    registry: Registry,
    bundle: Bundle,
    given: list[int] | None,
    every_owner: bool,
) -> Iterator[Page]:
    """The scope's owners page by page; those suspected, or all of them."""
    after: int | None = None
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


def heal_noted(
    engine: Engine,
    registry: Registry,
    *,
    run_id: int | None = None,
    within: Callable[[Connection, Sequence[Any], Drained], None] = _unheard,
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
            NOTES.c.id > after, due(registry)
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
            carry(connection, part[0].db_user, UPPER_AGAIN)
        return drained

    def failed(note: Row[*tuple[Any, ...]], error: str) -> None:
        with healer.begin() as connection:
            put_off(connection, [note.id])
        healer.failed(Failure(note.bundle, note.owner, error))

    for db_user in dict.fromkeys(note.db_user for note in notes):
        mine = [note for note in notes if note.db_user == db_user]
        healer.each(mine, take, failed)


UPPER_AGAIN = timedelta(seconds=30)
"""When what builds on a drained figure, and could not be corrected, is tried again."""


def carry(connection: Connection, db_user: str, until: timedelta) -> None:
    """Leave noted what this transaction has noted, in the name of the program that wrote.

    Nobody but its own run takes it up before `until`.
    """
    mine = NOTES.c.xid == func.pg_current_xact_id()
    later = func.clock_timestamp() + until
    connection.execute(update(NOTES).where(mine).values(db_user=db_user, retry_at=later))
    leave_noted(connection)


def put_off(connection: Connection, ids: Sequence[int]) -> None:
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
