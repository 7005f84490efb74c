"""Draining: the owners that the triggers noted are locked, then recomputed in the next statement.

The app's session drains its own transaction's notes before commit and before it reads a figure.
Notes that an outside program left behind are drained by `outside.drain_noted`, with corrections.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any

from sqlalchemy import Connection, select

from ...base.actor import actor
from ...database.proof import token
from ..computing import definitions
from ..computing.increments import Changes, apply, noted_names
from ..computing.registry import Bundle, Registry
from ..computing.relations import ONE_OWNER, OWNERS, Scope
from ..declaring.declaration import Source
from ..errors import WrongIsolation
from ..models import bundle_of_note
from .locking import Leading, led_to, lock_owners, scope_of
from .notes import TAKE_MINE, Touched, drop_mine
from .recomputing import (
    CORRECTED,
    LOCKED,
    led_through,
    reached_by,
    recompute,
    recompute_since,
    suppressing,
)

DRAINING = "figures.draining"
"""Set while a connection is being drained, so that reads by the drain itself do not start another."""


@dataclass
class Drained:
    """The result of a drain: notes taken, rows written, corrections left (their ids, by figure).

    `held` has the owners, by bundle, that were skipped, each with the reason (see `Doubtful`); `locked` those with a
    wrong row of locked days, which were not written. `is_cut`: the maximum number of rows was written, so there may be
    more.
    """

    notes: int = 0
    changed: Changes = field(default_factory=list)
    corrected: dict[str, list[int]] = field(default_factory=dict)
    held: dict[str, dict[int, str]] = field(default_factory=dict)
    locked: set[int] = field(default_factory=set)
    is_cut: bool = False

    @property
    def corrections(self) -> list[int]:
        """The ids of all corrections."""
        return list(chain.from_iterable(self.corrected.values()))

    def add(self, other: "Drained") -> None:
        """Add the result of a further drain."""
        self.notes += other.notes
        self.changed += other.changed
        for figure, corrections in other.corrected.items():
            self.corrected.setdefault(figure, []).extend(corrections)
        for bundle, owners in other.held.items():
            self.held.setdefault(bundle, {}).update(owners)
        self.locked |= other.locked
        self.is_cut = self.is_cut or other.is_cut


Pending = dict[str, Touched]
Correcting = dict[str, Any]
Doubtful = Callable[[Connection, Bundle, Collection[int], Correcting], Mapping[int, str]]
"""Returns the owners, of these locked ones, that may not be corrected now, each with the reason."""
Fresh = dict[str, set[int]]
"""By bundle, the owners just recomputed: notes on them come from the core's own write."""


def drain(
    connection: Connection,
    registry: Registry,
    pending: Pending | None = None,
    correcting: Correcting | None = None,
    *,
    alone: bool = False,
    deferred: Collection[str] = (),
    by_facts: bool = False,
    only: Mapping[str, Collection[int]] | None = None,
    most_rows: int | None = None,
    doubtful: Doubtful | None = None,
) -> Drained:
    """Recompute whatever this transaction has touched, and what is `pending` besides.

    Bundle after bundle in the order in which they build on each other, until no note is left.
    With `correcting` (see `correction_of`) every figure row that changes leaves a correction and
    no stored figure is trusted: it is computed down to the facts. So nothing has to wait until
    what is beneath it is right, and no change is added to a wrong value. `alone` stops
    after the pending bundle: what builds on it stays noted, for another session to drain. Notes on
    bundles that are `deferred` are dropped: the caller verifies those afterwards, and heals what is
    wrong by the facts.
    `by_facts` trusts no stored figure without correcting any, so that what is written does not depend on other stored
    figures. For bundles in `only` the notes on other owners are dropped: the caller knows that they do not change.
    Of a corrected bundle at most `most_rows` are written; where there may be more, nothing that builds on it is
    (`alone`: it stays noted). Owners that are `doubtful` are not corrected.
    """
    total = Drained()
    drains = _Drains(
        connection, registry, pending or {}, correcting, alone, deferred, only or {},
        by_facts=by_facts, most_rows=most_rows, asked=frozenset(pending or ()),
        doubtful=doubtful,
    )  # fmt: skip
    with _draining(connection):
        while True:
            drains.collect()
            bundle = next((b for b in registry.bundles if b.name in drains.waiting), None)
            if bundle is None:
                return total
            total.add(drains.next(bundle))
            if alone or total.is_cut:
                drop_mine(connection, drains.fresh if alone else None)
                return total


