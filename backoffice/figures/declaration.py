"""One figure, as its domain declares it, and what a declaration must be so that the core can keep it.

Anything else is refused at start-up (`check`).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from inspect import signature
from typing import Any

from sqlalchemy import Column, FromClause, Integer, Numeric, Select, Table, UniqueConstraint, select
from sqlalchemy.sql.elements import ColumnClause, TextClause
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.visitors import iterate

from ..base import table_of
from .errors import DeclarationError
from .expressions import Expression, Total, column, columns_in, expression, fits, held, totals_in

Definition = Callable[..., Select[Any]]


@dataclass(frozen=True)
class Source:
    """A table that a figure is derived from, and how one of its rows names the owner.

    `owner` is a column of `table`; or, where `through` is given, a column of the intermediate
    table whose `through` column names the source row by its primary key.
    """

    table: Table
    owner: Column[Any]
    through: Column[Any] | None
    columns: frozenset[str]


@dataclass(eq=False)
class Figure:
    """A derived number that is stored: which columns, whose it is, and the definition of its expected value.

    `definitions` holds an expression per column (shape A); `select` builds the expected rows
    (shape B). `entered` names the rows in which a column is a fact that somebody entered.
    `derived_rows` says that the rows themselves are derived, so that one may be missing or
    surplus; a row that meets `keep` holds an entered fact and is never surplus.
    """

    name: str
    title: str
    table: Table
    columns: tuple[Column[Any], ...]
    key: tuple[Column[Any], ...]
    owner: Column[Any]
    definitions: Mapping[Column[Any], Expression] = field(default_factory=dict)
    select: Definition | None = None
    models: tuple[Table, ...] = ()
    through: Mapping[Table, Column[Any]] = field(default_factory=dict)
    entered: Mapping[Column[Any], Expression] = field(default_factory=dict)
    derived_rows: bool = False
    keep: Expression | None = None
    incremental: bool = False
    formula: str | None = None
    formulas: Mapping[Column[Any], str] = field(default_factory=dict)
    """The formula of one column in words, where that of all of them says it less well."""

    def __repr__(self) -> str:
        return f"<Figure {self.name}>"

    @cached_property
    def primary_key(self) -> Column[Any]:
        """The target's surrogate key."""
        return next(iter(self.table.primary_key))

    @cached_property
    def owner_table(self) -> Table:
        """The table in which the owner's row stands: the target itself, or what `owner` refers to."""
        if self.owner is self.primary_key:
            return self.table
        for key in self.owner.foreign_keys:
            return key.column.table
        raise DeclarationError(
            f"{self.name}: its owner column {self.owner} refers to no table; give it a foreign key."
        )

    @cached_property
    def owner_key(self) -> Column[Any]:
        """The primary key of the owner's table."""
        return next(iter(self.owner_table.primary_key))

    @cached_property
    def totals(self) -> tuple[Total, ...]:
        """The sums over child rows that an expression asks for."""
        return tuple(t for e in self.definitions.values() for t in totals_in(e))

    @cached_property
    def reads(self) -> Mapping[Table, frozenset[str]]:
        """The columns that the definition reads, by table."""
        found: dict[Table, set[str]] = {}

        def note(element: Any) -> None:
            for col in columns_in(element):
                found.setdefault(col.table, set()).add(col.key)

        for definition in self.definitions.values():
            note(definition)
        for part in self.totals:
            note(part.argument)
            note(part.by)
            if part.where is not None:
                note(part.where)
        if self.select is not None:
            note(self.select(*self.models))
            for table in self.models:
                found.setdefault(table, set())
        return {table: frozenset(names) for table, names in found.items()}

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        """Every table whose change may change the figure, the target itself among them."""
        tables = {self.table: frozenset[str](), **self.reads}
        own = frozenset(c.key for c in (*self.columns, *self.key, self.owner))
        if self.keep is not None:
            own |= {c.key for c in columns_in(self.keep)}
        found: list[Source] = []
        for table, names in tables.items():
            foreign_keys = self._sums_by(table)
            found += (Source(table, by, None, names) for by in foreign_keys)
            if table is self.table:
                found.append(Source(table, self.owner, None, names | own))
            elif not foreign_keys:
                found.append(self._source(table, names))
        return tuple(found)

    def _sums_by(self, table: Table) -> tuple[Column[Any], ...]:
        """The foreign keys by which totals over `table` name the owner itself."""
        if self.owner is not self.primary_key:
            return ()
        return tuple(dict.fromkeys(t.by for t in self.totals if t.child is table))

    def _source(self, table: Table, names: frozenset[str]) -> Source:
        through = self.through.get(table)
        if through is not None:
            return Source(table, self._owner_column(through.table), through, names)
        owner = self._owner_column(table)
        leading = {c.key for c in self.through.values() if c.table is table}
        return Source(table, owner, None, names | {owner.key} | leading)

    def _owner_column(self, table: Table) -> Column[Any]:
        """The column of `table` that names the owner: its key, the same name, a foreign key."""
        if table is self.owner_table:
            return self.owner_key
        if self.owner is not self.primary_key and self.owner.key in table.c:
            named = table.c[self.owner.key]
            if all(k.column is self.owner_key for k in named.foreign_keys):
                return named
        pointing = [c for c in table.c for k in c.foreign_keys if k.column is self.owner_key]
        if len(pointing) == 1:
            return pointing[0]
        raise DeclarationError(
            f"{self.name}: no column of {table.name} names the owner ({self.owner_table.name}). "
            f"Name it through=… ."
        )


