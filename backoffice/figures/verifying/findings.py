"""Drift, row by row, with the lowest drifted rows that it follows from; and rows without an owner.

Foreign keys keep an owner's row from going missing, but not when triggers are bypassed, nor in a partial restore; and
a pass over the owners does not find the rows that a missing owner leaves (`orphans`). A figure row without its owner
is surplus. Where facts name a missing owner (a payment's invoice, an invoice's meter), their total is stored nowhere:
the owner's own row is missing. Neither is corrected: a person restores the record, or deletes the remaining rows.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import compress
from typing import Any, Literal

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Connection,
    Table,
    any_,
    func,
    literal,
    select,
)

from ..computing.dependencies import pairs
from ..computing.registry import Bundle, Registry
from ..computing.relations import BETWEEN, OWNERS, Frame, Relations, Scope, absent
from ..computing.statements import Statement, drifted
from ..declaring.declaration import Figure, Source
from ..declaring.expressions import Total

Kind = Literal["different", "missing", "surplus"]


@dataclass(frozen=True)
class Row:
    """Identifies one row of one figure: the figure's name and the row's key."""

    figure: str
    key: tuple[tuple[str, Any], ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"figure": self.figure, "key": {k: str(v) for k, v in self.key}}


@dataclass(frozen=True)
class Finding:
    """One figure row that drifted: stored and expected values of the columns that differ.

    `roots` names the lowest drifted rows that it follows from; a row that differs from its own
    definition over the stored rows beneath it is its own root.
    """

    figure: Figure
    owner: int
    row: Row
    kind: Kind
    stored: Mapping[str, Any]
    expected: Mapping[str, Any]
    roots: tuple[Row, ...]
    is_orphan: bool = False
    """Whether the owner's own row is missing: a person has to decide, nothing is corrected."""

    @property
    def key(self) -> dict[str, Any]:
        """The row's key by column."""
        return dict(self.row.key)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; amounts as strings."""
        return {
            "figure": self.figure.name,
            "owner": self.owner,
            "key": {k: text_of(v) for k, v in self.row.key},
            "kind": self.kind,
            "stored": {k: text_of(v) for k, v in self.stored.items()},
            "expected": {k: text_of(v) for k, v in self.expected.items()},
            "root": self.roots[0].as_dict(),
            "roots": [r.as_dict() for r in self.roots],
        }


def text_of(value: Any) -> str | None:
    """The value for JSON, as PostgreSQL writes it; JSON values unchanged."""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return None if value is None else str(value)


def findings(
    connection: Connection, registry: Registry, bundle: Bundle, owners: Sequence[int]
) -> list[Finding]:
    """The wrong rows of the bundle's figures for these owners, each with its roots."""
    search = _Search(connection, registry)
    return [f for figure in bundle.figures for f in search.of(figure, owners)]


class _Search:
    """Findings by figure and owner within one snapshot; each is computed once."""

    def __init__(self, connection: Connection, registry: Registry) -> None:
        self.connection = connection
        self.registry = registry
        self._found: dict[Figure, dict[int, list[Finding]]] = defaultdict(dict)
        self._keys: dict[Row, int | None] = {}
        """The primary key of each drifted row; None of a missing one."""

    def of(self, figure: Figure, owners: Iterable[int]) -> list[Finding]:
        """The findings of `figure` in the rows of these owners."""
        known, asked = self._found[figure], sorted(set(owners))
        if unknown := [owner for owner in asked if owner not in known]:
            known |= {owner: [] for owner in unknown}
            for finding in self._look(figure, unknown):
                known.setdefault(finding.owner, []).append(finding)
        return [finding for owner in asked for finding in known[owner]]

    def _look(self, figure: Figure, owners: list[int]) -> list[Finding]:
        found_rows = drifted(self.registry, figure).run(self.connection, owners=owners)
        rows: list[Any] = list(found_rows.mappings())
        if not rows:
            return []
        result = _beneath(self.registry, figure).run(self.connection, owners=owners)
        width = len(figure.key)
        beneath = {tuple(row[:width]): tuple(row[width:]) for row in result}
        follows = [_follows(figure, row, beneath) for row in rows]
        feeding = self._feeding(figure, {r["owner"] for r in compress(rows, follows)})
        found = []
        for row, is_led in zip(rows, follows, strict=True):
            place = row["pk"] if figure.select is None else row["owner"]
            below = feeding.get(place, ()) if is_led else ()
            finding = _finding(figure, row, tuple({r: None for f in below for r in f.roots}))
            self._keys[finding.row] = row["pk"]
            found.append(finding)
        return found

    def _feeding(self, figure: Figure, owners: set[int]) -> dict[int, list[Finding]]:
        """The drifted rows that feed each row of the figure (of a SELECT: that feed each owner)."""
        feeding: dict[int, list[Finding]] = defaultdict(list)
        for lower in self.registry.depends_on(figure) if owners else ():
            above = self._owners_above(figure, lower, owners)
            found = self.of(lower, above)
            if figure.select is not None:
                for finding in found:
                    for owner in above[finding.owner]:
                        feeding[owner].append(finding)
                continue
            if lower.table is figure.table:
                for key, finding in self._by_key(found).items():
                    feeding[key].append(finding)
            for part in (t for t in figure.totals if t.child is lower.table):
                for place, finding in self._added_to(part, lower, found):
                    feeding[place].append(finding)
        return feeding

    def _owners_above(self, figure: Figure, lower: Figure, owners: set[int]) -> dict[int, set[int]]:
        """Owner of the lower figure → the ones of these owners that read its rows."""
        above: dict[int, set[int]] = defaultdict(set)
        if lower.owner_table is figure.owner_table:
            for owner in owners:
                above[owner].add(owner)
        for upper, below in pairs(figure, lower):
            mine = literal(sorted(owners), ARRAY(BigInteger))
            read = select(upper, below).where(upper == any_(mine)).distinct()
            for owner, key in self.connection.execute(read):
                above[key].add(owner)
        return above

    def _added_to(
        self, part: Total, lower: Figure, found: Sequence[Finding]
    ) -> list[tuple[int, Finding]]:
        """The lower findings, each with the row to which a total adds it."""
        if part.by is lower.owner:
            return [(finding.owner, finding) for finding in found]
        if part.by in lower.key:
            return [(finding.key[part.by.key], finding) for finding in found]
        by_key = self._by_key(found)
        rows = select(part.by, lower.primary_key).where(
            lower.primary_key == any_(literal(sorted(by_key), ARRAY(BigInteger)))
        )
        return [(place, by_key[key]) for place, key in self.connection.execute(rows)]

    def _by_key(self, found: Sequence[Finding]) -> dict[int, Finding]:
        keys = ((self._keys[finding.row], finding) for finding in found)
        return {key: finding for key, finding in keys if key is not None}


