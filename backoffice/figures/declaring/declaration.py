"""One figure, as its domain declares it: its columns, its owner, its definition, and what that reads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sqlalchemy import Column, ColumnElement, FromClause, Select, Table, cast, false, null, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import SQLAlchemyError

from ...base import table_of
from ..errors import DeclarationError
from .expressions import Expression, Total, columns_in, fits, held, totals_in

Definition = Callable[..., Select[Any]]

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Source:
    """A table that a figure is derived from, and how one of its rows names the owner.

    `owner` is a column of `table`; or, where `through` is given, a column of the intermediate
    table whose `through` column names the source row by its primary key. A source `for_everybody` names no owner:
    `owner` is its own primary key, and every owner reads all of it.
    """

    table: Table
    owner: Column[Any]
    through: Column[Any] | None
    columns: frozenset[str]
    for_everybody: bool = False


class Last:
    """As the default of a SELECT's argument: of each owner the last stored row before the place where it continues.

    It has the target's columns; join it by the owner's, for one statement continues many owners. Where everything is
    computed from its beginning there is no such row.
    """

    def __init__(self, model: Any) -> None:
        self.table = table_of(model)

    def none(self) -> FromClause:
        """No row."""
        columns = (cast(null(), c.type).label(c.key) for c in self.table.c)
        return select(*columns).where(false()).subquery("last")


@dataclass(eq=False)
class Figure:
    """A derived number that is stored: which columns, whose it is, and the definition of its expected value.

    `definitions` holds an expression per column (shape A); `select` builds the expected rows
    (shape B). `entered` names the rows in which a column is a fact that a user entered.
    `derived_rows` says that the rows themselves are derived, so that one may be missing or
    surplus; a row that meets `entered_rows` holds an entered fact and is never surplus.

    `along` is the column along which rows run (a day, a number): what is expected of a row depends on what stands
    before it, never on what comes after. So after a change the hook continues from there: of the sources in `since` it
    reads only what stands at that place or later, those in `looked_up` as a whole; the expression of each says at
    which place a row of it stands. An index of what is read from a place on leads there from the owner's column. Of
    sums, `at_once` lets the trigger itself add the change; of rows that run, it lets the trigger look whether they
    were written with their right values.
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
    reached_by: Mapping[Table, Column[Any]] = field(default_factory=dict)
    for_everybody: tuple[Table, ...] = ()
    """Sources that name no owner (a price list): each is read whole, and a change of it is everybody's."""
    entered: Mapping[Column[Any], Expression] = field(default_factory=dict)
    derived_rows: bool = False
    entered_rows: Expression | None = None
    incremental: bool = False
    generated: bool = False
    """Whether PostgreSQL itself computes it from its row: it follows at once, whoever writes, and nobody writes it."""
    along: Column[Any] | None = None
    since: Mapping[Table, Expression] = field(default_factory=dict)
    looked_up: Mapping[Table, Expression] = field(default_factory=dict)
    closed: Expression | None = None
    """The condition under which a row that runs was closed: it is a fact then, and so is what stands before it."""
    at_once: bool = False
    triggers: Mapping[tuple[Table, str], str] = field(default_factory=dict)
    """Source and event → the name of the trigger on it, where it is known under one of its own."""
    locked: Callable[[FromClause], ColumnElement[bool]] | None = None
    """Which stored rows, of rows like the target's, nobody rewrites, for they are of locked days: see `figure`."""
    formula: str | None = None
    formulas: Mapping[Column[Any], str] = field(default_factory=dict)
    """The formula of one column in words, where that of all of them says it less well."""
    behind: Mapping[Column[Any], Expression] = field(default_factory=dict)
    """Of a SELECT's columns what stands behind them, for the explanation alone: see `figure`."""
    titles: Mapping[str, str] = field(default_factory=dict)
    """What its labelled columns that are no targets are called."""

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
    def places(self) -> Mapping[Table, Expression]:
        """Of each table whose rows stand somewhere along: where."""
        own = {} if self.along is None or self.closed is not None else {self.table: self.along}
        return {**own, **self.looked_up, **self.since}

    @cached_property
    def totals(self) -> tuple[Total, ...]:
        """The sums over child rows that an expression asks for."""
        return tuple(t for e in self.definitions.values() for t in totals_in(e))

    @cached_property
    def rows(self) -> Select[Any]:
        """The SELECT of shape B over the tables themselves.

        Raises:
            DeclarationError: when it cannot be built.
        """
        assert self.select is not None
        try:
            rows = self.select(*self.models)
            rows.compile(dialect=_DIALECT)
        except (SQLAlchemyError, AttributeError, TypeError, KeyError) as error:
            raise DeclarationError(
                f"{self.name}: its SELECT cannot be built; mend {self.select.__qualname__}(), "
                f"which says {type(error).__name__}: {error}"
            ) from error
        return rows

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
            note(self.rows)
            for table in self.models:
                found.setdefault(table, set())
        for place in (*self.since.values(), *self.looked_up.values()):
            note(place)
        return {table: frozenset(names) for table, names in found.items()}

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        """Every table whose change may change the figure, the target itself among them."""
        tables = {self.table: frozenset[str](), **self.reads}
        along = () if self.along is None else (self.along,)
        own = frozenset(c.key for c in (*self.columns, *self.key, self.owner, *along))
        if self.entered_rows is not None:
            own |= {c.key for c in columns_in(self.entered_rows)}
        if self.closed is not None:
            own |= {c.key for c in columns_in(self.closed)}
        found: list[Source] = []
        for table, names in tables.items():
            foreign_keys = self._sums_by(table)
            found += (Source(table, by, None, names) for by in foreign_keys)
            if table is self.table:
                found.append(Source(table, self.owner, None, names | own))
            elif not foreign_keys:
                found.append(self._source(table, names))
        return tuple(found)

    def source_of(self, table: Table) -> Source:
        """How a SELECT's rows of that table name the owner."""
        return next(s for s in self.sources if s.table is table)

    def _sums_by(self, table: Table) -> tuple[Column[Any], ...]:
        """The foreign keys by which totals over `table` name the owner itself."""
        if self.owner is not self.primary_key:
            return ()
        return tuple(dict.fromkeys(t.by for t in self.totals if t.child is table))

    def _source(self, table: Table, names: frozenset[str]) -> Source:
        if table in self.for_everybody:
            return Source(table, next(iter(table.primary_key)), None, names, for_everybody=True)
        through = self.reached_by.get(table)
        if through is not None:
            return Source(table, self._owner_column(through.table), through, names)
        owner = self._owner_column(table)
        leading = {c.key for c in self.reached_by.values() if c.table is table}
        return Source(table, owner, None, names | {owner.key} | leading)

    def _owner_column(self, table: Table) -> Column[Any]:
        """The column of `table` that names the owner: its key, the same name, a foreign key."""
        if table is self.owner_table:
            return self.owner_key
        if self.owner is not self.primary_key and self.owner.key in table.c:
            named = table.c[self.owner.key]
            if all(k.column is self.owner_key for k in named.foreign_keys):
                return named
        leading = set(self.reached_by.values())
        pointing = [c for c in table.c for k in c.foreign_keys if k.column is self.owner_key]
        match [c for c in pointing if c not in leading]:
            case [only]:
                return only
            case []:
                raise DeclarationError(
                    f"{self.name}: no column of {table.name} names the owner ({self.owner_table.name}). "
                    f"Name it reached_by=… , or, where it is everybody's, for_everybody=(…,)."
                )
            case several:
                raise DeclarationError(
                    f"{self.name}: {' and '.join(map(str, several))} both name the owner ({self.owner_table.name}). "
                    f"Add {table.name} up by total(…, by=…), or derive rows whose owner's column has the name of one."
                )


def rows_of(
    figure: Figure, relation: Callable[[Table], FromClause], last: FromClause | None = None
) -> Select[Any]:
    """The expected rows of a figure of shape B over the given relations, as the target holds them.

    Continued from the `last` stored rows, where they are given.
    """
    assert figure.select is not None
    rows = figure.select(*(relation(table) for table in figure.models), last=last)
    selected = {c.key: c for c in rows.selected_columns}
    if all(fits(c, selected[c.key]) for c in figure.columns):
        return rows
    inner, targets = rows.subquery(), {c.key: c for c in figure.columns}
    return select(
        *(held(targets[c.key], c).label(c.key) if c.key in targets else c for c in inner.c)
    )