def from_expressions(
    definitions: Mapping[Any, Any],
    *,
    name: str | None,
    title: str,
    owner: Any,
    **options: Any,
) -> Figure:
    """A figure of shape A: an expression for each column of existing rows."""
    given = {column(c): expression(e) for c, e in definitions.items()}
    plain = given if options["incremental"] else {c: held(c, e) for c, e in given.items()}
    first = next(iter(plain))
    if any(c.table is not first.table for c in plain):
        raise DeclarationError(f"{title}: the columns of one figure stand in one table.")
    primary_key = next(iter(first.table.primary_key))
    return Figure(
        name=_name(name, tuple(plain)),
        title=title,
        table=first.table,
        columns=tuple(plain),
        key=(primary_key,),
        owner=primary_key if owner is None else column(owner),
        definitions=plain,
        **options,
    )


def from_select(
    select: Definition,
    *,
    columns: tuple[Any, ...],
    key: tuple[Any, ...],
    owner: Any,
    name: str | None,
    title: str,
    **options: Any,
) -> Figure:
    """A figure of shape B: a SELECT of the expected rows, keyed by `key`."""
    targets = tuple(column(c) for c in columns)
    table = targets[0].table
    primary_key = next(iter(table.primary_key))
    models = tuple(table_of(p.default) for p in signature(select).parameters.values())
    keys = tuple(column(k) for k in key) or (primary_key,)
    return Figure(
        name=_name(name, targets),
        title=title,
        table=table,
        columns=targets,
        key=keys,
        owner=primary_key if owner is None else column(owner),
        select=select,
        models=models,
        derived_rows=keys != (primary_key,),
        **options,
    )


def _name(given: str | None, columns: tuple[Column[Any], ...]) -> str:
    if given is None and len(columns) > 1:
        raise DeclarationError(f"A figure of several columns ({columns[0]}, …) needs a name.")
    return given or f"{columns[0].table.name}.{columns[0].key}"


def rows_of(figure: Figure, relation: Callable[[Table], FromClause]) -> Select[Any]:
    """The expected rows of a figure of shape B over the given relations, as the target holds them."""
    assert figure.select is not None
    rows = figure.select(*(relation(table) for table in figure.models))
    selected = {c.key: c for c in rows.selected_columns}
    if all(fits(c, selected[c.key]) for c in figure.columns):
        return rows
    inner, targets = rows.subquery(), {c.key: c for c in figure.columns}
    return select(
        *(held(targets[c.key], c).label(c.key) if c.key in targets else c for c in inner.c)
    )


_CONSTANT = re.compile(r"\*|NULL|-?[\d.]+|'[^']*'", re.IGNORECASE)

_MOVING = {
    "now", "age", "current_timestamp", "current_date", "current_time", "localtime", "localtimestamp",
    "clock_timestamp", "statement_timestamp", "transaction_timestamp", "timeofday", "random",
    "gen_random_uuid", "nextval",
}  # fmt: skip
"""Functions whose answer changes although no row does: nobody would note it."""


def check(figure: Figure) -> None:
    """Refuse a figure that could not be kept right.

    Raises:
        DeclarationError: with a sentence that says what to change.
    """
    refuse(figure, _broken_rules(figure))
    assert figure.sources


def refuse(figure: Figure, sentences: Iterable[str]) -> None:
    """Refuse a figure for the first of these sentences; none, and it is kept."""
    for sentence in sentences:
        raise DeclarationError(f"{figure.name}: {sentence}")


