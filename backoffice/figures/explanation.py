"""How was this calculated? The formula in words, every term with its value and the rows behind it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain
from typing import Any

from sqlalchemy import (
    Column,
    ColumnClause,
    ColumnElement,
    Connection,
    Select,
    Table,
    Text,
    case,
    cast,
    func,
    literal,
    select,
)
from sqlalchemy.sql.elements import Case, Grouping

from ..base import differences
from .declaration import Figure
from .expressions import Expression, Total, leaves, total_in
from .findings import Row, text_of
from .increments import summand
from .models import Correction
from .registry import Registry
from .relations import OWNERS, Frame, Relations, have_same_key
from .statements import Statement, changes, expanded

ROWS = 200
"""Source rows listed per term; the term says how many there are in all."""


@dataclass(frozen=True)
class SourceRow:
    """A row behind a term: which table and row, its values, and what it adds to the term."""

    table: str
    id: int
    values: Mapping[str, Any]
    amount: Any
    figure: str | None
    """The figure that keeps the amount, when one does: its own explanation goes on from here."""
    column: str = ""
    """The column of the row that holds the amount, if one does by itself."""


@dataclass(frozen=True)
class Term:
    """One term of a formula: “− Promo 5,000,000”, and the rows that it is the sum of."""

    sign: str
    label: str
    value: Any
    column: str
    figure: str | None = None
    entered: bool = False
    rows: tuple[SourceRow, ...] = ()
    row_count: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON; amounts as strings."""
        return {
            "sign": self.sign,
            "label": self.label,
            "value": text_of(self.value),
            "column": self.column,
            "figure": self.figure,
            "entered": self.entered,
            "row_count": self.row_count,
            "rows": [
                {"table": r.table, "id": r.id, "amount": text_of(r.amount)} for r in self.rows
            ],
        }


