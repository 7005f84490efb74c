"""Draining: the owners that the triggers noted are locked, then recomputed in the next statement.

The app's session drains its own transaction's notes before commit and before it reads a figure.
Notes that an outside program left behind are drained by `drain_noted`, with corrections.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Text,
    and_,
    any_,
    bindparam,
    delete,
    func,
    literal,
    or_,
    select,
)

from ..base import table_of
from .actor import actor
from .applying import Changes, Delta, apply
from .declaration import Source
from .errors import WrongIsolation
from .feeding import is_covered, lower_bundles, trustworthy
from .models import FigureNote, noted_bundle
from .recomputing import CORRECTED, WAITING, recompute, settling
from .registry import Bundle, Registry
from .relations import ONE_OWNER, OWNERS, Scope
from .statements import Statement, lock, lock_rows, named_by

NOTES = table_of(FigureNote)

_KNOWN: Any = any_(bindparam("known", type_=ARRAY(Text)))
"""What this process's declarations note. A newer process's notes are not ours to take."""

_take_mine = Statement(
    delete(NOTES)
    .where(NOTES.c.xid == func.pg_current_xact_id(), NOTES.c.bundle == _KNOWN)
    .returning(
        NOTES.c.bundle, NOTES.c.owner, NOTES.c.source, NOTES.c.source_id, NOTES.c.key,
        NOTES.c.delta, func.current_setting("transaction_isolation"),
    )
)  # fmt: skip


@dataclass
class Touched:
    """What the notes say of one bundle: whose figures to recompute, or by how much they changed."""

    everything: bool = False
    owners: set[int] = field(default_factory=set)
    deltas: list[Delta] = field(default_factory=list)
    rows: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    def add(
        self,
        owner: int | None,
        source: str | None,
        source_id: int | None,
        key: list[str] | None = None,
        delta: list[Decimal] | None = None,
    ) -> None:
        """Take one note in; an absolute recompute outweighs any change noted beside it."""
        if source is not None and source_id is not None:
            self.rows[source].add(source_id)
        if owner is None:
            self.everything = self.everything or source is None
        elif delta is None:
            self.owners.add(owner)
        else:
            self.deltas.append(Delta(owner, tuple(key or ()), delta))


@dataclass
class Drained:
    """What a drain did: notes taken, rows written, corrections left (their ids).

    `waiting` names owners, by bundle, that were left alone because something beneath is wrong.
    """

    notes: int = 0
    changed: Changes = field(default_factory=list)
    corrections: list[int] = field(default_factory=list)
    waiting: dict[str, set[int]] = field(default_factory=dict)

    def add(self, other: "Drained") -> None:
        """Take in what a further drain did."""
        self.notes += other.notes
        self.changed += other.changed
        self.corrections += other.corrections
        for bundle, owners in other.waiting.items():
            self.waiting.setdefault(bundle, set()).update(owners)


Pending = dict[str, Touched]
Correcting = dict[str, Any]
Fresh = set[tuple[str, int]]
"""Bundle and owner, just recomputed: what is noted of them is the core's own write."""
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
    careful: bool = False,
) -> Drained:
    """Recompute whatever this transaction has touched, and what is `pending` beside it.

    Bundle after bundle in the order in which they build on each other, until no note is left.
    With `correcting` (see `correction_of`) every figure row that changes leaves a correction and
    no stored figure is trusted, but for those that this very drain has compared with the facts under
    their owners' locks: what builds on them is not computed down to the facts again. `alone` stops
    after the pending bundle: what builds on it stays noted, for somebody else to drain. Notes on
    bundles that are `deferred` are dropped: the caller verifies those afterwards, and heals what is
    wrong by the facts. `careful`: see `recompute`.
    """
    total = Drained()
    waiting: Pending = pending or {}
    fresh: Fresh = set()
    known: Known = {}
    while True:
        _collect(connection, registry, waiting, fresh, deferred)
        bundle = next((b for b in registry.bundles if b.name in waiting), None)
        if bundle is None:
            return total
        drained, fresh = _next(connection, registry, bundle, waiting, correcting, careful, known)
        total.add(drained)
        if alone:
            _drop_mine(connection, fresh)
            return total