def _broken_rules(figure: Figure) -> Iterator[str]:
    yield from _keys(figure)
    yield from _hidden(figure)
    if figure.select is None:
        yield from _expressions(figure)
        yield from _totals(figure)
    else:
        yield from _selects(figure)
    for condition in (figure.keep, *figure.entered.values()):
        if condition is not None and _tables(condition) - {figure.table}:
            yield "keep and entered are conditions over the figure's own row."
    if figure.derived_rows:
        yield from _derives_rows(figure)


def _keys(figure: Figure) -> Iterator[str]:
    """Owners are named, locked and noted by a whole number; rows are written by theirs."""
    for table in (figure.table, figure.owner_table, *figure.through):
        keys = list(table.primary_key)
        if len(keys) != 1 or not isinstance(keys[0].type, Integer):
            yield f"{table.name} needs a primary key of one column that is a whole number."
    if figure.owner is figure.primary_key:
        return
    if figure.owner.nullable:
        yield f"a row without {figure.owner} would be neither kept nor verified; make it NOT NULL."
    if not any(k.column is figure.owner_key for k in figure.owner.foreign_keys):
        yield f"{figure.owner} refers to {figure.owner_table.name}, but not by its primary key."


def _hidden(figure: Figure) -> Iterator[str]:
    """What a definition reads must be seen, or its change would not be noted."""
    for part in (p for whole in _wholes(figure) for p in iterate(whole)):
        if isinstance(part, TextClause) or _is_literal(part):
            yield "text() or literal_column() in a definition hides what it reads."
        name = getattr(part, "name", "") if isinstance(part, FunctionElement) else ""
        if name in _MOVING:
            yield f"{name}() changes by itself, which nobody would note."


def _is_literal(part: Any) -> bool:
    literal = isinstance(part, ColumnClause) and part.is_literal
    return literal and not _CONSTANT.fullmatch(part.name)


def _wholes(figure: Figure) -> Iterator[Any]:
    yield from figure.definitions.values()
    for part in figure.totals:
        yield part.argument
        if part.where is not None:
            yield part.where
    if figure.select is not None:
        yield figure.select(*figure.models)


def _tables(element: Any) -> set[Any]:
    """The tables that an expression reads, outside its totals."""
    return {p.table for p in iterate(element) if isinstance(p, Column)}


def _expressions(figure: Figure) -> Iterator[str]:
    for definition in figure.definitions.values():
        for table in _tables(definition) - {figure.table}:
            yield (
                "an expression reads its own row and sums over child rows; "
                f"{table.name} needs a SELECT."
            )


def _totals(figure: Figure) -> Iterator[str]:
    for part in figure.totals:
        if all(k.column is not figure.primary_key for k in part.by.foreign_keys):
            yield f"{part.by} does not refer to {figure.table.name}, whose total it should be."
        wholes = [w for w in (part.argument, part.where) if w is not None]
        if any(list(totals_in(w)) for w in wholes):
            yield "a total within a total; keep the inner one."
        if any(_tables(w) - {part.child} for w in wholes):
            yield f"a total over {part.child.name} reads {part.child.name} alone."


def _selects(figure: Figure) -> Iterator[str]:
    assert figure.select is not None
    for table in figure.reads.keys() - set(figure.models):
        yield f"its SELECT reads {table.name} past its arguments; make it one of them."
    for middle in {c.table for c in figure.through.values()} - set(figure.models):
        yield f"{middle.name} leads to the owner; make it one of the arguments."
    selected = figure.select(*figure.models).selected_columns.keys()
    wanted = {*figure.key, *figure.columns, *((figure.owner,) if figure.derived_rows else ())}
    for col in sorted(c.key for c in wanted if c.key not in selected):
        yield f"its SELECT answers no column “{col}”."
    if not figure.derived_rows or figure.keep is not None:
        for col in figure.columns:
            if not (col.nullable or isinstance(col.type, Numeric | Integer)):
                yield f"{col} has no value where the SELECT answers no row; make it nullable."


def _derives_rows(figure: Figure) -> Iterator[str]:
    names = {k.key for k in figure.key}
    if figure.owner not in figure.key:
        yield f"a derived row belongs to its owner; make {figure.owner.key} part of the key."
    if any(k.nullable for k in figure.key):
        yield "a derived row is known by its key; make its columns NOT NULL."
    if not any(set(unique) == names for unique in _uniques(figure.table)):
        yield f"{figure.table.name} needs a unique index on {', '.join(sorted(names))}."


def _uniques(table: Table) -> Iterator[list[str]]:
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield [c.key for c in constraint.columns]
    for index in table.indexes:
        if index.unique and index.dialect_options["postgresql"].get("where") is None:
            yield [c.key for c in index.columns]
