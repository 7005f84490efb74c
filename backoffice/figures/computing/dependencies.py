"""Which rows feed which, and which lower figures are known to be right after a comparison with the facts.

The owners of a lower bundle that feed the owners of a bundle built on it, and the reverse; and whether
a bundle may read a lower one as it is stored.
"""

from collections.abc import Collection, Iterable, Iterator
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Connection,
    Select,
    any_,
    bindparam,
    func,
    select,
    true,
    union,
)

from ..declaring.declaration import Figure, Source
from .registry import Bundle, Registry
from .statements import Statement

_OWNERS: Any = any_(bindparam("owners", type_=ARRAY(BigInteger)))
_LOW, _HIGH = (bindparam(name, type_=BigInteger) for name in ("low", "high"))

Pair = tuple[Any, Any]
"""Columns of a source's row: the owner that reads it, and the owner of the lower figure in it."""


def pairs(figure: Figure, lower: Figure) -> Iterator[Pair]:
    """Every way in which a figure reads a lower one, other than from its own owner's row."""
    for source in figure.sources:
        if source.table is lower.table and source.owner is not lower.owner:
            yield _pair(source, lower)


def _pair(source: Source, lower: Figure) -> Pair:
    if source.through is None:
        return source.table.c[source.owner.key], lower.owner
    middle = source.through.table
    return middle.c[source.owner.key], _led_to(source.through, lower)


def _led_to(through: Column[Any], lower: Figure) -> Any:
    """The owner of the lower figure in the row that an intermediate row refers to."""
    if lower.owner is lower.primary_key:
        return through
    leading = select(lower.owner).where(lower.primary_key == through.table.c[through.key])
    return leading.scalar_subquery()


def has_same_owners(upper: Bundle, lower: Bundle) -> bool:
    """Whether each owner of `upper` reads its own row of `lower`."""
    return upper.owner_table is lower.owner_table


def lower_bundles(registry: Registry, bundle: Bundle) -> list[Bundle]:
    """The other bundles that this one builds on directly."""
    beneath = {g for f in bundle.figures for g in registry.depends_on(f)} - set(bundle.figures)
    return [other for other in registry.bundles if beneath.intersection(other.figures)]


def trustworthy(
    registry: Registry, bundle: Bundle, compared: Collection[Bundle]
) -> frozenset[Bundle]:
    """Of the lower bundles compared with the facts, those that a bundle may read as stored.

    The owners that build on a wrong row must be found by stored columns; they are not where the row may be missing, nor
    where the lower figure itself names the owner. And the lower bundle must not be read by another path, through a
    bundle that is not trusted: that one is computed down to the facts, ignoring what is stored.
    """
    lower = lower_bundles(registry, bundle)
    trusted = {known for known in lower if known in compared and names_owners(bundle, known)}
    while True:
        opened = _opened(registry, [known for known in lower if known not in trusted])
        if not trusted & opened:
            return frozenset(trusted)
        trusted -= opened


def _opened(registry: Registry, bundles: Iterable[Bundle]) -> set[Bundle]:
    """These bundles and every bundle that they build on."""
    found, waiting = set(bundles), list(bundles)
    while waiting:
        new = set(lower_bundles(registry, waiting.pop())) - found
        found |= new
        waiting += new
    return found


def names_owners(upper: Bundle, lower: Bundle) -> bool:
    """Whether stored columns lead from a wrong row to the owners built on it, both before and after its correction."""
    may_be_missing = any(f.derived_rows for f in lower.figures)
    if may_be_missing and not has_same_owners(upper, lower):
        return False
    return not _leading(upper) & {c for f in lower.figures for c in f.columns}


def _leading(bundle: Bundle) -> set[Column[Any]]:
    """The columns by which rows refer to the owners of a bundle."""
    sources = [s for f in bundle.figures for s in f.sources]
    found = {s.table.c[s.owner.key] if s.through is None else s.owner for s in sources}
    found |= {s.through for s in sources if s.through is not None}
    return found | {t.by for f in bundle.figures for t in f.totals}


def owners_beneath(
    connection: Connection, registry: Registry, upper: Bundle, lower: Bundle, owners: Iterable[int]
) -> set[int]:
    """The owners of the lower bundle with figures that these owners of the upper one read."""
    found = set(owners) if has_same_owners(upper, lower) else set()
    statement = _read_for(registry, upper, lower)
    if statement is not None:
        found |= {key for (key,) in statement.rows(connection, owners=sorted(set(owners)))}
    return found - {None}


