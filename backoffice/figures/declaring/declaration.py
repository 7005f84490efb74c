"""One figure, as its domain declares it: its columns, its owner, its definition, and what that reads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sqlalchemy import Column, ColumnElement, FromClause, Select, Table, cast, false, null, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import SQLAlchemyError

from ...base import table_of
from ...base.money_columns import is_money
from ..errors import DeclarationError
from .expressions import Expression, Total, columns_in, fits, held, totals_in

Definition = Callable[..., Select[Any]]

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Source:
    """A table that a figure is derived from, and how one of its rows names the owner.

    `owner` is a column of `table`; or, where `through` is given, a column of the intermediate
    table, and `through` is the column there that refers to the source row's primary key.
    """

    table: Table
    owner: Column[Any]
    through: Column[Any] | None
    columns: frozenset[str]


class Last:
    """Default of a SELECT's argument: for each owner, the last stored row before the place where it is continued.

    It has the target's columns. Join it on the owner's column, because one statement continues many owners. There is no
    such row where everything is computed from the beginning.
    """

    def __init__(self, model: Any) -> None:
        self.table = table_of(model)

    def none(self) -> FromClause:
        """An empty relation, for owners without an earlier row."""
        columns = (cast(null(), c.type).label(c.key) for c in self.table.c)
        return select(*columns).where(false()).subquery("last")


@dataclass(eq=False)
class Figure:
    """A derived number that is stored: its columns, its owner, and the definition of its expected value.

    `definitions` holds an expression per column (shape A); `select` builds the expected rows
    (shape B). `entered` names the rows in which a column is a fact that a user entered.
    `derived_rows`: the rows themselves are derived, so that one may be missing or
    surplus; a row that meets `entered_rows` holds an entered fact and is never surplus.

    `along` is the column that orders the rows of a running figure (a day, a number): a row's expected value depends
    only on what comes before it. After a change the hook therefore continues from that place: it reads the sources in
    `since` from that place on, and those in `looked_up` as a whole; the expression given for each source is the place
    of its rows. Everything read from a place on needs an index that starts with the owner's column. `at_once` lets the
    trigger itself add the change to sums; for running rows it lets the trigger check whether they were inserted with
    the right values.
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
    entered: Mapping[Column[Any], Expression] = field(default_factory=dict)
    derived_rows: bool = False
    entered_rows: Expression | None = None
    incremental: bool = False
    generated: bool = False
    """Whether PostgreSQL computes it from its own row (a generated column), so that no program writes it."""
    along: Column[Any] | None = None
    since: Mapping[Table, Expression] = field(default_factory=dict)
    looked_up: Mapping[Table, Expression] = field(default_factory=dict)
    at_once: bool = False
    triggers: Mapping[tuple[Table, str], str] = field(default_factory=dict)
    """Source and event → the name of the trigger on it, where the default name is not used."""
    locked: Callable[[FromClause], ColumnElement[bool]] | None = None
    """Returns the condition for locked rows, of rows like the target's; they are never written: see `figure`."""
    formula: str | None = None
    formulas: Mapping[Column[Any], str] = field(default_factory=dict)
    """The formula of a single column in words, where the formula of all columns is less clear."""
    behind: Mapping[Column[Any], Expression] = field(default_factory=dict)
    """For columns of a SELECT, the expression that explains them; used by the explanation alone: see `figure`."""
    continues: Mapping[Column[Any], Column[Any]] = field(default_factory=dict)
    """A column of a running row → the column of the row before it from which it continues: see `figure`."""
    leading: Column[Any] | None = None
    """The amount that stands for the row (a closing, a balance, a grand total); None for a figure without money."""

    def __post_init__(self) -> None:
        """Take the only amount as the leading one."""
        amounts = [c for c in self.columns if is_money(c)]
        if self.leading is None and len(amounts) == 1:
            self.leading = amounts[0]

    @cached_property
    def amounts(self) -> tuple[str, ...]:
        """The columns that hold money, the leading one first.

        Raises DeclarationError where one of several amounts should be named.
        """
        amounts = [c.key for c in self.columns if is_money(c)]
        if amounts and self.leading is None:
            raise DeclarationError(
                f"{self.name}: say leading=… which of {', '.join(amounts)} stands for the row."
            )
        return tuple(
            sorted(amounts, key=lambda key: self.leading is None or key != self.leading.key)
        )

    @cached_property
    def has_net(self) -> bool:
        """Whether it states before, net and after itself; no where the leading amount is another figure's."""
        return self.leading is not None and self.leading.key in self.amounts

    def __repr__(self) -> str:
        return f"<Figure {self.name}>"

    @cached_property
    def primary_key(self) -> Column[Any]:
        """The target's surrogate key."""
        return next(iter(self.table.primary_key))

    @cached_property
    def owner_table(self) -> Table:
        """The table of the owner's row: the target itself, or the table that `owner` refers to."""
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
        """Table → the expression for the place of its rows along the running column."""
        own = {} if self.along is None else {self.table: self.along}
        return {**own, **self.looked_up, **self.since}

    @cached_property
    def totals(self) -> tuple[Total, ...]:
        """The sums over child rows in its expressions."""
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
        """Every table with changes that may change the figure, including the target itself."""
        tables = {self.table: frozenset[str](), **self.reads}
        along = () if self.along is None else (self.along,)
        own = frozenset(c.key for c in (*self.columns, *self.key, self.owner, *along))
        if self.entered_rows is not None:
            own |= {c.key for c in columns_in(self.entered_rows)}
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
        """The source for that table: how its rows name the owner in a SELECT."""
        return next(s for s in self.sources if s.table is table)

    def _sums_by(self, table: Table) -> tuple[Column[Any], ...]:
        """The foreign keys by which totals over `table` name the owner itself."""
        if self.owner is not self.primary_key:
            return ()
        return tuple(dict.fromkeys(t.by for t in self.totals if t.child is table))

    def _source(self, table: Table, names: frozenset[str]) -> Source:
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
                    f"Name it reached_by=…, or give it such a column."
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