@contextmanager
def _draining(connection: Connection) -> Iterator[None]:
    """Reads within the block start no drain."""
    info = connection.info  # kept, because a connection lost in the drain has no info any more
    info[DRAINING] = True
    try:
        yield
    finally:
        info[DRAINING] = False


@dataclass
class _Drains:
    """The state of one drain: the owners still to recompute, and what it has found so far."""

    connection: Connection
    registry: Registry
    waiting: Pending
    correcting: Correcting | None
    alone: bool
    deferred: Collection[str]
    only: Mapping[str, Collection[int]] = field(default_factory=dict)
    by_facts: bool = False
    """Also set while notes of another program wait: a heal may have counted its write, which a change would repeat."""
    most_rows: int | None = None
    asked: frozenset[str] = frozenset()
    """The bundles that the caller asked for; only of these may rows be left for a later transaction."""
    doubtful: Doubtful | None = None
    fresh: Fresh = field(default_factory=dict)
    locked: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """By owners' table, the owners that this drain has locked, until its transaction ends."""
    others: frozenset[str] = frozenset()
    """Bundles that the database keeps by another definition; queried only where corrections are made."""

    def __post_init__(self) -> None:
        """Raises AnotherDefinition where a bundle to be corrected is kept by another definition."""
        self.definitions = tuple(definitions.digests(self.registry).values())
        if self.correcting is not None:
            definitions.hold(self.connection)
            self.others = definitions.differing(self.connection, self.registry)
            if not_ours := self.others.intersection(self.waiting):
                raise definitions.another(self.registry, not_ours)

    def collect(self) -> None:
        """Take this transaction's notes, except those that the core's own last write has made.

        Nothing ran in between, so a note on a bundle and owner just recomputed under lock is the core's own.
        """
        taken = TAKE_MINE.rows(
            self.connection, known=tuple(noted_names(self.registry)), definitions=self.definitions,
            token=token(self.connection),
        )  # fmt: skip
        for _id, name, owner, *touched, is_beside_others, isolation in sorted(taken):
            if isolation != "read committed":
                raise WrongIsolation(isolation)
            self.by_facts = self.by_facts or is_beside_others
            bundle = bundle_of_note(name)
            if owner not in self.fresh.get(bundle, ()) and self._is_wanted(bundle, owner):
                self.waiting.setdefault(bundle, Touched()).add(owner, *touched)

    def _is_wanted(self, bundle: str, owner: int | None) -> bool:
        return bundle not in self.deferred and owner in self.only.get(bundle, (owner,))

    def next(self, bundle: Bundle) -> Drained:
        """Recompute one bundle, and record the owners for whom its own notes need no further drain."""
        touched, names = self.waiting.pop(bundle.name), [bundle.name]
        if self.is_by_facts:
            bundle, names = self._with_expressions(bundle, touched)
        owners, drained = self._settle(bundle, names, touched)
        self.fresh = dict.fromkeys(names, owners)
        return drained

    @property
    def is_by_facts(self) -> bool:
        """Whether everything is computed down to the facts, rather than from what is stored beneath."""
        return self.by_facts or self.correcting is not None

    def _with_expressions(self, bundle: Bundle, touched: Touched) -> tuple[Bundle, list[str]]:
        """The bundle, joined with the expressions built on it in the same rows where they await the same owners."""
        joined = self.registry.with_expressions(bundle)
        if joined is None or joined[0].name not in self.waiting:
            return bundle, [bundle.name]
        other, both = joined
        also = self.waiting[other.name]
        if touched.everything or also.everything or touched.owners != also.owners or touched.deltas:
            return bundle, [bundle.name]
        del self.waiting[other.name]
        return both, [bundle.name, other.name]

    def _settle(
        self, bundle: Bundle, names: Sequence[str], touched: Touched
    ) -> tuple[set[int], Drained]:
        """Lock the owners, then recompute in the next statement, or apply the noted changes.

        `names` are the bundles recomputed by this: see `_with_expressions`.
        """
        owners = touched.owners
        if touched.everything:
            owners = set(self.connection.execute(select(bundle.owner_key)).scalars())
        deltas = [d for d in touched.deltas if d.owner not in owners]
        since = {at for at in touched.since if at[0] not in owners}
        moved = {d.owner for d in deltas} | {owner for owner, _ in since}
        if self.is_by_facts:
            owners, deltas, since, moved = owners | moved, [], set(), set()
        leading = Leading(touched.rows, touched.written)
        locked = self._locked(bundle, owners | moved, leading)
        absolute = locked - moved
        done = self._correct(bundle, names, absolute)
        if deltas:
            there = [d for d in deltas if d.owner in locked]
            done.changed += apply(self.connection, bundle.figures[0], there)
        if since:
            places = [at for at in since if at[0] in locked]
            done.changed += self._continued(bundle, places)
        return locked, done

    def _locked(self, bundle: Bundle, owners: set[int], leading: Leading) -> set[int]:
        """The owners that exist, locked now or already by this drain for a lower bundle."""
        mine = self.locked[bundle.owner_table.name]
        if owners <= mine and not led_to(bundle):
            return owners
        locked = lock_owners(self.connection, bundle, owners, leading)
        mine |= locked
        return locked

    def _continued(self, bundle: Bundle, places: Sequence[tuple[int, str]]) -> Changes:
        """Write the expected values of these owners from these places on."""
        scope: Scope
        given: dict[str, Any]
        if len(places) == 1:
            scope, given = ONE_OWNER, {"owner": places[0][0], "place": places[0][1]}
        else:
            owners, texts = zip(*places, strict=True) if places else ((), ())
            scope, given = OWNERS, {"owners": list(owners), "places": list(texts)}
        answers = recompute_since(self.registry, bundle, scope).rows(self.connection, **given)
        return [(bundle.targets[0], key) for _, keys in answers for key in keys or ()]

    def _correct(self, bundle: Bundle, names: Sequence[str], owners: set[int]) -> Drained:
        """Recompute these owners, except those that may not be corrected now."""
        held: dict[int, str] = {}
        if self.correcting is not None and self.doubtful is not None and owners:
            held |= self.doubtful(self.connection, bundle, owners, self.correcting)
        mine = owners - held.keys()
        done = self._recompute(bundle, names, mine)
        held |= dict.fromkeys(done.locked, "")
        if held:
            done.held = dict.fromkeys(names, held)
        return done

    def _recompute(self, bundle: Bundle, names: Sequence[str], owners: set[int]) -> Drained:
        """Write the expected values of these owners; a correction suppresses most of its notes, see `triggers`."""
        if not owners:
            return Drained()
        scope, values = scope_of(owners)
        correct = self.correcting is not None
        most_rows = self.most_rows if bundle.name in self.asked else None
        statement = recompute(
            self.registry, bundle, scope,
            correct=correct, by_facts=self.is_by_facts or bundle.incremental,
            most_rows=most_rows,
        )  # fmt: skip
        leads = correct and not self.alone
        led = led_through(self.registry, bundle, frozenset(names)) if leads else ()
        led = [way for way in led if way[0].name not in self.others]
        settled = [*names, *(reached_by(*way) for way in led)] if correct else ()
        with suppressing(self.connection, settled):
            answers = statement.rows(self.connection, **values, **(self.correcting or {}))
        done = Drained()
        for number, keys in answers:
            if keys is None:
                continue
            if number == LOCKED:
                done.locked.update(keys)
            elif number <= CORRECTED:
                corrected = self.registry.figures[CORRECTED - number]
                done.corrected.setdefault(corrected.name, []).extend(keys)
            else:
                done.changed += zip(repeat(bundle.targets[number]), keys)
        done.is_cut = most_rows is not None and len(done.changed) >= most_rows
        self._propagate(led, done.changed)
        return done

    def _propagate(self, led: Sequence[tuple[Bundle, Source]], changed: Changes) -> None:
        """Add the owners that these written rows lead to through another table to those still to recompute."""
        for upper, source in led:
            ids = {key for table, key in changed if table is source.table}
            if ids and upper.name not in self.deferred:
                self.waiting.setdefault(upper.name, Touched()).written[source.table.name] |= ids


def correction_of(
    cause: str, reason: str = "", db_user: str = "", run_id: int | None = None
) -> Correcting:
    """The fields of a correction besides the figure's own: why, on behalf of which user, in which run."""
    return {
        "cause": cause,
        "reason": reason,
        "actor": actor.get(),
        "db_user": db_user,
        "run_id": run_id,
    }
