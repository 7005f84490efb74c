"""Every row of every figure beside what the facts say, for tests that ask after each of many small changes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    Column,
    ColumnElement,
    Engine,
    Integer,
    Numeric,
    Select,
    Text,
    case,
    cast,
    literal,
    null,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import array

from backoffice.figures import Figure, registry
from backoffice.figures.computing.relations import EVERYTHING, Relations
from backoffice.figures.computing.statements import Statement, changes, expanded


@dataclass(frozen=True)
class Row:
    """One row of a figure: its stored values, and those expected by the facts; None: there is, or should be, none."""

    stored: dict[str, Any] | None
    expected: dict[str, Any] | None

    @property
    def wrong(self) -> set[str]:
        """The columns that differ."""
        if self.stored is None or self.expected is None:
            return {*(self.stored or ()), *(self.expected or ())}
        return {name for name, value in self.stored.items() if value != self.expected[name]}


Rows = dict[tuple[str, str], Row]
"""By figure and key."""


def compared(asked: Engine) -> Rows:
    """Every row of every figure, compared with the facts by one statement, which this connection plans once."""
    with asked.connect() as connection:
        return {
            (name, str(key)): Row(_values(name, stored), _values(name, expected))
            for name, key, stored, expected in _every_row().run(connection)
        }


@cache
def _every_row() -> Statement:
    """Figure, key, stored and expected values of every row of every figure, as texts."""
    relations = Relations(registry, expanded(registry))
    return Statement(union_all(*(_rows_of(relations, figure) for figure in registry.figures)))


def _rows_of(relations: Relations, figure: Figure) -> Select[Any]:
    rows = changes(relations, figure.table, (figure,), EVERYTHING, all_rows=True).subquery()
    nothing = cast(null(), ARRAY(Text))

    def texts(side: str, columns: Sequence[Column[Any]]) -> ColumnElement[Any]:
        return array([cast(rows.c[f"{side}{i}"], Text) for i in range(len(columns))])

    return select(
        literal(figure.name, Text),
        texts("k", figure.key),
        case((rows.c.missing, nothing), else_=texts("s", figure.columns)),
        case((rows.c.surplus, nothing), else_=texts("e", figure.columns)),
    )


def _values(name: str, texts: Sequence[str | None] | None) -> dict[str, Any] | None:
    columns = registry.get(name).columns
    return texts and {c.key: value_of(c, text) for c, text in zip(columns, texts, strict=True)}


def value_of(column: Column[Any], reported: Any) -> Any:
    """A number as Decimal, however it is written; anything else as text."""
    if reported is not None and isinstance(column.type, Numeric | Integer):
        return Decimal(reported)
    is_document = isinstance(column.type, JSON) and isinstance(reported, str)
    return json.loads(reported) if is_document else reported


def wrong(rows: Rows) -> set[tuple[str, str, str]]:
    """Figure, key and column of every difference from the facts."""
    return {(*place, column) for place, row in rows.items() for column in row.wrong}
