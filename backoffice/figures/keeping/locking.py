"""Holding owners: whoever recomputes an owner's figures holds the owner, in id order, from before it reads a fact."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import Any

from sqlalchemy import BigInteger, Connection, Text, cast, func, literal, select

from ..computing.registry import Bundle
from ..computing.relations import ONE_OWNER, OWNERS, Scope
from ..computing.statements import Statement, lock, lock_rows, named_by
from ..declaring.declaration import Source

Ids = Mapping[str, set[int]]
"""Of tables, by their names, the ids of some rows."""


@dataclass(frozen=True)
class Leading:
    """Rows of sources that reach their owner through another table, which is asked whose they are.

    Those that this transaction has `written` are held by that until its end.
    """

    noted: Ids = field(default_factory=dict)
    written: Ids = field(default_factory=dict)

    def to_lock(self, table: str) -> set[int]:
        """Those of a table that this transaction has not locked by writing them."""
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

    Whoever enters a fact in a derived row holds that row and then, in the drain, waits for its
    owner; whoever changes a source holds the owner and waits for the row. Owner first, by both.
    """
    scope, values = scope_of(set(owners))
    lock(bundle, scope).run(connection, **values)


def lock_owners(
    connection: Connection, bundle: Bundle, owners: set[int], leading: Leading
) -> set[int]:
    """Lock the owners in id order; answers those that exist.

    Where a source reaches its owner through another table, that may have changed until the lock
    was held: it is asked again, and whoever it names now is locked too, until nobody is new. The
    source's own rows are locked first: who changes one of them while we lead it to an owner locks
    no owner in common with us.
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


def hold_everybodys(connection: Connection, bundle: Bundle, *, is_changed: bool) -> None:
    """Let whoever changes what is everybody's wait for those who are being recomputed, and them for it.

    An owner who comes meanwhile is locked by nobody, and would be left at what everybody's was before.
    """
    if any(source.for_everybody for source in bundle.sources):
        _everybodys(bundle, is_changed).rows(connection)


@cache
def _everybodys(bundle: Bundle, is_changed: bool) -> Statement:
    key = literal(
        int.from_bytes(sha256(bundle.name.encode()).digest()[:8], signed=True), BigInteger
    )
    held = func.pg_advisory_xact_lock(key) if is_changed else func.pg_advisory_xact_lock_shared(key)
    return Statement(select(cast(held, Text)))


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
