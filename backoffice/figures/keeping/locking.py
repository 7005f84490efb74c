"""Locks on owners: owners are locked in id order before any fact is read to recompute their figures."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from ..computing.registry import Bundle
from ..computing.relations import ONE_OWNER, OWNERS, Scope
from ..computing.statements import lock, lock_rows, named_by
from ..declaring.declaration import Source

Ids = Mapping[str, set[int]]
"""Table name → ids of some of its rows."""


@dataclass(frozen=True)
class Leading:
    """Rows of sources that reach their owner through another table, which is queried for the owner.

    This transaction holds the locks of rows that it has `written` until its end.
    """

    noted: Ids = field(default_factory=dict)
    written: Ids = field(default_factory=dict)

    def to_lock(self, table: str) -> set[int]:
        """Those of a table that this transaction has not yet locked by writing them."""
        return self.noted.get(table, set()) - self.written.get(table, set())

    def of(self, table: str) -> set[int]:
        """All of them in a table."""
        return self.noted.get(table, set()) | self.written.get(table, set())


def scope_of(owners: set[int]) -> tuple[Scope, dict[str, Any]]:
    """The scope of a statement about `owners`, and its parameters."""
    if len(owners) == 1:
        return ONE_OWNER, {"owner": next(iter(owners))}
    return OWNERS, {"owners": sorted(owners)}


def hold(connection: Connection, bundle: Bundle, owners: Iterable[int]) -> None:
    """Lock the bundle's owners, as the drain does, before a fact is entered beside its figures.

    A transaction that enters a fact in a derived row holds that row and then, in the drain, waits for its
    owner; one that changes a source holds the owner and waits for the row. So both lock the owner first.
    """
    scope, values = scope_of(set(owners))
    lock(bundle, scope).run(connection, **values)


def lock_owners(
    connection: Connection, bundle: Bundle, owners: set[int], leading: Leading
) -> set[int]:
    """Lock the owners in id order; returns those that exist.

    Where a source reaches its owner through another table, the owner may have changed before the lock
    was granted: it is looked up again, and new owners are locked too, until there are none. The
    source's own rows are locked first: a transaction that changes one of them while this one links it to an
    owner shares no owner lock with it.
    """
    for far in led_to(bundle):
        if ids := leading.to_lock(far.table.name):
            lock_rows(far.table).run(connection, ids=sorted(ids))
    locked: set[int] = set()
    asked: set[int] = set()
    waiting = set(owners) | _named_through(connection, bundle, leading)
    while waiting:
        asked |= waiting
        scope, values = scope_of(waiting)
        locked |= {key for (key,) in lock(bundle, scope).rows(connection, **values)}
        waiting = _named_through(connection, bundle, leading) - asked
    return locked


def led_to(bundle: Bundle) -> list[Source]:
    """The sources that reach the bundle's owners through another table."""
    return [s for f in bundle.figures for s in f.sources if s.through is not None]


def _named_through(connection: Connection, bundle: Bundle, leading: Leading) -> set[int]:
    found: set[int] = set()
    for far in led_to(bundle):
        if ids := leading.of(far.table.name):
            rows = named_by(far).rows(connection, ids=sorted(ids))
            found |= {owner for (owner,) in rows}
    return found