@dataclass(frozen=True)
class ColumnExplained:
    """One column of the figure: what is stored, what is expected, and the terms of the latter."""

    column: str
    label: str
    stored: Any
    expected: Any
    entered: bool
    terms: tuple[Term, ...]
    formula: str | None = None

    @property
    def difference(self) -> Decimal | None:
        """Expected minus stored; None of what is no number."""
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
        """Whether every column is what it should be."""
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
    connection: Connection, registry: Registry, figure: Figure, key: int
) -> Explanation | None:
    """The explanation of the figure row with primary key `key`; None when there is no such row."""
    owner = connection.execute(
        select(figure.table.c[figure.owner.key]).where(figure.primary_key == key)
    ).scalar()
    if owner is None:
        return None
    relations = Relations(registry, expanded(registry))
    rows = changes(relations, figure.table, (figure,), OWNERS, all_rows=True).subquery()
    statement = Statement(select(rows).where(rows.c.pk == key))
    row = statement.run(connection, owners=[owner]).mappings().first()
    if row is None:
        return None
    names = tuple((k.key, row[f"k{i}"]) for i, k in enumerate(figure.key))
    reader = _Reader(connection, registry, figure, owner, key)
    explained = tuple(
        reader.column(col, row[f"s{i}"], row[f"e{i}"]) for i, col in enumerate(figure.columns)
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


def key_as_stored(figure: Figure, values: Iterable[Any]) -> ColumnElement[Any]:
    """The key of a figure row as corrections hold it, of its values in the declaration's order."""
    pairs = zip(figure.key, values, strict=True)
    named = ((literal(k.key, Text), cast(literal(value, k.type), k.type)) for k, value in pairs)
    return func.jsonb_build_object(*chain.from_iterable(named))


class _Reader:
    """Reads the terms of one row's definition, at their expected values."""

    def __init__(
        self,
        connection: Connection,
        registry: Registry,
        figure: Figure,
        owner: int,
        key: int,
    ) -> None:
        self.connection = connection
        self.registry = registry
        self.figure = figure
        self.owner = owner
        self.key = key
        self.relations = Relations(registry, expanded(registry))

    def column(self, col: Column[Any], stored: Any, expected: Any) -> ColumnExplained:
        """One column with its terms."""
        if self.figure.select is not None:
            terms = (*self._behind(col, expected), *self._select_terms())
        else:
            terms = tuple(self._terms(self.figure.definitions[col], col))
        entered = any(t.entered for t in terms)
        return ColumnExplained(
            col.key,
            label_of(col),
            stored,
            expected,
            entered,
            terms,
            self.figure.formulas.get(col, self.figure.formula),
        )

    def _terms(self, definition: Expression, inside: Column[Any]) -> Iterator[Term]:
        signed = list(leaves(self._branch(definition, inside)))
        reads = (*self.figure.columns, *(e for _, e in signed))
        frame = Frame(self.relations, self.figure.table, OWNERS, self.figure.owner, reads)
        values = (
            Statement(
                frame.select(*(frame.value(e, inside) for _, e in signed)).where(
                    frame.stored(self.figure.primary_key) == self.key
                )
            )
            .run(self.connection, owners=[self.owner])
            .one()
        )
        for (sign, leaf), value in zip(signed, values, strict=True):
            yield self._term(sign, leaf, value, inside)

    def _term(self, sign: str, leaf: Any, value: Any, inside: Column[Any]) -> Term:
        part = total_in(leaf)
        if part is not None:
            rows, count = self._rows(part)
            entered = count == 0 and self._entered(inside)
            return Term(sign, label_of(inside), value, inside.key, None, entered, rows, count)
        if leaf is inside:
            return Term(sign, label_of(leaf), value, leaf.key, None, self._entered(inside))
        if isinstance(leaf, Column):
            keeper = self.registry.keeper(leaf)
            return Term(sign, label_of(leaf), value, leaf.key, keeper.name if keeper else None)
        return Term(sign, str(leaf), value, "")

    def _branch(self, definition: Any, inside: Column[Any]) -> Expression:
        """Of a CASE, what holds for this row; anything else as it is."""
        bare = definition.element if isinstance(definition, Grouping) else definition
        if not isinstance(bare, Case) or bare.value is not None or bare.else_ is None:
            return definition  # type: ignore[no-any-return]
        numbered = [(condition, literal(i)) for i, (condition, _) in enumerate(bare.whens)]
        which = case(*numbered, else_=literal(len(numbered)))
        reads = (*self.figure.columns, which)
        frame = Frame(self.relations, self.figure.table, OWNERS, self.figure.owner, reads)
        asked = frame.select(frame.value(which, inside))
        mine = asked.where(frame.stored(self.figure.primary_key) == self.key)
        chosen = Statement(mine).run(self.connection, owners=[self.owner]).scalar_one()
        branches = [*(result for _, result in bare.whens), bare.else_]
        held: Expression = branches[chosen]
        return held

    def _entered(self, col: Column[Any]) -> bool:
        """Whether somebody entered the column in this row, rather than the figure keeping it."""
        condition = self.figure.entered.get(col)
        if condition is None:
            return False
        asked = select(condition).where(self.figure.primary_key == self.key)
        return bool(self.connection.execute(asked).scalar())

    def _rows(self, part: Total) -> tuple[tuple[SourceRow, ...], int]:
        """The child rows that a total adds up, at their expected amounts."""
        table: Table = part.by.table
        primary_key = next(iter(table.primary_key))
        reads = (*table.c, part.argument) if part.where is None else (*table.c, part.argument, part.where)  # fmt: skip
        frame = Frame(self.relations, table, OWNERS, part.by, reads)
        condition = frame.stored(part.by) == self.key
        if part.where is not None:
            condition = condition & frame.value(part.where)
        statement = (
            frame.select(
                frame.value(part.argument).label("amount_"),
                func.count().over().label("count_"),
                *(frame.stored(c).label(c.key) for c in table.c),
            )
            .where(condition)
            .order_by(frame.stored(primary_key))
            .limit(ROWS)
        )
        added = part.argument if isinstance(part.argument, Column) else None
        return self._listed(statement, table, added)

    def _listed(
        self, statement: Select[Any], table: Table, added: Column[Any] | None
    ) -> tuple[tuple[SourceRow, ...], int]:
        """The rows of `table` that a statement answers with `amount_` and `count_`, and that count."""
        keeper = None if added is None else self.registry.keeper(added)
        found = Statement(statement).run(self.connection, owners=[self.owner]).mappings().all()
        primary_key = next(iter(table.primary_key))
        rows = [
            SourceRow(
                table=table.name,
                id=row[primary_key.key],
                values={c.key: row[c.key] for c in table.c},
                amount=row["amount_"],
                figure=keeper.name if keeper else None,
                column="" if added is None else added.key,
            )
            for row in found
        ]
        return tuple(rows), found[0]["count_"] if found else 0

    def _behind(self, col: Column[Any], expected: Any) -> Iterator[Term]:
        """The rows of its one source that a derived row adds up, or counts, in `col`."""
        figure = self.figure
        if not (figure.derived_rows and figure.incremental):
            return
        [source] = [s for s in figure.sources if s.table is not figure.table]
        every = frozenset(source.table.c.keys())
        rows = self.relations.source(source.table, OWNERS, source.owner, every)
        assert figure.select is not None
        grouped = figure.select(rows)
        added = summand(grouped.selected_columns[col.key])
        if added is None:
            return
        mine = select(*(figure.table.c[k.key] for k in figure.key))
        wanted = self.connection.execute(mine.where(figure.primary_key == self.key)).one()
        keys = (grouped.selected_columns[k.key] for k in figure.key)
        statement = (
            grouped.with_only_columns(
                added.label("amount_"), func.count().over().label("count_"), *rows.c
            )
            .group_by(None)
            .where(
                *(
                    key == literal(v, k.type)
                    for key, v, k in zip(keys, wanted, figure.key, strict=True)
                )
            )
            .order_by(rows.c[next(iter(source.table.primary_key)).key])
            .limit(ROWS)
        )
        name = added.key if isinstance(added, ColumnClause) else None
        held = source.table.c[name] if name else None
        listed, count = self._listed(statement, source.table, held)
        yield Term("", label_of(col), expected, col.key, None, False, listed, count)

    def _select_terms(self) -> Iterator[Term]:
        """The labelled columns of a SELECT that are not targets, for this row."""
        rows = self.relations.expected_rows(self.figure, OWNERS).subquery()
        stored = self.figure.table.alias()
        joined = rows.join(
            stored,
            have_same_key(rows, stored, self.figure.key)
            & (stored.c[self.figure.primary_key.key] == self.key),
        )
        found = (
            Statement(select(rows).select_from(joined))
            .run(self.connection, owners=[self.owner])
            .mappings()
            .first()
        )
        targets = {c.key for c in (*self.figure.columns, *self.figure.key, self.figure.owner)}
        for name, value in (found or {}).items():
            if name not in targets:
                yield Term("", name.replace("_", " ").capitalize(), value, name)


def label_of(col: Column[Any]) -> str:
    """The column's label for people: `info["label"]`, else its name in words (to be translated)."""
    return str(col.info.get("label") or col.key.replace("_", " ").capitalize())