def _next(
    connection: Connection,
    registry: Registry,
    bundle: Bundle,
    waiting: Pending,
    correcting: Correcting | None,
    careful: bool,
    known: Known,
) -> tuple[Drained, Fresh]:
    """Settle one bundle, and remember of whom it is known by the facts."""
    touched, names = waiting.pop(bundle.name), [bundle.name]
    if correcting is not None and careful:
        bundle, names = _with_expressions(registry, bundle, touched, waiting)
    by_facts = correcting is not None and (careful or not bundle.incremental)
    trusted = known if by_facts else {}
    owners, drained = _settle(
        connection, registry, bundle, names, touched, correcting, careful, trusted
    )
    if by_facts:
        right = owners - drained.waiting.get(bundle.name, set())
        for name in names:
            known.setdefault(name, set()).update(right)
    return drained, {(name, owner) for owner in owners for name in names}


def _with_expressions(
    registry: Registry, bundle: Bundle, touched: Touched, waiting: Pending
) -> tuple[Bundle, list[str]]:
    """The bundle, with what the same rows build on it where that is pending for the same owners."""
    joined = registry.with_expressions(bundle)
    if joined is None or joined[0].name not in waiting:
        return bundle, [bundle.name]
    other, both = joined
    also = waiting[other.name]
    if touched.everything or also.everything or touched.owners != also.owners or touched.deltas:
        return bundle, [bundle.name]
    del waiting[other.name]
    return both, [bundle.name, other.name]


def _drop_mine(connection: Connection, fresh: Fresh) -> None:
    """Forget the notes that the core's own write has made on owners just recomputed."""
    mine = delete(NOTES).where(NOTES.c.xid == func.pg_current_xact_id())
    for name in {name for name, _ in fresh}:
        owners = sorted(owner for known, owner in fresh if known == name)
        settled = any_(literal(owners, ARRAY(BigInteger)))
        connection.execute(mine.where(NOTES.c.bundle == name, NOTES.c.owner == settled))


def drain_noted(
    connection: Connection,
    registry: Registry,
    ids: Sequence[int],
    *,
    run_id: int | None = None,
    alone: bool = False,
) -> Drained:
    """Drain notes that outside programs left behind.

    The corrections name the cause `bypass` and the database user who wrote. Notes that another
    worker is draining are passed over; with `alone` what builds on them stays noted.
    """
    chosen = select(NOTES.c.id).where(NOTES.c.id == func.any(ids), ours(registry))
    chosen = chosen.with_for_update(skip_locked=True)
    taken = connection.execute(
        delete(NOTES)
        .where(NOTES.c.id.in_(chosen.scalar_subquery()))
        .returning(
            NOTES.c.bundle,
            NOTES.c.owner,
            NOTES.c.source,
            NOTES.c.source_id,
            NOTES.c.db_user,
        )
    ).all()
    by_user: dict[str, Pending] = {}
    for name, owner, source, source_id, db_user in taken:
        pending = by_user.setdefault(db_user, {})
        pending.setdefault(_bundle_of(name), Touched()).add(owner, source, source_id)
    total = Drained(notes=len(taken))
    for db_user, pending in sorted(by_user.items()):
        correcting = correction_of("bypass", db_user=db_user, run_id=run_id)
        total.add(drain(connection, registry, pending, correcting, alone=alone))
    return total


def _collect(
    connection: Connection,
    registry: Registry,
    pending: Pending,
    fresh: Fresh,
    deferred: Collection[str],
) -> None:
    """Take this transaction's notes, but for those that the core's own last write has made.

    Nothing ran in between, so a note on a bundle and owner just recomputed under lock is ours.
    """
    for name, owner, *touched, isolation in _take_mine.rows(connection, known=registry.noted_names):
        if isolation != "read committed":
            raise WrongIsolation(isolation)
        bundle = _bundle_of(name)
        if (bundle, owner) not in fresh and bundle not in deferred:
            pending.setdefault(bundle, Touched()).add(owner, *touched)


def ours(registry: Registry) -> ColumnElement[bool]:
    """The notes of bundles that this process knows, by whatever declaration: it recomputes absolutely."""
    return noted_bundle.in_(registry.bundle_names)


def due(registry: Registry) -> ColumnElement[bool]:
    """Of ours, the notes that are not put off because they could not be drained."""
    is_due = or_(NOTES.c.retry_at.is_(None), NOTES.c.retry_at <= func.clock_timestamp())
    return and_(ours(registry), is_due)