WRITING = 10
"""How many rows that are only read a row that may be written counts for: so much longer it takes."""


def rows_beneath(
    connection: Connection,
    owners: Collection[int],
    most: int,
    *,
    registry: Registry,
    bundle: Bundle,
) -> int:
    """Count the rows that a computation of these owners reads down to the facts, but no further than beyond `most`."""
    count, beneath = 0, [(bundle, frozenset(bundle.figures), set(owners))]
    for each, figures, mine in beneath:  # grows while it is walked
        for statement in _own_rows(figures):
            count += int(statement.rows(connection, owners=sorted(mine), most=most)[0][0])
            if count > most:
                return count
        beneath += [
            (lower, read, owners_beneath(connection, registry, each, lower, mine))
            for lower, read in _read_beneath(registry, each, figures)
        ]
    return count


Figures = frozenset[Figure]


@cache
def _read_beneath(
    registry: Registry, bundle: Bundle, figures: Figures
) -> list[tuple[Bundle, Figures]]:
    """The lower bundles that these figures read directly, with the figures of them, where they have rows to count."""
    found = []
    for lower in lower_bundles(registry, bundle):
        direct = {f for figure in figures for f in registry.depends_on(figure)}
        read = direct.intersection(lower.figures)
        while more := {f for g in read for f in registry.depends_on(g)} & set(lower.figures) - read:
            read |= more
        chosen = frozenset(read)
        if read and (_own_rows(chosen) or _read_beneath(registry, lower, chosen)):
            found.append((lower, chosen))
    return found


@cache
def _own_rows(figures: Figures) -> list[Statement]:
    """Count the rows, up to `most`, by each column that names `owners`; the owner's own row is not counted."""
    targets = {figure.table for figure in figures}
    columns = {s.owner for f in figures for s in f.sources if not s.owner.primary_key}
    most = bindparam("most", type_=BigInteger)
    return [
        Statement(
            select(func.count() * (WRITING if column.table in targets else 1)).select_from(
                select(column).where(column == _OWNERS).limit(most).subquery()
            )
        )
        for column in sorted(columns, key=str)
    ]


def owners_above(
    connection: Connection,
    registry: Registry,
    upper: Bundle,
    lower: Bundle,
    owners: Iterable[int],
    *,
    between: tuple[int, int] | None = None,
) -> set[int]:
    """The owners of the upper bundle, all or `between` two ids, that read these owners' lower figures.

    Without `between` the statement has no bounds: the planner assumes that an unknown range is narrow, and would then
    read the rows of every owner for a few owners.
    """
    bounds = dict(zip(("low", "high"), between, strict=True)) if between else {}
    found = set(owners) if has_same_owners(upper, lower) else set()
    if between:
        found = {owner for owner in found if bounds["low"] <= owner <= bounds["high"]}
    statement = _reading(registry, upper, lower, is_bounded=bool(between))
    if statement is not None:
        rows = statement.rows(connection, owners=sorted(set(owners)), **bounds)
        found |= {key for (key,) in rows}
    return found - {None}


def _pairs(registry: Registry, upper: Bundle, lower: Bundle) -> list[Pair]:
    return [
        pair
        for figure in upper.figures
        for below in registry.depends_on(figure).intersection(lower.figures)
        for pair in pairs(figure, below)
    ]


@cache
def _read_for(registry: Registry, upper: Bundle, lower: Bundle) -> Statement | None:
    selects = [select(low).where(up == _OWNERS) for up, low in _pairs(registry, upper, lower)]
    return _of(selects)


@cache
def _reading(
    registry: Registry, upper: Bundle, lower: Bundle, *, is_bounded: bool
) -> Statement | None:
    selects = [
        select(up).where(low == _OWNERS, up.between(_LOW, _HIGH) if is_bounded else true())
        for up, low in _pairs(registry, upper, lower)
    ]
    return _of(selects)


def _of(selects: list[Select[Any]]) -> Statement | None:
    """The union of these SELECTs as one statement; None where there is none."""
    if not selects:
        return None
    return Statement(selects[0].distinct() if len(selects) == 1 else union(*selects))
