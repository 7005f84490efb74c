"""The rules that a declaration must meet so that the core can keep it; start-up refuses any other.

Rules that need the data of a book are in `proving`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Integer, Numeric, Table, UniqueConstraint
from sqlalchemy.sql.elements import ColumnClause, TextClause, UnaryExpression
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.visitors import iterate

from ..errors import DeclarationError
from . import additive
from .declaration import Figure
from .expressions import columns_in, totals_in

_CONSTANT = re.compile(r"\*|NULL|-?[\d.]+|'[^']*'", re.IGNORECASE)

_MOVING = {
    "now", "age", "current_timestamp", "current_date", "current_time", "localtime", "localtimestamp",
    "clock_timestamp", "statement_timestamp", "transaction_timestamp", "timeofday", "random",
    "gen_random_uuid", "nextval",
}  # fmt: skip
"""Functions with results that change although no row does, so that no trigger would note the change."""


_OF_A_TREE = (
    "What rows of one table are to each other (a tree) is derived in rows of another table: by a SELECT that is led "
    "reached_by=… a table which names them all (every row's ancestors)."
)


def check(figure: Figure) -> None:
    """Refuse a figure that could not be kept right.

    Raises:
        DeclarationError: with a sentence that states what to change.
    """
    refuse(figure, _broken_rules(figure))
    if figure.incremental:
        refuse(figure, additive.broken_rules(figure))
    assert figure.sources


def refuse(figure: Figure, sentences: Iterable[str]) -> None:
    """Raise DeclarationError with the first of these sentences; do nothing where there is none."""
    for sentence in sentences:
        raise DeclarationError(f"{figure.name}: {sentence}")


def _broken_rules(figure: Figure) -> Iterator[str]:
    yield from _keys(figure)
    yield from _hidden(figure)
    yield from _leads(figure)
    yield from _runs(figure)
    yield from _generated(figure)
    if figure.select is None:
        yield from _expressions(figure)
        yield from _totals(figure)
    else:
        yield from _selects(figure)
    yield from _behind(figure)
    for condition in (figure.entered_rows, *figure.entered.values()):
        if condition is not None and _tables(condition) - {figure.table}:
            yield "entered_rows and entered are conditions over the figure's own row."
    if figure.derived_rows:
        yield from _derives_rows(figure)


def _keys(figure: Figure) -> Iterator[str]:
    """Owners are named, locked and noted by an integer key; rows are written by theirs."""
    for table in (figure.table, figure.owner_table, *figure.reached_by):
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
        yield figure.rows


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
        for col in {c for w in (part.by, *wholes) for c in columns_in(w)}.intersection(
            figure.columns
        ):
            yield (
                f"a total over {col}, which the figure keeps itself, has no beginning; add up facts. {_OF_A_TREE}"
            )


def _selects(figure: Figure) -> Iterator[str]:
    for table in figure.reads.keys() - set(figure.models):
        yield f"its SELECT reads {table.name} past its arguments; make it one of them."
    if figure.owner_table not in figure.reached_by and _times_read(figure, figure.owner_table) > 1:
        yield (
            f"its SELECT joins {figure.owner_table.name} with itself, but of an owner it is given that one row. "
            f"{_OF_A_TREE}"
        )
    selected = figure.rows.selected_columns.keys()
    wanted = {*figure.key, *figure.columns, *((figure.owner,) if figure.derived_rows else ())}
    for col in sorted(c.key for c in wanted if c.key not in selected):
        yield f"its SELECT answers no column “{col}”."
    if not figure.derived_rows or figure.entered_rows is not None:
        for col in figure.columns:
            if not (col.nullable or isinstance(col.type, Numeric | Integer)):
                yield f"{col} has no value where the SELECT answers no row; make it nullable."


def _behind(figure: Figure) -> Iterator[str]:
    """The expressions in `behind` read only sources of the figure, of the same owner."""
    for col, expression in figure.behind.items():
        if figure.select is None or col not in figure.columns:
            yield f"behind={col} tells of the columns of a SELECT; an expression says by itself what it is made of."
        elif _tables(expression) - {figure.table}:
            yield f"behind={col} reads columns of its own row, and totals over its sources."
        for part in totals_in(expression):
            source = figure.source_of(part.child) if part.child in figure.models else None
            if source is None or source.through is not None or source.owner is not part.by:
                yield (
                    f"behind={col} adds up {part.child.name} by {part.by}, but the figure is not derived from its "
                    f"rows that name the owner so."
                )


def _times_read(figure: Figure, table: Table) -> int:
    """How often a SELECT reads a table: as itself, by an alias, or as several of its arguments."""
    parts = (p.table for p in iterate(figure.rows) if isinstance(p, ColumnClause))
    read = {t for t in parts if getattr(t, "element", t) is table}
    return max(len(read), figure.models.count(table))


def _leads(figure: Figure) -> Iterator[str]:
    """The columns in `reached_by` must lead to the owner, or rows would be looked up by ids of another table."""
    for table, col in figure.reached_by.items():
        if figure.select is None or not {table, col.table} <= set(figure.models):
            yield f"{col} leads from {table.name} to the owner; make both tables arguments of its SELECT."
        if table is figure.table:
            yield f"rows of {table.name} are led to their owner by {figure.owner}, not reached_by={col}. {_OF_A_TREE}"
        if all(k.column is not next(iter(table.primary_key)) for k in col.foreign_keys):
            yield (
                f"reached_by={col} does not refer to {table.name} by its primary key; name the column of a table "
                f"between that does, or give {table.name} a column that names the owner."
            )


def _runs(figure: Figure) -> Iterator[str]:
    """Running rows must be declared completely: refuse what is missing or contradictory."""
    along, places = figure.along, {**figure.looked_up, **figure.since}
    if figure.at_once and along is None and (figure.derived_rows or not figure.incremental):
        yield "at_once is for sums that stand on their owner's row (incremental), and for rows that run (along)."
    if along is None:
        if places:
            yield "since and looked_up say where rows stand along a column of its own; say along=… which."
        return
    if figure.select is None or along.table is not figure.table or along.nullable:
        yield f"rows run along a column of {figure.table.name} that is NOT NULL, by a SELECT; {along} is none."
    if figure.owner is figure.primary_key:
        yield f"rows run of each owner; say owner=… which column of {figure.table.name} names it."
    if not figure.since:
        yield "nothing of it is read from a place on; say since={…: where its rows stand}, or leave along out."
    yield from _stand(figure, places)
    yield from _found_by_place(figure, along)


def _found_by_place(figure: Figure, along: Column[Any]) -> Iterator[str]:
    """Continuing rows spares a save the history, so there must be an index by which each source finds its place."""
    for table, place in {figure.table: along, **figure.since}.items():
        owner = figure.source_of(table).owner
        if owner.primary_key or any(_leads_to(parts, owner, place) for _, parts in _indexes(table)):
            continue
        parts = ", ".join(str(p.compile(compile_kwargs=_WRITTEN_OUT)) for p in (owner, place))
        yield (
            f"each save would read all that {table.name} holds of its owner, however long; give it an index on "
            f"({parts}), or, where histories are short, leave along out."
        )


_WRITTEN_OUT = {"literal_binds": True, "include_table": False}


def _leads_to(parts: Sequence[Any], owner: Column[Any], place: Any) -> bool:
    """Whether an index on these parts finds an owner's rows from a place on."""
    return len(parts) > 1 and parts[0] is owner and bool(place.compare(parts[1]))