def _bundle_of(name: str) -> str:
    """The bundle that a note names; see `Bundle.change_name`."""
    return name.partition("#")[0]


def _settle(
    connection: Connection,
    registry: Registry,
    bundle: Bundle,
    names: Sequence[str],
    touched: Touched,
    correcting: Correcting | None,
    careful: bool,
    known: Known,
) -> tuple[set[int], Drained]:
    """Lock the owners, then recompute in the next statement, or apply the noted changes.

    `names` are the bundles that are settled so: see `_with_expressions`.
    """
    owners = touched.owners
    if touched.everything:
        owners = set(connection.execute(select(bundle.owner_key)).scalars())
    deltas = [d for d in touched.deltas if d.owner not in owners]
    moved = {d.owner for d in deltas}
    if correcting is not None:
        owners, deltas, moved = owners | moved, [], set()
    locked = lock_owners(connection, bundle, owners | moved, touched.rows)
    absolute = locked - moved
    done = Drained()
    if absolute:
        scope, values = _scope(absolute)
        correct = correcting is not None
        trusted = _trusted(connection, registry, bundle, absolute, known)
        statement = recompute(
            registry, bundle, scope, correct=correct, careful=careful, trusted=trusted
        )
        with settling(connection, names if correct else ()):
            answers = statement.rows(connection, **values, **(correcting or {}))
        for number, key in answers:
            if number == CORRECTED:
                done.corrections.append(key)
            elif number == WAITING:
                done.waiting.setdefault(bundle.name, set()).add(key)
            else:
                done.changed.append((bundle.targets[number], key))
    if deltas:
        there = [d for d in deltas if d.owner in locked]
        done.changed += apply(connection, bundle.figures[0], there)
    return locked, done


def _trusted(
    connection: Connection, registry: Registry, bundle: Bundle, owners: set[int], known: Known
) -> frozenset[Bundle]:
    """What these owners may be computed from as it is stored; asked while they are locked."""
    if not known:
        return frozenset()
    covered = [
        lower
        for lower in lower_bundles(registry, bundle)
        if is_covered(connection, registry, bundle, lower, owners, known)
    ]
    return trustworthy(registry, bundle, covered)


def _scope(owners: set[int]) -> tuple[Scope, dict[str, Any]]:
    """The scope of a statement about `owners`, and its parameters."""
    if len(owners) == 1:
        return ONE_OWNER, {"owner": next(iter(owners))}
    return OWNERS, {"owners": sorted(owners)}


def hold(connection: Connection, bundle: Bundle, owners: Iterable[int]) -> None:
    """Lock the bundle's owners, as the drain does, before a fact is entered beside its figures.

    Whoever enters a fact in a derived row holds that row and then, in the drain, waits for its
    owner; whoever changes a source holds the owner and waits for the row. Owner first, by both.
    """
    scope, values = _scope(set(owners))
    lock(bundle, scope).run(connection, **values)


def lock_owners(
    connection: Connection,
    bundle: Bundle,
    owners: set[int],
    rows: Mapping[str, set[int]],
) -> set[int]:
    """Lock the owners in id order; answers those that exist.

    Where a source reaches its owner through another table, that may have changed until the lock
    was held: it is asked again, and whoever it names now is locked too, until nobody is new. The
    source's own rows are locked first: who changes one of them while we lead it to an owner locks
    no owner in common with us.
    """
    for far in _reached_through(bundle):
        if ids := rows.get(far.table.name):
            lock_rows(far.table).run(connection, ids=sorted(ids))
    locked: set[int] = set()
    asked: set[int] = set()
    waiting = set(owners) | _named_through(connection, bundle, rows)
    while waiting:
        asked |= waiting
        scope, values = _scope(waiting)
        locked |= {key for (key,) in lock(bundle, scope).rows(connection, **values)}
        waiting = _named_through(connection, bundle, rows) - asked
    return locked


def _reached_through(bundle: Bundle) -> list[Source]:
    return [s for f in bundle.figures for s in f.sources if s.through is not None]


def _named_through(
    connection: Connection, bundle: Bundle, rows: Mapping[str, set[int]]
) -> set[int]:
    found: set[int] = set()
    for far in _reached_through(bundle):
        if ids := rows.get(far.table.name):
            found |= set(named_by(far).run(connection, ids=sorted(ids)).scalars())
    return found


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
