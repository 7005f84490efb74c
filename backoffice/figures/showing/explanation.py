"""How was this calculated? The formula in words, every term with its value and the rows behind it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from itertools import chain
from typing import Any
from typing import cast as cast_type

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Table,
    Text,
    and_,
    cast,
    func,
    literal,
    null,
    select,
    tuple_,
)
from sqlalchemy.sql.elements import UnaryExpression
from sqlalchemy.sql.visitors import replacement_traverse

from ...base import differences
from ..computing.registry import Registry
from ..computing.relations import OWNERS, Frame, Relations
from ..computing.statements import Statement, changes, expanded
from ..declaring.declaration import Figure
from ..declaring.expressions import (
    Expression,
    Total,
    columns_in,
    leaves,
    replace,
    total_in,
    unwrapped,
)
from ..models import Correction
from ..verifying.findings import Row, text_of
from .terms import (
    ROWS,
    Added,
    Listed,
    Reader,
    Term,
    added_by,
    in_words,
    label_of,
    label_of_sum,
    source_column,
    title_of,
)


@dataclass(frozen=True)
class ColumnExplained:
    """One column of the figure: its stored and expected value (None: no such row), and the terms of the latter."""

    column: str
    label: str
    stored: Any
    expected: Any
    entered: bool
    terms: tuple[Term, ...]
    formula: str | None = None

    @property
    def difference(self) -> Decimal | None:
        """Expected minus stored; None for what is not a number."""
        return differences.difference(self.stored, self.expected)

    @property
    def is_right(self) -> bool:
        """Whether the stored value is the expected one, exactly."""
        return bool(self.stored == self.expected)


@dataclass(frozen=True)
class Explanation:
    """One figure row, explained."""

    figure: str
    title: str
    owner: int
    row: Row
    columns: tuple[ColumnExplained, ...]
    corrections: Sequence[Any] = ()
    """Rows of the corrections of this figure row, newest first."""

    @property
    def is_right(self) -> bool:
        """Whether every stored column is as expected."""
        return all(c.is_right for c in self.columns)

    def of(self, name: str) -> ColumnExplained:
        """The column of that name. Raises StopIteration where the figure has none."""
        return next(column for column in self.columns if column.column == name)

    def corrections_of(self, name: str) -> list[Any]:
        """The corrections that touched that column, newest first."""
        return [c for c in self.corrections if name in {**(c.before or {}), **(c.after or {})}]

    def as_dict(self) -> dict[str, Any]:
        """For JSON; amounts as strings."""
        return {
            **self.row.as_dict(),
            "title": self.title,
            "owner": self.owner,
            "right": self.is_right,
            "columns": [
                {
                    "column": c.column,
                    "stored": text_of(c.stored),
                    "expected": text_of(c.expected),
                    "difference": text_of(c.difference),
                    "entered": c.entered,
                    "terms": [t.as_dict() for t in c.terms],
                }
                for c in self.columns
            ],
        }


def explain(
    connection: Connection,
    registry: Registry,
    figure: Figure,
    key: int,
    laid: Mapping[Table, FromClause] | None = None,
) -> Explanation | None:
    """The explanation of the figure row with primary key `key`; None when there is no such row.

    Overlays in `laid` are read instead of their tables, for the whole book: they hold rows that are not stored.
    """
    relations = Relations(registry, expanded(registry), laid or {}, overlay_is_scoped=False)
    held = relations.stored(figure.table).c
    named = select(held[figure.owner.key]).where(held[figure.primary_key.key] == key)
    owner = connection.execute(named).scalar()
    if owner is None:
        return None
    rows = changes(relations, figure.table, (figure,), OWNERS, all_rows=True).subquery()
    statement = Statement(select(rows).where(rows.c.pk == key))
    row = statement.run(connection, owners=[owner]).mappings().first()
    if row is None:
        return None
    names = tuple((k.key, row[f"k{i}"]) for i, k in enumerate(figure.key))
    expected = {col.key: row[f"e{i}"] for i, col in enumerate(figure.columns)}
    kind = Reader if figure.select is None else _SelectReader
    reader = kind(connection, registry, figure, owner, key, expected, relations)
    explained = tuple(
        _column(
            figure, col, row[f"s{i}"], None if row["surplus"] else row[f"e{i}"], reader.terms(col)
        )
        for i, col in enumerate(figure.columns)
    )
    history = connection.execute(
        select(Correction.__table__)
        .where(Correction.figure == figure.name, Correction.owner == owner)
        .where(Correction.key == key_as_stored(figure, [value for _name, value in names]))
        .order_by(Correction.id.desc())
        .limit(50)
    ).all()
    return Explanation(
        figure.name, figure.title, owner, Row(figure.name, names), explained, history
    )


def _column(
    figure: Figure, col: Column[Any], stored: Any, expected: Any, terms: tuple[Term, ...]
) -> ColumnExplained:
    entered = any(term.entered for term in terms)
    formula = figure.formulas.get(col, figure.formula)
    return ColumnExplained(col.key, label_of(col), stored, expected, entered, terms, formula)


def key_as_stored(figure: Figure, values: Iterable[Any]) -> ColumnElement[Any]:
    """The key of a figure row as corrections store it, from its values in the declaration's order."""
    pairs = zip(figure.key, values, strict=True)
    named = ((literal(k.key, Text), cast(literal(value, k.type), k.type)) for k, value in pairs)
    return func.jsonb_build_object(*chain.from_iterable(named))


