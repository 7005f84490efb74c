"""Draining: the owners that the triggers noted are locked, then recomputed in the next statement.

The app's session drains its own transaction's notes before commit and before it reads a figure.
Notes that an outside program left behind are drained by `outside.drain_noted`, with corrections.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any

from sqlalchemy import Connection, select

from ...base.actor import actor
from ..computing import definitions
from ..computing.dependencies import is_covered, lower_bundles, trustworthy
from ..computing.increments import Changes, apply, noted_names, unaccounted
from ..computing.registry import Bundle, Registry
from ..computing.relations import ONE_OWNER, OWNERS, Scope
from ..declaring.declaration import Source
from ..errors import WrongIsolation
from ..models import bundle_of_note
from .locking import Leading, hold_everybodys, led_to, lock_owners, scope_of
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
"""Set while a connection is being drained: what the drain itself reads settles nothing, for the drain does."""


@dataclass
class Drained:
    """What a drain did: notes taken, rows written, corrections left (their ids, by figure).

    `held` names owners, by bundle, that were left alone: see `Registry.held`; `locked` those of whom
    a row of locked days is wrong, which was not written. It is `cut` where as many rows were written as may
    be: there may be more.
    """

    notes: int = 0
    changed: Changes = field(default_factory=list)
    corrected: dict[str, list[int]] = field(default_factory=dict)
    held: dict[str, set[int]] = field(default_factory=dict)
    locked: set[int] = field(default_factory=set)
    is_cut: bool = False

    @property
    def corrections(self) -> list[int]:
        """The ids of all corrections."""
        return list(chain.from_iterable(self.corrected.values()))

    def add(self, other: "Drained") -> None:
        """Take in what a further drain did."""
        self.notes += other.notes
        self.changed += other.changed
        for figure, corrections in other.corrected.items():
            self.corrected.setdefault(figure, []).extend(corrections)
        for bundle, owners in other.held.items():
            self.held.setdefault(bundle, set()).update(owners)
        self.locked |= other.locked
        self.is_cut = self.is_cut or other.is_cut


Pending = dict[str, Touched]
Correcting = dict[str, Any]
Unnoted = defaultdict[str, set[int]]
"""By bundle, the owners of whom something was wrong before the writes that are drained."""
Fresh = dict[str, set[int]]
"""By bundle, the owners just recomputed: what is noted of them is the core's own write."""
Known = dict[str, set[int]]
"""By bundle, the owners, locked, whose figures this transaction has compared with the facts."""


def drain(
    connection: Connection,
    registry: Registry,
    pending: Pending | None = None,
    correcting: Correcting | None = None,
    *,
    alone: bool = False,
    deferred: Collection[str] = (),
    unnoted: Unnoted | None = None,
    by_facts: bool = False,
    only: Mapping[str, Collection[int]] | None = None,
    most_rows: int | None = None,
) -> Drained:
    """Recompute whatever this transaction has touched, and what is `pending` beside it.

    Bundle after bundle in the order in which they build on each other, until no note is left.
    With `correcting` (see `correction_of`) every figure row that changes leaves a correction and
    no stored figure is trusted, but for those that this very drain has compared with the facts under
    their owners' locks: what builds on them is not computed down to the facts again. So nothing has to
    wait until what is beneath it is right, and no change is added to what may be wrong. `alone` stops
    after the pending bundle: what builds on it stays noted, for another session to drain. Notes on
    bundles that are `deferred` are dropped: the caller verifies those afterwards, and heals what is
    wrong by the facts. With `unnoted`, what was wrong before anybody noted it is corrected in nobody's name.
    `by_facts` trusts no stored figure without correcting any, so that what is written does not depend on what else
    is. Of the bundles in `only` the notes on other owners are dropped: the caller knows that nothing of theirs changes.
    Of a bundle that is corrected at `most_rows` are written; where there may be more, nothing that builds on it is
    (`alone`: it stays noted).
    """
    total = Drained()
    drains = _Drains(
        connection, registry, pending or {}, correcting, alone, deferred, unnoted, only or {},
        is_tampered=by_facts, most_rows=most_rows, asked=frozenset(pending or ()),
    )  # fmt: skip
    for name, touched in drains.waiting.items():
        drains.seen[name] |= touched.named
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
    """While inside, what is read settles nothing."""
    info = connection.info  # a connection that is lost in the drain has none any more
    info[DRAINING] = True
    try:
        yield
    finally:
        info[DRAINING] = False


