"""The figures of a manager's month: the number of orders closed in it, and the sum of their grand totals."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Date, DateTime, Numeric, Select, cast, func, literal, select

from ..base import N_
from ..base.periods import FIRST_DAY, LAST_DAY
from ..figures import amounts, check, figure
from ..orders.models import Order
from .models import AccountManagerTarget

ZERO = literal(Decimal(0), Numeric(15, 2))


@figure(
    name="account_manager_targets.achieved",
    title=N_("Achieved"),
    columns=(AccountManagerTarget.achieved, AccountManagerTarget.orders_closed),
    row_per=(AccountManagerTarget.account_manager_id, AccountManagerTarget.month),
    owner=AccountManagerTarget.account_manager_id,
    entered_rows=AccountManagerTarget.target.is_not(None),
    incremental=True,
    formula=N_("The grand totals of the orders that the account manager closed in the month"),
)
def achieved(orders: Any = Order) -> Select[Any]:
    """Orders by account manager and month of closing date; an open order counts in no month.

    An order with a closing date out of range, written past the CHECKs, counts in none either: its month could not be
    stored, so that no order of the manager could be saved, not even to correct the date.
    """
    month = cast(func.date_trunc("month", cast(orders.c.closing_date, DateTime)), Date)
    return (
        select(
            orders.c.account_manager_id,
            month.label("month"),
            func.sum(orders.c.grand_total).label("achieved"),
            func.count().label("orders_closed"),
        )
        .where(orders.c.closing_date.between(FIRST_DAY, LAST_DAY))
        .group_by(orders.c.account_manager_id, month)
    )


def difference(achieved: Any, target: Any) -> ColumnElement[Decimal]:
    """Achieved minus target; no target counts as 0."""
    less: ColumnElement[Decimal] = achieved - func.coalesce(target, ZERO)
    return less


def attainment(achieved: Any, target: Any) -> ColumnElement[Decimal]:
    """Achieved in percent of the target, to one decimal; NULL without a target above 0."""
    return func.round(
        achieved * 100 / func.nullif(func.greatest(target, ZERO), ZERO), 1, type_=Numeric
    )


def year_target(targets: Iterable[Decimal | None]) -> Decimal:
    """The sum of the targets of a year's months; a month without a target counts as 0."""
    return sum((target for target in targets if target is not None), Decimal(0))


TARGET_FIGURES = (achieved,)
"""All figures of a manager's month."""

MONTH = "YYYY-MM"

closed_counted = check(
    "targets.achieved",
    title=N_("Achieved in a month, and the orders closed in it"),
    left=amounts(
        N_("Achieved"),
        select(func.to_char(AccountManagerTarget.month, MONTH), AccountManagerTarget.achieved),
    ),
    right=amounts(
        N_("Grand totals of closed orders"),
        select(func.to_char(Order.closing_date, MONTH), Order.grand_total).where(
            Order.closing_date.between(FIRST_DAY, LAST_DAY)
        ),
    ),
)
