"""The terms of an expression for one figure row, at their expected values, each with the rows behind it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    ColumnClause,
    Connection,
    Select,
    Table,
    and_,
    case,
    func,
    literal,
    select,
)
from sqlalchemy.sql.elements import (
    BindParameter,
    Case,
    FunctionFilter,
    Grouping,
    Over,
)

from ..computing.registry import Registry
from ..computing.relations import OWNERS, Frame, Relations
from ..computing.statements import Statement
from ..declaring.additive import summand
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
from ..verifying.findings import text_of

ROWS = 200
"""Maximum number of source rows listed per term; the term also has their total count."""


@dataclass(frozen=True)
class SourceRow:
    """A row behind a term: its table and id, its values, and the amount it adds to the term.

    A row that is expected but missing has no `id`.
    """

    table: str
    id: int | None
    values: Mapping[str, Any]
    amount: Any
    figure: str | None
    """The figure that keeps the amount, if there is one: its own explanation continues from here."""
    column: str = ""
    """The column of the row that holds the amount, if a single column does."""


@dataclass(frozen=True)
class Term:
    """One term of a formula: “− Promo 5,000,000”, and the rows that it is the sum of.

    A term `beside` the formula is additional information only.
    """

    sign: str
    label: str
    value: Any
    column: str
    figure: str | None = None
    entered: bool = False
    rows: tuple[SourceRow, ...] = ()
    row_count: int = 0
    is_beside: bool = False

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


Listed = tuple[tuple[SourceRow, ...], int]
"""The first rows behind a term, and how many there are in all."""


class Added(NamedTuple):
    """The amount each row adds to a sum, which rows do, and the window of a running sum."""

    argument: Any
    where: Any = None
    over: Any = None


class Reader:
    """Reads the terms of the figure row with this primary key and these expected values."""

    def __init__(
        self,
        connection: Connection,
        registry: Registry,
        figure: Figure,
        owner: int,
        key: int,
        expected: Mapping[str, Any],
        relations: Relations,
    ) -> None:
        self.connection = connection
        self.registry = registry
        self.figure = figure
        self.owner = owner
        self.key = key
        self.expected = expected
        self.relations = relations

    def terms(self, col: Column[Any]) -> tuple[Term, ...]:
        """The terms of the column's expected value."""
        return tuple(self._of_expression(self.figure.definitions[col], col))

    def continued(self, col: Column[Any]) -> Iterator[Term]:
        """The value of the row before, from which the column continues; nothing in the first row."""
        source, along = self.figure.continues.get(col), self.figure.along
        if source is None or along is None:
            return
        rows = self.relations.expected_rows(self.figure, OWNERS).subquery()
        stored, owner = self.relations.stored(self.figure.table), self.figure.owner.key
        held = stored.c
        is_stored = and_(*(held[k.key] == rows.c[k.key] for k in self.figure.key))
        before = rows.c[along.key] < literal(self._values[along.key], along.type)
        asked = (
            select(*rows.c, held[self.figure.primary_key.key].label("pk_"))
            .join_from(rows, stored, is_stored, isouter=True)
            .where(rows.c[owner] == self.owner, before)
            .order_by(rows.c[along.key].desc())
            .limit(1)
        )
        last = Statement(asked).run(self.connection, owners=[self.owner]).mappings().first()
        if last is None:
            return
        value, name = last[source.key], self.figure.name
        row = SourceRow(
            self.figure.table.name,
            last["pk_"],
            {c.key: last[c.key] for c in rows.c},
            value,
            name,
            source.key,
        )
        yield Term("", label_of(source), value, col.key, None, False, (row,), 1)

    def _of_expression(self, definition: Expression, inside: Column[Any]) -> Iterator[Term]:
        signed = list(leaves(self._branch(definition, inside)))
        reads = (*self.figure.columns, *(e for _, e in signed))
        frame = Frame(self.relations, self.figure.table, OWNERS, self.figure.owner, reads)
        mine = frame.stored(self.figure.primary_key) == self.key
        asked = frame.select(*(frame.value(e, inside) for _, e in signed)).where(mine)
        values = Statement(asked).run(self.connection, owners=[self.owner]).one()
        for (sign, leaf), value in zip(signed, values, strict=True):
            yield self._term(sign, leaf, value, inside, is_only=len(signed) == 1)

    def _term(
        self, sign: str, leaf: Any, value: Any, inside: Column[Any], *, is_only: bool
    ) -> Term:
        part = total_in(leaf)
        if part is not None:
            rows, count = self._rows(part, self.key)
            entered = count == 0 and self._entered(inside)
            label = title_of(part, inside, is_only=is_only)
            return Term(sign, label, value, inside.key, None, entered, rows, count)
        if leaf is inside:
            return Term(sign, label_of(leaf), value, leaf.key, None, self._entered(inside))
        if isinstance(leaf, Column):
            keeper = self.registry.keeper(leaf)
            return Term(sign, label_of(leaf), value, leaf.key, keeper.name if keeper else None)
        return Term(sign, in_words(leaf), value, "")

    def _branch(self, definition: Any, inside: Column[Any]) -> Expression:
        """The branch of a CASE that applies to this row; anything else unchanged."""
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
        """Whether a user entered the column in this row, rather than the figure keeping it."""
        condition = self.figure.entered.get(col)
        if condition is None:
            return False
        asked = select(condition).where(self.figure.primary_key == self.key)
        return bool(self.connection.execute(asked).scalar())

    def _rows(self, part: Total, named: int) -> Listed:
        """The rows that a total adds up, at their expected amounts; `named` is the value of its `by` column."""
        table: Table = part.by.table
        where = None if part.where is None else replace(part.where, self._own(part))
        relations = self.relations.with_derived_rows(table, OWNERS, part.by)
        reads = (*table.c, part.argument, *(() if where is None else (where,)))
        frame = Frame(relations, table, OWNERS, part.by, reads)
        conditions = [frame.stored(part.by) == named]
        if where is not None:
            conditions.append(frame.value(where))
        statement = frame.select(
            frame.value(part.argument).label("amount_"),
            func.count().over().label("count_"),
            *(frame.stored(c).label(c.key) for c in table.c),
        )
        key = frame.stored(next(iter(table.primary_key)))
        adds_nothing = frame.value(part.argument) == 0
        chosen = statement.where(*conditions).order_by(adds_nothing, key).limit(ROWS)
        return self._listed(chosen, table, part.argument, named)

    def _own(self, part: Total) -> Any:
        """Substitutes this row's values for its columns, where a total's condition names them."""

        def own(leaf: Any) -> Any:
            is_mine = isinstance(leaf, Column) and leaf.table is self.figure.table
            if not is_mine or part.child is self.figure.table:
                return None
            return literal(self._values[leaf.key], leaf.type)

        return own

    @cached_property
    def _values(self) -> Mapping[str, Any]:
        """The row: its expected values, and the stored values of its other columns."""
        held = self.relations.stored(self.figure.table)
        mine = select(held).where(held.c[self.figure.primary_key.key] == self.key)
        return {**self.connection.execute(mine).mappings().one(), **self.expected}

    def _listed(self, statement: Select[Any], table: Table, argument: Any, named: int) -> Listed:
        """The rows of `table` that a statement returns with `amount_` and `count_`, and that count."""
        added = source_column(argument)
        keeper = None if added is None else self.registry.keeper(added)
        found = Statement(statement).run(self.connection, owners=[named]).mappings().all()
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