class _SelectReader(Reader):
    """The terms of a SELECT's columns.

    A sum is explained by the rows grouped into it, a running sum by the rows up to this one. Where the SELECT does not
    show the terms, the declaration gives them (`behind`) as expressions, which are never used to compute the figure.
    """

    def terms(self, col: Column[Any]) -> tuple[Term, ...]:
        """The terms of the column's expected value, and the SELECT's labelled columns beside it."""
        behind = self.figure.behind.get(col)
        before = tuple(self.continued(col))
        own = tuple(self._of_select(col) if behind is None else self._declared(behind, col))
        said = [term for term in own if term.rows or term.value or term.column != col.key]
        shown = (*before, *said) or own[:1]  # what adds nothing is no term, unless nothing does
        return (*shown, *self._beside())

    def _sum(self, part: Total, listed: Listed) -> Any:
        """The value of a total: the sum of its rows; queried where not all of them are listed."""
        rows, count = listed
        if count == len(rows):
            return sum(row.amount for row in rows) if rows else None
        table: Table = part.by.table
        where = None if part.where is None else replace(part.where, self._own(part))
        relations = self.relations.with_derived_rows(table, OWNERS, part.by)
        reads = (part.argument, *(() if where is None else (where,)))
        frame = Frame(relations, table, OWNERS, part.by, reads)
        added = frame.select(func.sum(frame.value(part.argument)))
        if where is not None:
            added = added.where(frame.value(where))
        return Statement(added).run(self.connection, owners=[self.owner]).scalar()

    def _declared(self, behind: Expression, inside: Column[Any]) -> Iterator[Term]:
        signed = list(leaves(behind))
        for sign, leaf in signed:
            part = total_in(leaf)
            if part is not None:
                listed = self._rows(part, self.owner)
                value = self._sum(part, listed)
                value = 0 if value is None and part is not leaf else value
                label = title_of(part, inside, is_only=len(signed) == 1)
                yield Term(sign, label, value, inside.key, None, False, *listed)
            elif isinstance(leaf, Column):
                keeper = self.registry.keeper(leaf)
                name = keeper.name if keeper else None
                yield Term(sign, label_of(leaf), self._values[leaf.key], leaf.key, name)
            else:
                yield Term(sign, in_words(leaf), getattr(leaf, "value", None), "")

    def _of_select(self, col: Column[Any]) -> Iterator[Term]:
        """The leaves of a selected column, where each of them can be determined; else the column itself."""
        plain = self._leaves(self.figure.rows, col)
        over = self._leaves(self._rows_selected, col)
        if not all(self._is_known(leaf) for _sign, leaf in plain) or len(plain) != len(over):
            yield Term("", label_of(col), self.expected[col.key], col.key)
            return
        values = self._values_of([leaf for _sign, leaf in over])
        for (sign, leaf), (_sign, held), value in zip(plain, over, values, strict=True):
            is_only = len(plain) == 1
            source = source_column(leaf)
            if leaf in self.figure.columns:
                yield Term(sign, label_of(leaf), self.expected[leaf.key], leaf.key)
                continue
            if source is not None:
                keeper = self.registry.keeper(source)
                yield Term(
                    sign, label_of(source), value, source.key, keeper.name if keeper else None
                )
                continue
            added = added_by(leaf)
            assert added is not None
            shown = self.expected[col.key] if is_only else value
            label = label_of(col) if is_only else label_of_sum(added, col)
            listed = self._rows_added(added, added_by(held))
            yield Term(sign, label, shown, col.key, None, False, *listed)

    def _leaves(self, rows: Select[Any], col: Column[Any]) -> list[tuple[str, Any]]:
        """The leaves of a selected column; one selected as another column of the figure is that column."""
        selected: dict[Any, Any] = {
            c: unwrapped(rows.selected_columns[c.key]) for c in self.figure.columns
        }
        others = {
            id(e): c for c, e in selected.items() if c is not col and source_column(e) is None
        }

        def named(part: Any, **_: Any) -> Any:
            return others.get(id(part))

        own: Expression = replacement_traverse(selected[col], {}, cast_type(Any, named))
        return list(leaves(own))

    def _is_known(self, leaf: Any) -> bool:
        return source_column(leaf) is not None or (
            (added := added_by(leaf)) is not None and self._source_of(added) is not None
        )

    def _source_of(self, added: Added) -> Table | None:
        """The table with the rows that explain a sum: that of its argument, or the only one read."""
        tables = {c.table for c in columns_in(added.argument)} or set(self.figure.models)
        [table, *more] = tables
        is_once = not more and self.figure.models.count(table) == 1
        return table if is_once else None

    @cached_property
    def _relations_read(self) -> Mapping[Table, FromClause]:
        models = dict.fromkeys(self.figure.models)
        return {t: self.relations.read_by(self.figure, t, OWNERS) for t in models}

    @cached_property
    def _rows_selected(self) -> Any:
        """The SELECT over the owner's rows, as declared."""
        assert self.figure.select is not None
        return self.figure.select(*(self._relations_read[table] for table in self.figure.models))

    def _is_this_row(self, columns: Any) -> list[Any]:
        """The conditions that selected key columns equal this row's."""
        return [columns[k.key] == literal(self._values[k.key], k.type) for k in self.figure.key]

    def _values_of(self, over: Sequence[Any]) -> Sequence[Any]:
        """The leaves of a selected column in this row; empty where the SELECT returns no such row."""
        asked_for = (null() if leaf in self.figure.columns else leaf for leaf in over)
        named = [leaf.label(f"term{number}") for number, leaf in enumerate(asked_for)]
        rows = self._rows_selected.add_columns(*named).subquery()
        asked = select(*(rows.c[f"term{number}"] for number in range(len(over))))
        mine = Statement(asked.where(*self._is_this_row(rows.c)))
        row = mine.run(self.connection, owners=[self.owner]).first()
        return tuple(row) if row is not None else [None] * len(over)

    def _rows_added(self, plain: Added, held: Added | None) -> Listed:
        table = self._source_of(plain)
        rows: Any = self._rows_selected
        if table is None or held is None or rows._distinct or rows._has_row_limiting_clause:
            return (), 0
        if (held.over is None) is not bool(rows._group_by_clauses):
            return (), 0
        asked = self._running(table, held) if held.over is not None else self._grouped(table, held)
        return ((), 0) if asked is None else self._listed(asked, table, plain.argument, self.owner)

    def _grouped(self, table: Table, added: Added) -> Select[Any]:
        """The rows grouped into this one."""
        rows, source = self._rows_selected, self._relations_read[table]
        is_mine = self._is_this_row({c.key: unwrapped(c) for c in rows.selected_columns})
        conditions = [*is_mine, *(() if added.where is None else (added.where,))]
        return (  # type: ignore[no-any-return]
            rows.with_only_columns(
                added.argument.label("amount_"), func.count().over().label("count_"), *source.c,
                maintain_column_froms=True,
            )
            .group_by(None)
            .where(*conditions)
            .order_by(source.c[next(iter(table.primary_key)).key])
            .limit(ROWS)
        )  # fmt: skip

    def _running(self, table: Table, added: Added) -> Select[Any] | None:
        """The rows of the window up to this one."""
        over, rows, source = added.over, self._rows_selected, self._relations_read[table]
        parts, order = _each(over.partition_by), _each(over.order_by)
        is_plain = over.rows is None and over.range_ is None
        if not (order and is_plain) or any(isinstance(o, UnaryExpression) for o in order):
            return None
        keys = [unwrapped(rows.selected_columns[k.key]) for k in self.figure.key]
        every = rows.with_only_columns(
            added.argument.label("amount_"),
            *(c.label(f"part{i}") for i, c in enumerate(parts)),
            *(c.label(f"at{i}") for i, c in enumerate(order)),
            *(c.label(k.key + "_key") for c, k in zip(keys, self.figure.key, strict=True)),
            *source.c,
            maintain_column_froms=True,
        ).subquery()
        mine = every.alias()
        places = tuple_(*(every.c[f"at{i}"] for i in range(len(order))))
        place = tuple_(*(mine.c[f"at{i}"] for i in range(len(order))))
        same = (every.c[f"part{i}"] == mine.c[f"part{i}"] for i in range(len(parts)))
        is_mine = self._is_this_row({k.key: mine.c[k.key + "_key"] for k in self.figure.key})
        return (
            select(every, func.count().over().label("count_"))
            .join_from(every, mine, and_(places <= place, *same))
            .where(*is_mine)
            .order_by(places.desc(), every.c[next(iter(table.primary_key)).key].desc())
            .limit(ROWS)
        )

    def _beside(self) -> Iterator[Term]:
        """The labelled columns of a SELECT that are not targets, for this row."""
        rows = self.relations.expected_rows(self.figure, OWNERS).subquery()
        targets = {c.key for c in (*self.figure.columns, *self.figure.key, self.figure.owner)}
        names = [c.key for c in rows.c if c.key not in targets]
        if not names:
            return
        asked = select(*(rows.c[name] for name in names)).where(*self._is_this_row(rows.c))
        found = Statement(asked).run(self.connection, owners=[self.owner]).first() or ()
        for name, value in zip(names, found, strict=False):
            label = name.replace("_", " ").capitalize()
            yield Term("", label, value, name, is_beside=True)


def _each(clauses: Any) -> list[Any]:
    """The elements of a window's PARTITION BY or ORDER BY."""
    return [] if clauses is None else list(getattr(clauses, "clauses", [clauses]))
