"""Healing: the expected value is written over a drifted one, under lock, and leaves a correction.

Heal = lock → a new statement recomputes → compare → write only if different → correction, in one
transaction per chunk of owners. A rebuild does the same for every owner, not only the suspected ones.
Chunks are limited by rows, and shrink while a user waits for their locks (`Stride`).
"""

import random
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Table, delete, func, select
from sqlalchemy.exc import DBAPIError

from ...database import statistics
from ...database.proof import prove
from ..computing import definitions
from ..computing.dependencies import lower_bundles, owners_above, owners_beneath, rows_beneath
from ..computing.registry import Bundle, Registry, noop
from ..declaring.declaration import Figure
from ..keeping.drain import Correcting, Doubtful, Drained, correction_of, drain
from ..keeping.notes import NOTES, Touched
from ..models import noted_bundle
from . import batches
from .batches import Count, Pieces, Stride, is_waited_for, one_each
from .verification import pages

CUT = "more rows than one transaction writes"
"""The message for an owner with more wrong rows than a transaction writes: it is taken up again."""

TRIES = 6
PASSING = {"40001", "40P01", "55P03"}
"""SQL states of a conflict with another transaction (serialization, deadlock, lock timeout): tried again."""

PATIENCE = "200ms"
"""How long a heal waits for a lock: less than PostgreSQL waits before it looks for a deadlock, so
that a user who saves a row that a heal also wants to write is not the one refused. (A user who
has queued behind both for just a second may be: their wait looks like a part of the circle.)"""


Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Failure:
    """An owner (None: all) with figures that could not be corrected, and PostgreSQL's error message."""

    bundle: str
    owner: int | None
    error: str


@dataclass
class HealResult:
    """How many owners were examined, how many corrections were made, which owners failed, and which were skipped."""

    checked: int = 0
    corrections: int = 0
    failures: list[Failure] = field(default_factory=list)
    held: dict[str, dict[int, str]] = field(default_factory=dict)

    def add(self, drained: Drained) -> None:
        """Count the result of a committed transaction."""
        self.corrections += len(drained.corrections)
        for bundle, owners in drained.held.items():
            self.held.setdefault(bundle, {}).update(owners)


Begin = Callable[[], AbstractContextManager[Connection]]
"""Opens a transaction, which commits at the end of the block."""


class TooManyRows(Exception):
    """Several owners have more rows than one transaction takes; none of them is locked yet."""