def added_by(leaf: Any) -> Added | None:
    """The amount each row adds to a leaf that is a sum or a count, running or not; None for anything else."""
    part = unwrapped(leaf)
    if isinstance(part, Over):
        inner = added_by(part.element)
        return None if inner is None else inner._replace(over=part)
    if getattr(part, "name", "") == "coalesce" and hasattr(part, "clauses"):
        first = unwrapped(next(iter(part.clauses)))
        if isinstance(first, FunctionFilter):
            part = first
    if isinstance(part, FunctionFilter):
        inner = added_by(part.func)
        return None if inner is None else inner._replace(where=part.criterion)
    argument = summand(part)
    return None if argument is None else Added(argument)


def source_column(leaf: Any) -> Column[Any] | None:
    """The table's column that a leaf refers to, also through subqueries."""
    part = unwrapped(leaf)
    if not isinstance(part, ColumnClause):
        return None
    roots = [root for root in part.base_columns if isinstance(root, Column)]
    return roots[0] if len(roots) == 1 and isinstance(roots[0].table, Table) else None


def label_of_sum(added: Added, inside: Column[Any]) -> str:
    """The title of one of several sums in a SELECT: that of the column that it adds up."""
    argument = source_column(added.argument)
    return label_of(inside if argument is None else argument)


def title_of(part: Total, inside: Column[Any], *, is_only: bool) -> str:
    """The title of a sum: as declared, else that of its column; of several sums, that of the column added up."""
    if part.title:
        return part.title
    added = part.argument if isinstance(part.argument, Column) else None
    return label_of(inside if is_only or added is None else added)


def in_words(leaf: Any) -> str:
    """The text of a leaf that is not a column: a constant as it is, else the column that it is about."""
    bare = unwrapped(leaf)
    if isinstance(bare, BindParameter):
        return str(bare.value)
    about = list(dict.fromkeys(columns_in(bare)))
    return label_of(about[0]) if len(about) == 1 else str(leaf)


def label_of(col: Column[Any]) -> str:
    """The column's label for people: `info["label"]`, else its name in words (to be translated)."""
    return str(col.info.get("label") or col.key.replace("_", " ").capitalize())
