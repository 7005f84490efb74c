"""Rows whose owner's row is missing: whoever walks the owners never comes by them.

Foreign keys keep that from happening, but not past the triggers, nor in a backup that was restored in parts.
A figure row without its owner is one too many. Where facts name an owner who is not there (a payment's
invoice, an invoice's meter), what they come to stands nowhere: the owner's own row is missing. Neither is
corrected: a person restores the record, or deletes what is left of it.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table, select

from .declaration import Figure, Source
from .findings import Finding, Row
from .registry import Bundle, Registry
from .relations import BETWEEN, OWNERS, Scope
from .statements import Statement

FIRST, LAST = 1 - 2**63, 2**63 - 1
"""The bounds of every owner's id."""


def orphans(
    connection: Connection,
    registry: Registry,
    bundle: Bundle,
    owners: Iterable[int] | None = None,
    *,
    low: int = FIRST,
    high: int = LAST,
) -> list[Finding]:
    """The rows of a bundle whose owner is missing: of these owners, or of those from `low` to `high`."""
    scope: Scope = BETWEEN if owners is None else OWNERS
    given: dict[str, Any] = {"low": low, "high": high}
    if owners is not None:
        given = {"owners": sorted(set(owners))}
    found: dict[Row, Finding] = {}
    for figure in bundle.figures:
        if figure.owner is not figure.primary_key:
            for row in _rows(figure, scope).run(connection, **given).mappings():
                finding = _surplus(figure, row)
                found.setdefault(finding.row, finding)
        for source in _facts(registry, figure):
            for (owner,) in _named(source, figure.owner_table, scope).run(connection, **given):
                finding = _missing(figure, owner)
                found.setdefault(finding.row, finding)
    return list(found.values())


def _facts(registry: Registry, figure: Figure) -> list[Source]:
    """The sources whose rows name the owner themselves and are no figure rows of that owner."""
    kept = {(other.table, other.owner) for other in registry.figures}
    return [
        source
        for source in figure.sources
        if source.through is None
        and source.table is not figure.owner_table
        and (source.table, source.owner) not in kept
    ]


@cache
def _rows(figure: Figure, scope: Scope) -> Statement:
    """The figure's rows whose owner is not there."""
    columns = [
        figure.owner.label("owner"),
        *(k.label(f"k{i}") for i, k in enumerate(figure.key)),
        *(c.label(f"s{i}") for i, c in enumerate(figure.columns)),
    ]
    is_there = select(figure.owner_key).where(figure.owner_key == figure.owner).exists()
    condition = scope.condition(figure.owner)
    assert condition is not None
    return Statement(select(*columns).where(condition, ~is_there).order_by("owner"))


@cache
def _named(source: Source, owner_table: Table, scope: Scope) -> Statement:
    """The owners whom a source's rows name and who are not there."""
    key = next(iter(owner_table.primary_key))
    named = source.table.c[source.owner.key]
    is_there = select(key).where(key == named).exists()
    condition = scope.condition(named)
    assert condition is not None
    return Statement(select(named).where(condition, ~is_there).distinct())


def _surplus(figure: Figure, row: Any) -> Finding:
    this = Row(figure.name, tuple((k.key, row[f"k{i}"]) for i, k in enumerate(figure.key)))
    stored = {c.key: row[f"s{i}"] for i, c in enumerate(figure.columns)}
    return Finding(figure, row["owner"], this, "surplus", stored, {}, (this,), is_orphan=True)


def _missing(figure: Figure, owner: int) -> Finding:
    """The figure stands on its owner's row, or on rows that name the owner: the owner is what is known."""
    name = figure.primary_key if figure.owner is figure.primary_key else figure.owner
    this = Row(figure.name, ((name.key, owner),))
    return Finding(figure, owner, this, "missing", {}, {}, (this,), is_orphan=True)
