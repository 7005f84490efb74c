"""Healing: the expected value is written over a drifted one, under lock, and leaves a correction.

Heal = lock → a new statement recomputes → compare → write only if different → correction, in one
transaction per chunk of owners. A rebuild is the same over every owner, not the suspected ones.
"""

import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, delete, func, select
from sqlalchemy.exc import DBAPIError

from ..database import statistics
from ..database.proof import prove
from . import definitions
from .declaration import Figure
from .dependencies import lower_bundles, owners_beneath
from .drain import Correcting, Drained, correction_of, drain
from .models import noted_bundle
from .notes import NOTES, Touched
from .registry import Bundle, Registry, noop
from .relations import BETWEEN, OWNERS
from .statements import suspects
from .verification import CHUNK, next_owners

WRITE_CHUNK = 1_000
"""Owners locked and recomputed in one transaction, so that nobody waits long for a lock."""

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
    within: Callable[[Connection, Sequence[Any], Drained], None] = noop
    stands: Callable[[Drained], None] = noop
    deferred: Collection[str] = ()

    def heal(
        self, bundles: Sequence[Bundle], owners: Sequence[int], correcting: Correcting
    ) -> None:
        """Correct these owners of the last bundle together with what they build on in the others, if there are any.

        In one transaction, from the lowest up, so that nothing is computed down to the facts twice
        (see `drain`). `bundles` are in order. Where an owner cannot be corrected, what is beneath it is not
        either; it is tried again without whoever else reads the same rows. Where what builds on an owner cannot be,
        the owner is corrected alone: that changes nothing of what is expected above it, so nothing stays noted there.
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
        definitions.require(connection, registry, registry.bundles_of(wanted))
    if given is None:
        statistics.refresh(engine)
        wanted = registry.with_beneath(wanted)
    for bundle in registry.bundles_of(wanted):
        for page in _pages(engine, registry, bundle, given, every_owner):
            healer.heal([bundle], page.owners, correcting)
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


def renew(engine: Engine, registry: Registry) -> Iterator[tuple[Bundle, HealResult]]:
    """Heal each bundle whose definition this database has not seen; remember it when that stands.

    An interrupted renewal starts over with the bundle at which it stopped.
    """
    with engine.begin() as connection:
        prove(connection)
        connection.execute(delete(NOTES).where(noted_bundle.not_in(registry.bundle_names)))
        bundles = definitions.without(connection, registry, definitions.COMPUTED)
    for bundle in bundles:
        result = heal(engine, registry, bundle.figures, cause="upgrade")
        yield bundle, result
        if not result.failures:
            with engine.begin() as connection:
                definitions.remember(connection, registry, bundle, definitions.COMPUTED)
