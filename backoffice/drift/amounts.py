"""By how much money a figure row is wrong: expected minus stored, added up over its money columns."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Numeric, Text, cast, func, literal, select
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
    """Expected minus stored, in the deployment's currency; None of a figure without money."""
    columns = money_columns(figure)
    if not columns:
        return None
    return sum((_amount(after, c) - _amount(before, c) for c in columns), Decimal(0))


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

    summed = select(func.sum(amount(after) - amount(before))).where(money.c.figure == name)
    return summed.scalar_subquery()
