"""Whether an owner's figures were right before a statement wrote: asked by the trigger that notes it.

A save recomputes from what is stored beneath, or adds what changed. Where somebody has written past the
triggers, that carries what is wrong into what was right. So whoever touches an owner first in a transaction
asks whether its figures are what their definitions make of what was stored: if not, the note says so, and
the drain computes everything of this transaction down to the facts.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    FromClause,
    Table,
    any_,
    literal_column,
    select,
    table,
    true,
    union_all,
)
from sqlalchemy import column as plain_column

from .declaration import Source
from .definitions import numbered
from .feeding import lower_bundles
from .registry import Bundle, Registry
from .relations import Condition, Relations, Scope
from .statements import DIALECT, wrong_owners

OWNERS = "touched_owners"
"""The variable of a trigger function that holds the owners whom a statement touches."""


class Touched(Scope):
    """The owners of the trigger's variable."""

    def condition(self, owner: ColumnElement[Any]) -> Condition:
        """`owner = ANY(touched_owners)`."""
        return owner == any_(literal_column(OWNERS, ARRAY(BigInteger)))


def is_asked(registry: Registry, bundle: Bundle) -> bool:
    """Whether something builds on the bundle, or it on something, so that a save may carry on what is wrong."""
    if bundle.incremental:
        return False
    return bool(lower_bundles(registry, bundle) or _upper(registry, bundle))


def asked_columns(registry: Registry, bundle: Bundle, source: Source) -> frozenset[str]:
    """The columns of a source whose change is a reason to ask: all but those that the bundle alone writes."""
    own = {c.key for f in bundle.figures_of(source.table) for c in f.columns if c not in f.entered}
    names = set(source.columns)
    if source.table in bundle.targets:
        names |= {
            name
            for upper in _upper(registry, bundle)
            for other in upper.sources
            if other.table is source.table
            for name in (*other.columns, *_named_by(other))
        }
    if source.through is None and source.owner is not next(iter(source.table.primary_key)):
        names.add(source.owner.key)
    return frozenset(names - own)


def wrong_before(registry: Registry, bundle: Bundle, source: Source, event: str) -> str:
    """SELECT owner, was_wrong: the touched owners whose figures were wrong before this event on this source.

    A row that leads to others may lead to one that is wrong: of its owners that stays open.
    """
    if event != "delete" and _leads_to_figures(registry, bundle, source):
        return f"SELECT unnest({OWNERS}) AS owner, NULL::boolean AS was_wrong"
    overlay = {source.table: _before(source.table, event)}
    relations = Relations(registry, frozenset(bundle.figures), overlay, overlay_is_scoped=False)
    found = wrong_owners(relations, bundle, Touched()).subquery("found")
    wrong = select(found.c.owner, true().label("was_wrong"))
    return numbered(str(wrong.compile(dialect=DIALECT, compile_kwargs={"literal_binds": True})))


def holds_figures_beneath(registry: Registry, bundle: Bundle, source: Source) -> bool:
    """Whether what the bundle reads in a source is kept by another."""
    keepers = {registry.keeper(source.table.c[name]) for name in source.columns}
    return bool(keepers - {None, *bundle.figures})


def _named_by(source: Source) -> Iterator[str]:
    if source.through is None:
        yield source.owner.key


def _upper(registry: Registry, bundle: Bundle) -> list[Bundle]:
    return [other for other in registry.bundles if bundle in lower_bundles(registry, other)]


def _leads_to_figures(registry: Registry, bundle: Bundle, source: Source) -> bool:
    return any(
        far.through is not None
        and far.through.table is source.table
        and holds_figures_beneath(registry, bundle, far)
        for far in bundle.sources
    )


def _before(written: Table, event: str) -> FromClause:
    """The table as it was before the event, from the trigger's transition tables."""
    key = next(iter(written.primary_key))
    now = select(*written.c)
    if event in ("insert", "update"):
        new = table("new_rows", plain_column(key.key))
        now = now.where(key.not_in(select(new.c[key.key])))
    if event == "insert":
        return now.subquery(f"before_{written.name}")
    old = select(table("old_rows", *(plain_column(c.key, c.type) for c in written.c)))
    return union_all(now, old).subquery(f"before_{written.name}")