@dataclass
class _Drains:
    """One drain: whom it still has to recompute, and what it has learned on its way up."""

    connection: Connection
    registry: Registry
    waiting: Pending
    correcting: Correcting | None
    alone: bool
    deferred: Collection[str]
    unnoted: Unnoted | None = None
    only: Mapping[str, Collection[int]] = field(default_factory=dict)
    seen: dict[str, set[int | None]] = field(default_factory=lambda: defaultdict(set))
    """By bundle, the owners whom a note has named: they have been changing since."""
    is_tampered: bool = False
    """Whether an owner that this transaction touches was wrong before it: then only facts are trusted."""
    most_rows: int | None = None
    asked: frozenset[str] = frozenset()
    """The bundles that the caller asked for: of no other is anything left for another time."""
    fresh: Fresh = field(default_factory=dict)
    locked: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """By owners' table, whom this drain has locked; they stay so until its transaction ends."""
    known: Known = field(default_factory=dict)
    others: frozenset[str] = frozenset()
    """Bundles that the database keeps by another definition; asked where corrections are made."""

    def __post_init__(self) -> None:
        """Raises AnotherDefinition where what is to be corrected is not ours to correct."""
        self.definitions = tuple(definitions.digests(self.registry).values())
        if self.correcting is not None:
            definitions.hold(self.connection)
            self.others = definitions.differing(self.connection, self.registry)
            if not_ours := self.others.intersection(self.waiting):
                raise definitions.another(self.registry, not_ours)

    def collect(self) -> None:
        """Take this transaction's notes, but for those that the core's own last write has made.

        Nothing ran in between, so a note on a bundle and owner just recomputed under lock is ours.
        """
        taken = TAKE_MINE.rows(
            self.connection, known=tuple(noted_names(self.registry)), definitions=self.definitions
        )
        for _id, name, was_wrong, owner, *touched, isolation in sorted(taken):
            if isolation != "read committed":
                raise WrongIsolation(isolation)
            bundle = bundle_of_note(name)
            if was_wrong is not False:
                self._was_wrong(bundle, owner, is_sure=was_wrong)
                continue
            self.seen[bundle].add(owner)
            if owner not in self.fresh.get(bundle, ()) and self._is_wanted(bundle, owner):
                self.waiting.setdefault(bundle, Touched()).add(owner, *touched)

    def _is_wanted(self, bundle: str, owner: int | None) -> bool:
        return bundle not in self.deferred and owner in self.only.get(bundle, (owner,))

    def _was_wrong(self, bundle: str, owner: int, *, is_sure: bool) -> None:
        """Something has, or may have, written past the triggers, unless a note named the owner before."""
        if owner not in self.seen[bundle]:
            self.is_tampered = True
            if is_sure and self.unnoted is not None:
                self.unnoted[bundle].add(owner)

    def next(self, bundle: Bundle) -> Drained:
        """Settle one bundle, and remember of whom it is known by the facts."""
        touched, names = self.waiting.pop(bundle.name), [bundle.name]
        if self.is_by_facts:
            bundle, names = self._with_expressions(bundle, touched)
        owners, drained = self._settle(bundle, names, touched)
        if self.is_by_facts:
            for name in names:
                self.known.setdefault(name, set()).update(owners - drained.held.get(name, set()))
        self.fresh = dict.fromkeys(names, owners)
        return drained

    @property
    def is_by_facts(self) -> bool:
        """Whether everything is computed down to the facts, rather than from what is stored beneath."""
        return self.is_tampered or self.correcting is not None

    def _with_expressions(self, bundle: Bundle, touched: Touched) -> tuple[Bundle, list[str]]:
        """The bundle, with what the same rows build on it where that is pending for the same owners."""
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

        `names` are the bundles that are settled so: see `_with_expressions`.
        """
        owners = touched.owners
        hold_everybodys(self.connection, bundle, is_changed=touched.everything)
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
        if self.unnoted is not None and bundle.incremental and not touched.everything:
            reported = locked - touched.owners
            self.unnoted[bundle.name] |= unaccounted(
                self.connection, self.registry, bundle.figures[0], touched.deltas, reported
            )
        done = self._correct(bundle, names, absolute)
        if deltas:
            there = [d for d in deltas if d.owner in locked]
            done.changed += apply(self.connection, bundle.figures[0], there)
        if since:
            places = [at for at in since if at[0] in locked]
            done.changed += self._continued(bundle, places)
        return locked, done

    def _locked(self, bundle: Bundle, owners: set[int], leading: Leading) -> set[int]:
        """Those of the owners that exist, locked: by this drain for a lower bundle already, or now."""
        mine = self.locked[bundle.owner_table.name]
        if owners <= mine and not led_to(bundle):
            return owners
        locked = lock_owners(self.connection, bundle, owners, leading)
        mine |= locked
        return locked

    def _continued(self, bundle: Bundle, places: Sequence[tuple[int, str]]) -> Changes:
        """Write what is expected of these owners from these places on."""
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
        """Recompute these owners; of those whose corrections may not stand all is taken back (see `Registry.held`).

        So nothing is asked about whoever was right, and nobody is computed twice unless an owner is held.
        """
        if self.correcting is None or self.registry.held is None:
            return self._recomputed(bundle, names, owners)
        point = self.connection.begin_nested()
        done = self._recomputed(bundle, names, owners)
        held = done.locked | self.registry.held(self.connection, bundle, done.corrections)
        if not held:
            point.commit()
            return done
        point.rollback()
        done = self._recomputed(bundle, names, owners - held)
        done.held = dict.fromkeys(names, held)
        return done

    def _recomputed(self, bundle: Bundle, names: Sequence[str], owners: set[int]) -> Drained:
        done = Drained()
        for part, why in self._named(names, owners):
            done.add(self._recompute(bundle, names, part, why))
        return done

    def _named(
        self, names: Sequence[str], owners: set[int]
    ) -> Iterator[tuple[set[int], Correcting | None]]:
        """The owners with what their corrections say: no innocent is named for what nobody noted."""
        unnoted = {o for name in names if self.unnoted for o in self.unnoted[name]} & owners
        if owners - unnoted:
            yield owners - unnoted, self.correcting
        if unnoted and self.correcting is not None:
            yield unnoted, correction_of("heal", run_id=self.correcting["run_id"])

    def _recompute(
        self, bundle: Bundle, names: Sequence[str], owners: set[int], why: Correcting | None
    ) -> Drained:
        """Write what is expected of these owners; a correction notes little of it, see `triggers`."""
        scope, values = scope_of(owners)
        correct = self.correcting is not None
        most_rows = self.most_rows if bundle.name in self.asked else None
        statement = recompute(
            self.registry, bundle, scope,
            correct=correct, by_facts=self.is_by_facts or bundle.incremental,
            trusted=self._trusted(bundle, owners), most_rows=most_rows,
        )  # fmt: skip
        leads = correct and not self.alone and self.unnoted is None
        led = led_through(self.registry, bundle, frozenset(names)) if leads else ()
        led = [way for way in led if way[0].name not in self.others]
        settled = [*names, *(reached_by(*way) for way in led)] if correct else ()
        with suppressing(self.connection, settled):
            answers = statement.rows(self.connection, **values, **(why or {}))
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

    def _trusted(self, bundle: Bundle, owners: set[int]) -> frozenset[Bundle]:
        """What these owners may be computed from as it is stored; asked while they are locked."""
        if not self.known:
            return frozenset()
        covered = [
            lower
            for lower in lower_bundles(self.registry, bundle)
            if is_covered(self.connection, self.registry, bundle, lower, owners, self.known)
        ]
        return trustworthy(self.registry, bundle, covered)


def correction_of(
    cause: str, reason: str = "", db_user: str = "", run_id: int | None = None
) -> Correcting:
    """What a correction records beside the figure's own: why, on whose behalf, in which run."""
    return {
        "cause": cause,
        "reason": reason,
        "actor": actor.get(),
        "db_user": db_user,
        "run_id": run_id,
    }
