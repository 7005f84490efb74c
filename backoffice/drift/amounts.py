"""By how much money a figure row is wrong: before, after, the difference (net), and the gross amount.

One column stands for a row, so that before + net = after and each is an amount that the company data has. It is the
leading column of the figure (a closing, a balance, a grand total); where that one is the same on both sides, the next
money column that differs. The **gross** amount is the greatest absolute difference of any money column of the row: an
overpayment of millions beside a balance of 1 does not evade a limit. A figure with a leading column of another figure
(debits and credits: the balance) states its gross alone. Amounts are in the deployment's currency.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Numeric, case, cast, func, null
from sqlalchemy.dialects.postgresql import JSONB

Values = Mapping[str, Any] | None
"""Stored or expected values by column; None where there is no row, which counts as zero."""


@dataclass(frozen=True)
class Amounts:
    """A row's amount before and after; `amount` is the difference. None where another figure states them.

    The fields are those of a run's item (`RunItem`).
    """

    amount_before: Decimal | None
    amount_after: Decimal | None
    amount: Decimal | None
    gross: Decimal


class Measured(Protocol):
    """A figure, or the facts of a table: something with a name and amounts."""

    @property
    def name(self) -> str:
        """The name under which its rows are filed."""

    @property
    def amounts(self) -> Sequence[str]:
        """The names of its columns that hold money, the leading one first."""

    @property
    def has_net(self) -> bool:
        """Whether one of them stands for the row; otherwise it has only a gross amount."""


def amounts_of(figure: Measured, before: Values, after: Values) -> Amounts | None:
    """Before, after, net and gross of a row; None for a figure without amounts, or where one is not a number."""
    columns = figure.amounts
    if not columns:
        return None
    sides = [(_amount(before, c), _amount(after, c)) for c in columns]
    if not all(amount.is_finite() for side in sides for amount in side):
        return None
    gross = max(abs(one - other) for one, other in sides)
    if not figure.has_net:
        return Amounts(None, None, None, gross)
    was, is_now = next((side for side in sides if side[0] != side[1]), sides[0])
    return Amounts(amount_before=was, amount_after=is_now, amount=is_now - was, gross=gross)


def as_fields(amounts: Amounts | None) -> dict[str, Decimal]:
    """The amounts that it states as fields of a row; empty for a figure without money."""
    if amounts is None:
        return {}
    return {name: value for name, value in vars(amounts).items() if value is not None}


def _amount(values: Values, column: str) -> Decimal:
    value = (values or {}).get(column)
    return Decimal(0) if value is None else Decimal(value)


def leading_in_sql(
    figures: Iterable[Measured],
    name: ColumnElement[str],
    mine: ColumnElement[Any],
    other: ColumnElement[Any],
) -> ColumnElement[Any]:
    """SQL for a row's amount on one side, where `name` is the figure's and both sides are jsonb by column.

    NULL for a figure without amounts, or with a leading one of another figure; 0 where there is no row.
    """
    return _of_figures(
        [figure for figure in figures if figure.has_net],
        name,
        lambda columns: leading_of([(_in_sql(mine, c), _in_sql(other, c)) for c in columns]),
    )


def leading_of(pairs: Sequence[tuple[ColumnElement[Any], ColumnElement[Any]]]) -> Any:
    """SQL for the one side of the first pair (the leading amount's comes first) that differs; else of the first."""
    if len(pairs) == 1:
        return pairs[0][0]
    return case(*((mine != other, mine) for mine, other in pairs), else_=pairs[0][0])


def gross_of(pairs: Sequence[tuple[ColumnElement[Any], ColumnElement[Any]]]) -> Any:
    """SQL for the greatest absolute difference of these pairs."""
    return func.greatest(*(func.abs(mine - other) for mine, other in pairs))


def gross_in_sql(
    figures: Iterable[Measured],
    name: ColumnElement[str],
    before: ColumnElement[Any],
    after: ColumnElement[Any],
) -> ColumnElement[Any]:
    """SQL for the gross amount of a row; arguments as for `leading_in_sql`."""
    return _of_figures(
        figures,
        name,
        lambda columns: gross_of([(_in_sql(after, c), _in_sql(before, c)) for c in columns]),
    )


def _in_sql(values: ColumnElement[Any], column: str) -> ColumnElement[Any]:
    return func.coalesce(cast(cast(values, JSONB)[column].astext, Numeric), 0)


def _of_figures(
    figures: Iterable[Measured],
    name: ColumnElement[str],
    reported: Callable[[Sequence[str]], ColumnElement[Any]],
) -> ColumnElement[Any]:
    cases = [
        (name == figure.name, reported(figure.amounts)) for figure in figures if figure.amounts
    ]
    nothing = cast(null(), Numeric)
    return case(*cases, else_=nothing) if cases else nothing
