"""The reconciliation of a figure: every row with its stored and expected values, corrections and control totals.

All of it is one SELECT: its lines are the lines of a file, the control totals are their sums, and the
differences are those lines that are wrong. It is read in pages of owners within one snapshot, so that
memory does not depend on their number.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CompoundSelect,
    Connection,
    DateTime,
    Integer,
    Numeric,
    Select,
    Subquery,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    null,
    select,
    union_all,
)

from ..base import table_of
from ..figures.computing.definitions import require
from ..figures.computing.registry import Registry
from ..figures.computing.relations import BETWEEN, OWNERS, Relations, Scope
from ..figures.computing.statements import Statement, changes, expanded
from ..figures.declaring.declaration import Figure
from ..figures.models import Correction
from ..figures.verifying.verification import next_owners

PAGE = 20_000
"""Owners read in one statement."""

FIRST, LAST = 1 - 2**63, 2**63 - 1
"""The bounds of the first and the last page, so that corrections of deleted owners are included."""

Page = Mapping[str, Any]
"""The parameters of the statements that select the owners of a page."""

CORRECTIONS = table_of(Correction)


@dataclass
class Totals:
    """Control totals of one column: the number of its lines, and the sums of their values."""

    rows: int = 0
    drifted: int = 0
    stored: Decimal = field(default_factory=Decimal)
    expected: Decimal = field(default_factory=Decimal)
    difference: Decimal = field(default_factory=Decimal)
    corrections: int = 0
    corrected: Decimal = field(default_factory=Decimal)

    @property
    def is_right(self) -> bool:
        """Whether no line has drifted."""
        return self.drifted == 0

    def add(self, others: Mapping[str, Any]) -> None:
        """Add the totals of another page."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + others[one.name])

    def as_dict(self) -> dict[str, Any]:
        """The totals for JSON; amounts as strings."""
        reported = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: v if isinstance(v, int) else str(v) for name, v in reported.items()}


