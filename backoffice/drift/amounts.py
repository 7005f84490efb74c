"""By how much money a figure row is wrong: per column, as a signed net amount, and as a gross amount.

The difference of a money column is the expected minus the stored value. The **net** amount of a row is
their signed sum: before + net = after. The **gross** amount is the sum of absolute differences: an order's package
price and promo that are wrong by the same amount do not cancel out, and a limit on amounts cannot be evaded by
such a pair. Amounts are in the deployment's currency.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from operator import add
from typing import Any, Protocol

from sqlalchemy import Column, ColumnElement, Numeric, case, cast, func, null
from sqlalchemy.dialects.postgresql import JSONB

MONEY_DECIMALS = 2
"""The number of decimals by which a money column is recognized, unlike a quantity, a price or a count."""

Values = Mapping[str, Any] | None
"""Stored or expected values by column; None where there is no row, which counts as zero."""


@dataclass(frozen=True)
class Amounts:
    """The sums of a row's money columns before and after; `amount` is the net difference.

    The fields are those of a run's item (`RunItem`).
    """

    amount_before: Decimal
    amount_after: Decimal
    amount: Decimal
    gross: Decimal


class Measured(Protocol):
    """A figure, or the facts of a table: something with a name and columns."""

    @property
    def name(self) -> str:
        """The name under which its rows are filed."""

    @property
    def columns(self) -> tuple[Column[Any], ...]:
        """Its stored columns."""


def money_columns(figure: Measured) -> list[str]:
    """The names of the figure's columns that hold money."""
    return [
        c.key
        for c in figure.columns
        if isinstance(c.type, Numeric) and c.type.scale == MONEY_DECIMALS
    ]


def by_column(figure: Measured, before: Values, after: Values) -> dict[str, Decimal]:
    """The signed difference of every money column that either side names: after minus before."""
    named = {**(before or {}), **(after or {})}
    return {
        column: _amount(after, column) - _amount(before, column)
        for column in money_columns(figure)
        if column in named
    }


def amounts_of(figure: Measured, before: Values, after: Values) -> Amounts | None:
    """Before, after, net and gross of a row; None for a figure without money, or where an amount is not a number."""
    columns = money_columns(figure)
    if not columns:
        return None
    apart = by_column(figure, before, after).values()
    amounts = Amounts(
        amount_before=sum((_amount(before, c) for c in columns), Decimal(0)),
        amount_after=sum((_amount(after, c) for c in columns), Decimal(0)),
        amount=sum(apart, Decimal(0)),
        gross=sum(map(abs, apart), Decimal(0)),
    )
    return amounts if amounts.gross.is_finite() else None


def as_fields(amounts: Amounts | None) -> dict[str, Decimal]:
    """The amounts as fields of a row; empty for a figure without money."""
    return {} if amounts is None else dict(vars(amounts))  # `asdict` copies each amount


def _amount(values: Values, column: str) -> Decimal:
    value = (values or {}).get(column)
    return Decimal(0) if value is None else Decimal(value)


def sum_in_sql(
    figures: Iterable[Measured], name: ColumnElement[str], values: ColumnElement[Any]
) -> ColumnElement[Any]:
    """SQL for the sum of a row's money columns, where `name` is the figure's and `values` are jsonb by column.

    NULL for a figure without money; 0 where there is no row.
    """
    return _of_figures(
        figures, name, lambda columns: reduce(add, [_in_sql(values, c) for c in columns])
    )


def gross_in_sql(
    figures: Iterable[Measured],
    name: ColumnElement[str],
    before: ColumnElement[Any],
    after: ColumnElement[Any],
) -> ColumnElement[Any]:
    """SQL for the gross amount of a row; arguments as for `sum_in_sql`."""
    return _of_figures(
        figures,
        name,
        lambda columns: reduce(
            add, [func.abs(_in_sql(after, c) - _in_sql(before, c)) for c in columns]
        ),
    )


def _in_sql(values: ColumnElement[Any], column: str) -> ColumnElement[Any]:
    return func.coalesce(cast(cast(values, JSONB)[column].astext, Numeric), 0)


def _of_figures(
    figures: Iterable[Measured],
    name: ColumnElement[str],
    reported: Callable[[list[str]], ColumnElement[Any]],
) -> ColumnElement[Any]:
    with_money = [(f.name, money_columns(f)) for f in figures]
    cases = [(name == figure, reported(columns)) for figure, columns in with_money if columns]
    nothing = cast(null(), Numeric)
    return case(*cases, else_=nothing) if cases else nothing
