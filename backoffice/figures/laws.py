"""What a declaration must be so that the core can keep it; anything else is refused at start-up."""

import re
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column, Integer, Numeric, Table, UniqueConstraint
from sqlalchemy.sql.elements import ColumnClause, TextClause
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.visitors import iterate

from .declaration import Figure
from .deltas import terms_of
from .errors import DeclarationError
from .expressions import Total, fits, totals_in
from .groups import not_additive, not_countable

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
    for sentence in _broken(figure):
        raise DeclarationError(f"{figure.name}: {sentence}")
    assert figure.sources


def _broken(figure: Figure) -> Iterator[str]:
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
    if figure.incremental:
        yield from _incremental(figure)


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


def _incremental(figure: Figure) -> Iterator[str]:
    """An incremental figure is a sum of totals, so that new rows minus old rows is its change."""
    yield from not_countable(figure)
    if figure.derived_rows:
        yield from not_additive(figure)
        return
    if figure.select is not None:
        yield "an incremental SELECT derives rows; a column of rows that exist is a sum of totals."
    if figure.owner is not figure.primary_key:
        yield "an incremental figure stands on its owner's row."
    for col, definition in figure.definitions.items():
        added: list[Total] = [part for _, part in terms_of(figure, definition)]
        if not all(fits(col, part.argument) for part in added):
            yield f"what is added to {col} has more decimals than it; round what is added."
