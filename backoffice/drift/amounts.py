"""By how much money a figure row is wrong.

Of a figure with one money column that is expected minus stored, with its sign. Of one with several it
is the sum of the differences without their signs: an order's package price and promo that are wrong by
the same amount are not right together.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import reduce
from operator import add
from typing import Any, Protocol

from sqlalchemy import Column, ColumnElement, Numeric, case, cast, func, null
from sqlalchemy.dialects.postgresql import JSONB

MONEY_DECIMALS = 2
"""What tells a money column from a quantity, a price or a count."""


class Measured(Protocol):
    """A figure, or the facts of a table: something with a name and columns."""

    @property
    def name(self) -> str:
        """What its rows are filed under."""

    @property
    def columns(self) -> tuple[Column[Any], ...]:
        """Where it is stored."""


def money_columns(figure: Measured) -> list[str]:
    """The names of the figure's columns that hold money."""
    return [
        c.key
        for c in figure.columns
        if isinstance(c.type, Numeric) and c.type.scale == MONEY_DECIMALS
    ]


def difference(
    figure: Measured, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> Decimal | None:
    """The amount, in the deployment's currency; None of a figure without money."""
    columns = money_columns(figure)
    if not columns:
        return None
    apart = [_amount(after, c) - _amount(before, c) for c in columns]
    return apart[0] if len(apart) == 1 else sum(map(abs, apart), Decimal(0))


def _amount(values: Mapping[str, Any] | None, column: str) -> Decimal:
    value = (values or {}).get(column)
    return Decimal(0) if value is None else Decimal(value)


def difference_in_sql(
    figures: Iterable[Measured],
    name: ColumnElement[str],
    before: ColumnElement[Any],
    after: ColumnElement[Any],
) -> ColumnElement[Any]:
    """The same of a row of SQL, where `name` is the figure's and the others are jsonb by column."""

    def amount(values: ColumnElement[Any], column: str) -> ColumnElement[Any]:
        text = cast(values, JSONB)[column].astext
        return func.coalesce(cast(text, Numeric), 0)

    def of(columns: list[str]) -> ColumnElement[Any]:
        apart = [amount(after, column) - amount(before, column) for column in columns]
        return apart[0] if len(apart) == 1 else reduce(add, map(func.abs, apart))

    with_money = [(f.name, money_columns(f)) for f in figures]
    cases = [(name == figure, of(columns)) for figure, columns in with_money if columns]
    nothing = cast(null(), Numeric)
    return case(*cases, else_=nothing) if cases else nothing