@dataclass(frozen=True)
class Healer:
    """Corrects owners in short transactions, each retried after a conflict with another transaction.

    An owner that cannot be corrected is reported (`failed`; for owners that build on what was corrected `failed_above`,
    where given) and never stops the rest. `within` is
    called inside each transaction with the owners (or notes) that it processed, `stands`
    once it has committed. Bundles that are `deferred` are verified by the caller afterwards.
    `strides` remember, by bundle, how many owners a transaction takes. Owners that are `doubtful` are not corrected.
    """

    registry: Registry
    begin: Begin
    failed: Callable[[Failure], None]
    within: Callable[[Connection, Sequence[Any], Drained], None] = noop
    stands: Callable[[Drained], None] = noop
    deferred: Collection[str] = ()
    strides: dict[str, Stride] = field(default_factory=dict)
    failed_above: Callable[[Failure], None] | None = None
    doubtful: Doubtful | None = None

    def heal(
        self,
        bundles: Sequence[Bundle],
        owners: Sequence[int],
        correcting: Correcting,
        corrected: Sequence[int] = (),
    ) -> None:
        """Correct these owners of the last bundle together with what they build on in the others, if there are any.

        Those in one transaction, from the lowest up, so that nothing is computed down to the facts twice
        (see `drain`), and with them what else the same owners build on it. What other owners build on it is corrected
        afterwards, each owner once: a correction changes no expected value above it. `bundles` are in order.
        Where an owner cannot be corrected, what is beneath it is not either; it is retried without the other owners
        that read the same rows. `corrected` were corrected before, by a heal that did not reach what builds on them.
        """
        *lower, top = bundles
        tables = {bundle.owner_table for bundle in bundles}
        apart = {b.name for b in self.registry.bundles if b.owner_table not in tables}
        above: dict[Bundle, set[int]] = defaultdict(set)
        pieces = Pieces()

        def correct(connection: Connection, part: Sequence[int], alone: bool) -> Drained:
            found = self._with_beneath(connection, lower, top, part)
            pending = {bundle.name: Touched(owners=owners) for bundle, owners in found.items()}
            before = self._above(connection, found)  # a figure may itself name the row's owner
            drained = drain(
                connection, self.registry, pending, correcting,
                deferred=self.registry.bundle_names if alone else apart.union(self.deferred),
                most_rows=pieces.most_rows(part[0]) if len(part) == 1 else None,
                doubtful=self.doubtful,
            )  # fmt: skip
            if drained.corrections:
                for led in (before, self._above(connection, found)):
                    for upper, ids in led.items():
                        above[upper] |= ids
            return drained

        self.reporting_to(pieces).each(owners, correct, self.of(top), top.name, self.rows_of(top))
        if corrected:
            with self.begin() as connection:
                for upper, ids in self._above(connection, {top: set(corrected)}).items():
                    above[upper] |= ids
        self.heal_above(above, correcting)

    def reporting_to(self, pieces: Pieces) -> "Healer":
        """The same healer, reporting commits to `pieces`."""

        def stands(drained: Drained) -> None:
            pieces.stands(drained)
            self.stands(drained)

        return replace(self, stands=stands)

    def heal_above(self, above: Mapping[Bundle, set[int]], correcting: Correcting) -> None:
        """Correct what other owners build on corrected ones; they do not count among the owners asked for."""
        besides = replace(
            self,
            failed=self.failed_above or self.failed,
            within=lambda connection, _, drained: self.within(connection, (), drained),
        )
        for upper in self.registry.bundles:
            if led := sorted(above.get(upper, ())):
                besides.heal([upper], led, correcting)

    def _with_beneath(
        self, connection: Connection, lower: Sequence[Bundle], top: Bundle, owners: Sequence[int]
    ) -> dict[Bundle, set[int]]:
        """The owners, and those of the lower bundles that they build on."""
        found = {top: set(owners)}
        for bundle in reversed(lower):
            found[bundle] = {
                owner
                for upper, mine in found.items()
                if bundle in lower_bundles(self.registry, upper)
                for owner in owners_beneath(connection, self.registry, upper, bundle, mine)
            }
        return found

    def _above(
        self, connection: Connection, found: Mapping[Bundle, set[int]]
    ) -> dict[Bundle, set[int]]:
        """The other owners that build directly on these, or on what the same owners build on them.

        Without those of `deferred` bundles.
        """
        by_table: dict[Table, set[int]] = defaultdict(set)
        for bundle, owners in found.items():
            by_table[bundle.owner_table] |= owners
        above: dict[Bundle, set[int]] = defaultdict(set)
        for upper in self.registry.bundles:
            if upper.owner_table in by_table or upper.name in self.deferred:
                continue
            for lower in lower_bundles(self.registry, upper):
                if mine := by_table.get(lower.owner_table):
                    above[upper] |= owners_above(connection, self.registry, upper, lower, mine)
        return {upper: ids - {None} for upper, ids in above.items()}

    def of(self, bundle: Bundle) -> Callable[[int, str], None]:
        """Reports an owner of the bundle that could not be corrected."""
        return lambda owner, error: self.failed(Failure(bundle.name, owner, error))

    def rows_of(self, bundle: Bundle) -> Count:
        """Counts the rows beneath owners of the bundle."""
        return partial(rows_beneath, registry=self.registry, bundle=bundle)

    def each(
        self,
        things: Sequence[Thing],
        work: Callable[[Connection, Sequence[Thing], bool], Drained],
        failed: Callable[[Thing, str], None],
        name: str = "",
        rows: Count = one_each,
    ) -> None:
        """Do `work` on the things, in transactions as large as the stride of that `name` allows by their `rows`.

        On failure, halve until the failing one is found. That one is then done alone, without what builds on it.
        """
        stride = self.strides.setdefault(name, Stride())
        position = 0
        while position < len(things):
            part = things[position : position + stride.length]
            try:
                outcome = self._tried(part, work, stride, rows, TRIES if len(part) == 1 else 1)
            except TooManyRows:
                stride.was_too_many(len(part))
                continue
            if outcome is CUT:
                continue
            position += len(part)
            if outcome is None:
                continue
            if len(part) > 1:
                middle = len(part) // 2
                for half in (part[:middle], part[middle:]):
                    self.each(half, work, failed, name, rows)
                continue
            while (again := self._tried(part, work, stride, rows, 1, alone=True)) is CUT:
                pass
            if again is not None:
                failed(part[0], outcome)

    def _tried(
        self,
        things: Sequence[Thing],
        work: Callable[[Connection, Sequence[Thing], bool], Drained],
        stride: Stride,
        rows: Count,
        tries: int,
        *,
        alone: bool = False,
    ) -> str | None:
        """One transaction, retried after conflicts with others; returns the error that remains.

        Raises TooManyRows where fewer things have to be tried instead; a single one may have any number of rows.
        """
        attempt = count = 0
        while True:
            attempt += 1
            try:
                with self.begin() as connection:
                    if len(things) > 1 or stride.length == 1:
                        count = rows(connection, things, batches.READ_ROWS)
                    if count > batches.READ_ROWS and len(things) > 1:
                        raise TooManyRows()
                    connection.execute(select(func.set_config("lock_timeout", PATIENCE, True)))
                    drained = work(connection, things, alone)
                    self.within(connection, () if drained.is_cut else things, drained)
                    is_in_the_way = is_waited_for(connection)
                self.stands(drained)
                if drained.is_cut:
                    return CUT
                stride.took(len(things), count, is_waited_for=is_in_the_way)
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
    doubtful: Doubtful | None = None,
) -> HealResult:
    """Correct every drifted figure in scope, and whatever builds on it.

    Figures of a bundle share owner and lock and are healed together. What an incremental figure builds on
    is healed before it; for given `owners` the caller has to do that, because those are
    other owners. `every_owner` recomputes all in scope (a rebuild) instead of the
    suspected ones; either way only differences are written, and none of owners that are `doubtful`.
    """
    result = HealResult()
    given = None if owners is None else sorted(set(owners))
    correcting = correction_of(cause, reason, run_id=run_id)
    healer = Healer(
        registry, engine.begin, result.failures.append, stands=result.add, doubtful=doubtful
    )
    wanted = registry.figures if figures is None else figures
    with engine.connect() as connection:
        definitions.require(connection, registry, registry.bundles_of(wanted))
    if given is None:
        statistics.refresh(engine)
    bundles = registry.bundles_of(registry.with_beneath(wanted) if given is None else wanted)
    for number, bundle in enumerate(bundles, start=1):
        later = [] if given is not None else [other.name for other in bundles[number:]]
        for page in pages(engine, registry, bundle, given, every_owner):
            replace(healer, deferred=later).heal([bundle], page.owners, correcting)
            result.checked += page.size
    return result


def renew(
    engine: Engine, registry: Registry, doubtful: Doubtful | None = None
) -> Iterator[tuple[Bundle, HealResult]]:
    """Heal each bundle with a definition that this database has not computed; record it once committed.

    An interrupted renewal resumes with the bundle at which it stopped.
    """
    with engine.begin() as connection:
        prove(connection)
        connection.execute(delete(NOTES).where(noted_bundle.not_in(registry.bundle_names)))
        bundles = definitions.uncomputed(connection, registry)
    for bundle in bundles:
        result = heal(engine, registry, bundle.figures, cause="upgrade", doubtful=doubtful)
        yield bundle, result
        if not result.failures:
            with engine.begin() as connection:
                definitions.record_computed(connection, registry, bundle)
