"""Locks, in id order, the owners with sums that triggers add to (`at_once`), before a flush writes rows of several.

A trigger locks its owners when its statement runs. A flush sends one statement after another as its rows differ in
their columns, so two transactions that write for the same owners could each hold what the other waits for.
"""

from functools import cache
from itertools import chain
from typing import Any

from sqlalchemy import Column, Table, event, inspect
from sqlalchemy.orm import Session

from ..computing.registry import Bundle, Registry
from .locking import hold


def install(session: Any, registry: Registry) -> None:
    """Make a session (class, factory or scoped session) lock these owners before it flushes."""

    @event.listens_for(session, "before_flush")
    def _hold_in_order(session: Session, *_: Any) -> None:
        for bundle, owners in _touched(session, registry).items():
            if len(owners) > 1:
                hold(session.connection(), bundle, owners)


def _touched(session: Session, registry: Registry) -> dict[Bundle, set[int]]:
    """Bundle → owners of the rows that this flush writes; owners set only by a relationship are not seen yet."""
    found: dict[Bundle, set[int]] = {}
    sources = _sources(registry)
    for instance in chain(session.new, session.dirty, session.deleted) if sources else ():
        state = inspect(instance)
        for bundle, column in sources.get(state.mapper.local_table, ()):
            history = state.attrs[state.mapper.get_property_by_column(column).key].history
            owners = (owner for owner in history.sum() if owner is not None)
            found.setdefault(bundle, set()).update(owners)
    return {bundle: found[bundle] for bundle in registry.bundles if bundle in found}


@cache
def _sources(registry: Registry) -> dict[Table, list[tuple[Bundle, Column[Any]]]]:
    """By table, the columns that name the owners its triggers lock, each with their bundle."""
    found: dict[tuple[Table, Column[Any]], Bundle] = {}
    for bundle in (b for b in registry.bundles if b.figures[0].at_once):
        for source in (s for s in bundle.sources if not s.owner.primary_key):
            found.setdefault((source.table, source.owner), bundle)
    by_table: dict[Table, list[tuple[Bundle, Column[Any]]]] = {}
    for (table, column), bundle in found.items():
        by_table.setdefault(table, []).append((bundle, column))
    return by_table