def _stand(figure: Figure, places: Mapping[Table, Any]) -> Iterator[str]:
    """The place of a row is given for sources that name the owner themselves, by their own columns."""
    for table, place in places.items():
        if table not in figure.models or table in figure.reached_by:
            yield f"{table.name}, of which a place is said, is no argument of its SELECT whose rows name the owner."
        if table in figure.since and table in figure.looked_up:
            yield f"{table.name} is read from a place on (since) or as a whole (looked_up), not both."
        if _tables(place) != {table}:
            yield f"where a row of {table.name} stands is said by its own columns."


def _generated(figure: Figure) -> Iterator[str]:
    """A column that PostgreSQL generates is stored, declared once, and neither entered nor added to."""
    for col in figure.columns:
        if col.computed is None:
            continue
        if not figure.generated:
            yield f"PostgreSQL computes {col} itself; declare it by its column alone: figure({col}, title=…)."
        elif not col.computed.persisted:
            yield f"{col} is computed when it is read; say Computed(…, persisted=True), and it is a stored total."
    if figure.generated and (figure.incremental or figure.at_once or figure.entered):
        yield "PostgreSQL computes it from its row: leave incremental, at_once and entered out."


def _derives_rows(figure: Figure) -> Iterator[str]:
    names = {k.key for k in figure.key}
    if figure.owner not in figure.key:
        yield f"a derived row belongs to its owner; make {figure.owner.key} part of the key."
    if any(k.nullable for k in figure.key):
        yield "a derived row is known by its key; make its columns NOT NULL."
    if not any(set(unique) == names for unique in _uniques(figure.table)):
        yield f"{figure.table.name} needs a unique index on {', '.join(sorted(names))}."


def _uniques(table: Table) -> Iterator[list[str]]:
    for is_unique, parts in _indexes(table):
        if is_unique and all(isinstance(part, Column) for part in parts):
            yield [part.key for part in parts]


def _indexes(table: Table) -> Iterator[tuple[bool, list[Any]]]:
    """Every index over all rows of a table: whether it is unique, and its parts in order."""
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield True, list(constraint.columns)
    for index in table.indexes:
        if index.dialect_options["postgresql"].get("where") is None:
            yield bool(index.unique), [_either_way(part) for part in index.expressions]


def _either_way(part: Any) -> Any:
    """The indexed expression without its sort direction."""
    return part.element if isinstance(part, UnaryExpression) and part.modifier else part
