"""By how much money a figure row is wrong.

Of a figure with one money column that is expected minus stored, with its sign. Of one with several it
is the sum of the differences without their signs: an order's package price and promo that are wrong by
the same amount are not right together.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Numeric, Text, case, cast, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB

from ..figures import Figure

MONEY_DECIMALS = 2
"""What tells a money column from a quantity, a price or a count."""


def money_columns(figure: Figure) -> list[str]:
    """The names of the figure's columns that hold money."""
    return [
        c.key
        for c in figure.columns
        if isinstance(c.type, Numeric) and c.type.scale == MONEY_DECIMALS
    ]


def difference(
    figure: Figure, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
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
    figures: Iterable[Figure],
    name: ColumnElement[str],
    before: ColumnElement[Any],
    after: ColumnElement[Any],
) -> ColumnElement[Any]:
    """The same of a row of SQL, where `name` is the figure's and the others are jsonb by column."""
    pairs = [(f.name, column) for f in figures for column in money_columns(f)]
    money = func.unnest(
        literal([figure for figure, _ in pairs], ARRAY(Text)),
        literal([column for _, column in pairs], ARRAY(Text)),
    ).table_valued("figure", "name", name="money").render_derived()  # fmt: skip

    def amount(values: ColumnElement[Any]) -> ColumnElement[Any]:
        text = cast(values, JSONB)[money.c.name].astext
        return func.coalesce(cast(text, Numeric), 0)

    apart = amount(after) - amount(before)
    summed = case((func.count() == 1, func.sum(apart)), else_=func.sum(func.abs(apart)))
    return select(summed).where(money.c.figure == name).scalar_subquery()