class Report:
    """One figure's reconciliation, over all owners or some, from one snapshot.

    `since` (inclusive) and `until` (exclusive) bound the corrections that are counted; None: no bound.
    `connection` must be in a snapshot of its own, so that the pages are consistent with each other.
    """

    def __init__(
        self,
        connection: Connection,
        registry: Registry,
        figure: Figure,
        *,
        owners: Sequence[int] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> None:
        require(connection, registry, [registry.bundle_of(figure)])
        self.connection = connection
        self.figure = figure
        self._registry = registry
        self._owners = None if owners is None else sorted(set(owners))
        self._period = {"since": since, "until": until}
        scope = BETWEEN if owners is None else OWNERS
        self.lines = _lines(registry, figure, scope, self._period)
        """One line per figure row and column, with parameters, which `of` binds."""
        self._totals = Statement(_sums(self.lines))
        self._wrong = Statement(_wrong(self.lines))

    def pages(self) -> Iterator[Page]:
        """The pages of owners in id order; together they cover all owners."""
        given = {name: value for name, value in self._period.items() if value is not None}
        if self._owners is not None:
            for start in range(0, len(self._owners), PAGE):
                yield {"owners": self._owners[start : start + PAGE], **given}
            return
        bundle, low, after = self._registry.bundle_of(self.figure), FIRST, None
        while bounds := next_owners(self.connection, bundle, after, PAGE):
            _, after, size = bounds
            if size < PAGE:
                break
            yield {"low": low, "high": after, **given}
            low = after + 1
        yield {"low": low, "high": LAST, **given}

    def totals(self, page: Page) -> dict[str, dict[str, Any]]:
        """The control totals of a page, by column."""
        rows = self._totals.run(self.connection, **page).mappings()
        found = {row["column"]: dict(row) for row in rows}
        return {c.key: found[c.key] for c in self.figure.columns if c.key in found}

    def differences(self, page: Page, limit: int) -> list[Any]:
        """The wrong lines of a page, the largest difference first; at most `limit`."""
        return list(self._wrong.run(self.connection, **page, limit=limit))


def new_totals(figure: Figure) -> dict[str, Totals]:
    """Control totals of 0, by column."""
    return {column.key: Totals() for column in figure.columns}


def _lines(
    registry: Registry, figure: Figure, scope: Scope, period: Mapping[str, datetime | None]
) -> Subquery:
    """`owner, key` (JSON) `, k0 …, place, column, stored, expected, difference, is_right, corrections, corrected`.

    `stored` is NULL for a missing row, `expected` for a surplus one; in sums both count as zero. A row
    that corrections of the period have removed has neither. `stored` and `expected` are texts where
    the figure holds anything but numbers; the control totals sum `stored_number` and `expected_number`, which are
    NULL in the lines of a column that holds no numbers.
    """
    relations = Relations(registry, expanded(registry))
    rows = changes(relations, figure.table, (figure,), scope, all_rows=True).subquery("compared")
    fixed = _corrected(figure, scope, period).subquery("corrected")
    key = func.jsonb_build_object(
        *(part for i, k in enumerate(figure.key) for part in (cast(k.key, Text), rows.c[f"k{i}"]))
    )
    joined = rows.join(fixed, and_(fixed.c.owner == rows.c.owner, fixed.c.key == key), full=True)
    whole = select(
        func.coalesce(rows.c.owner, fixed.c.owner).label("owner"),
        case((rows.c.owner.is_(None), fixed.c.key), else_=key).label("key"),
        *(
            func.coalesce(rows.c[f"k{i}"], cast(fixed.c.key[k.key].astext, k.type)).label(f"k{i}")
            for i, k in enumerate(figure.key)
        ),
        *_both_sides(figure, rows),
        *(fixed.c[name] for i in range(len(figure.columns)) for name in (f"n{i}", f"c{i}")),
    ).select_from(joined)
    lines: Select[Any] | CompoundSelect[Any] = _of_columns(figure, whole)
    return lines.subquery("lines")


def _both_sides(figure: Figure, rows: Subquery) -> Iterator[Any]:
    for i in range(len(figure.columns)):
        yield case((rows.c.missing, null()), else_=rows.c[f"s{i}"]).label(f"s{i}")
        yield case((rows.c.surplus, null()), else_=rows.c[f"e{i}"]).label(f"e{i}")


def _of_columns(figure: Figure, whole: Select[Any]) -> Any:
    """The rows, once for each column of the figure."""
    rows = whole.cte("whole")
    return union_all(*(_of_column(figure, rows, i) for i in range(len(figure.columns))))


def _of_column(figure: Figure, rows: Any, i: int) -> Select[Any]:
    column, is_number = figure.columns[i], _is_number(figure.columns[i])
    sides = [rows.c[f"{side}{i}"] for side in ("s", "e")]
    numbers = [cast(side if is_number else null(), Numeric) for side in sides]
    texts = [cast(side, Text) for side in sides]
    stored, expected = numbers if all(map(_is_number, figure.columns)) else texts
    difference = (
        func.coalesce(numbers[1], 0) - func.coalesce(numbers[0], 0) if is_number else null()
    )
    return select(
        rows.c.owner,
        rows.c.key,
        *(rows.c[f"k{n}"] for n in range(len(figure.key))),
        literal(i).label("place"),
        literal(column.key).label("column"),
        stored.label("stored"),
        expected.label("expected"),
        cast(difference, Numeric).label("difference"),
        cast(sides[0].is_not_distinct_from(sides[1]), Boolean).label("is_right"),
        func.coalesce(rows.c[f"n{i}"], 0).label("corrections"),
        func.coalesce(rows.c[f"c{i}"], 0).label("corrected"),
        *(
            n.label(name)
            for n, name in zip(numbers, ("stored_number", "expected_number"), strict=True)
        ),
    )


def _is_number(column: Any) -> bool:
    return isinstance(column.type, Numeric | Integer)


def _corrected(figure: Figure, scope: Scope, period: Mapping[str, datetime | None]) -> Select[Any]:
    """By owner and key, how often each column was corrected in the period, and by how much in total."""
    conditions = [CORRECTIONS.c.figure == figure.name]
    within = scope.condition(CORRECTIONS.c.owner)
    if within is not None:
        conditions.append(within)
    at = DateTime(timezone=True)
    if period["since"] is not None:
        conditions.append(CORRECTIONS.c.at >= bindparam("since", type_=at))
    if period["until"] is not None:
        conditions.append(CORRECTIONS.c.at < bindparam("until", type_=at))
    return (
        select(CORRECTIONS.c.owner, CORRECTIONS.c.key, *_amounts(figure))
        .where(*conditions)
        .group_by(CORRECTIONS.c.owner, CORRECTIONS.c.key)
    )


def _amounts(figure: Figure) -> Iterator[Any]:
    for i, column in enumerate(figure.columns):
        before, after = (CORRECTIONS.c[side][column.key].astext for side in ("before", "after"))
        is_changed = before.is_distinct_from(after)
        yield func.count().filter(is_changed).label(f"n{i}")
        if _is_number(column):
            amounts = (func.coalesce(cast(text, Numeric), 0) for text in (after, before))
            new, old = amounts
            yield func.sum(new - old).label(f"c{i}")
        else:
            yield cast(null(), Numeric).label(f"c{i}")


def _sums(lines: Subquery) -> Select[Any]:
    """The control totals of the lines, by column."""
    c = lines.c

    def total(value: Any) -> Any:
        return func.coalesce(func.sum(value), 0)

    return select(
        c.column,
        func.count().label("rows"),
        func.count().filter(~c.is_right).label("drifted"),
        total(c.stored_number).label("stored"),
        total(c.expected_number).label("expected"),
        total(c.difference).label("difference"),
        cast(func.sum(c.corrections), BigInteger).label("corrections"),
        func.coalesce(func.sum(c.corrected), 0).label("corrected"),
    ).group_by(c.column)


def _wrong(lines: Subquery) -> Select[Any]:
    size = func.abs(lines.c.difference).desc().nulls_last()
    return (
        select(lines)
        .where(~lines.c.is_right)
        .order_by(size, lines.c.owner, lines.c.place)
        .limit(bindparam("limit", type_=Integer))
    )