@cache
def _beneath(registry: Registry, figure: Figure) -> Statement:
    """By key, the figure's value by its definition over the rows beneath it *as they are stored*."""
    relations = Relations(registry, frozenset())
    if figure.select is None:
        reads = (*figure.columns, *figure.definitions.values())
        frame = Frame(relations, figure.table, OWNERS, figure.owner, reads)
        return Statement(
            frame.select(
                *(frame.stored(k) for k in figure.key),
                *(frame.value(figure.definitions[c], c) for c in figure.columns),
            )
        )
    rows = relations.expected_rows(figure, OWNERS).subquery()
    values = (func.coalesce(rows.c[c.key], absent(c)) for c in figure.columns)
    return Statement(select(*(rows.c[k.key] for k in figure.key), *values))


def _follows(
    figure: Figure, row: Mapping[str, Any], beneath: Mapping[Any, tuple[Any, ...]]
) -> bool:
    """Whether the row agrees with the stored rows beneath it, and so is wrong only because they are.

    Any other row was itself changed, inserted or deleted.
    """
    known = beneath.get(tuple(row[f"k{i}"] for i in range(len(figure.key))))
    if row["missing"]:
        return known is None
    if known is None and figure.derived_rows and figure.entered_rows is None:
        return False
    values = known or tuple(getattr(absent(c), "value", None) for c in figure.columns)
    stored = [row[f"s{i}"] for i in range(len(figure.columns))]
    expected = [row[f"e{i}"] for i in range(len(figure.columns))]
    return all(
        v == s for v, s, e in zip(values, stored, expected, strict=True) if row["surplus"] or s != e
    )


def _finding(figure: Figure, row: Mapping[str, Any], roots: tuple[Row, ...]) -> Finding:
    this = Row(figure.name, tuple((k.key, row[f"k{i}"]) for i, k in enumerate(figure.key)))
    kind: Kind = "missing" if row["missing"] else "surplus" if row["surplus"] else "different"
    differing = [
        (i, c)
        for i, c in enumerate(figure.columns)
        if kind != "different" or row[f"s{i}"] != row[f"e{i}"]
    ]
    return Finding(
        figure=figure,
        owner=row["owner"],
        row=this,
        kind=kind,
        stored={} if kind == "missing" else {c.key: row[f"s{i}"] for i, c in differing},
        expected={} if kind == "surplus" else {c.key: row[f"e{i}"] for i, c in differing},
        roots=roots or (this,),
    )


FIRST, LAST = 1 - 2**63, 2**63 - 1
"""The lowest and highest owner id."""


def orphans(
    connection: Connection,
    registry: Registry,
    bundle: Bundle,
    owners: Iterable[int] | None = None,
    *,
    low: int = FIRST,
    high: int = LAST,
) -> list[Finding]:
    """The rows of a bundle with a missing owner: of these owners, or of those from `low` to `high`."""
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
    """The sources with rows that name the owner themselves and are no figure rows of that owner."""
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
    """The figure's rows with a missing owner."""
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
    """The missing owners that a source's rows name."""
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
    """The finding for a missing owner: the owner is the only known part of its key."""
    name = figure.primary_key if figure.owner is figure.primary_key else figure.owner
    this = Row(figure.name, ((name.key, owner),))
    return Finding(figure, owner, this, "missing", {}, {}, (this,), is_orphan=True)
