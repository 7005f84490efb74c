"""The list of targets: one row for each account manager and month, with the totals of all filtered rows."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from flask import url_for
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..base import N_, counted
from ..base.codes import month_code
from ..base.periods import Month
from ..lists import Choice, Column, List, Reference
from ..people.models import User
from ..web.formats import month_filter
from . import queries
from .figures import attainment, difference
from .models import AccountManagerTarget
from .queries import part_of_month, visible_to

_ROW = AccountManagerTarget
_DIFFERENCE = difference(_ROW.achieved, _ROW.target)


def orders_of(manager_id: int | None, first: Month, last: Month) -> str:
    """The address of the list of exactly the orders that count as achieved in these months."""
    return url_for(
        "orders.index", manager=manager_id, closed_since=first.first, closed_until=last.last
    )


def _record(row: Any) -> str:
    return url_for("targets.record", code=month_code(row.manager_id, Month.of(row.month)))


def _orders(row: Any) -> str | None:
    month = Month.of(row.month)
    return orders_of(row.manager_id, month, month) if row.orders else None


def _years(session: Session, user: Any) -> Sequence[tuple[int, str]]:
    return [(year, str(year)) for year in reversed(queries.years(session, user))]


def _months(_session: Session, _user: Any) -> Sequence[tuple[int, str]]:
    return [(number, month_filter(date(2000, number, 1), "LLLL")) for number in range(1, 13)]


def _managers(session: Session, user: Any) -> Sequence[tuple[int, str]]:
    return [(person.id, person.name) for person in queries.managers(session, user)]


TARGETS = List(
    "targets",
    N_("Targets"),
    "targets.index",
    export="targets.export",
    rows=lambda user: (
        select().select_from(_ROW).outerjoin(_ROW.account_manager).where(visible_to(user))
    ),
    key=_ROW.id,
    also={"manager_id": _ROW.account_manager_id},
    columns=(
        Column("month", N_("Month"), _ROW.month, kind="month", link=_record),
        Column("manager", N_("Account manager"), User.name),
        Column("target", N_("Target"), _ROW.target, kind="money", total=True),
        Column("achieved", N_("Achieved"), _ROW.achieved, kind="money", total=True, link=_orders),
        Column("difference", N_("Difference"), _DIFFERENCE, kind="money", total=True),
        Column(
            "attainment", N_("Attainment"), attainment(_ROW.achieved, _ROW.target), kind="percent"
        ),
        Column("orders", N_("Orders closed"), _ROW.orders_closed, kind="number", total=True),
    ),
    filters=(
        Reference("year", N_("Year"), part_of_month("year"), _years),
        Reference("month", N_("Month"), part_of_month("month"), _months),
        Reference(
            "manager", N_("Account manager"), _ROW.account_manager_id, _managers
        ),
        Choice(
            "state",
            N_("Status"),
            {
                "reached": (N_("Reached"), _ROW.achieved >= _ROW.target),
                "missed": (N_("Missed"), _ROW.achieved < _ROW.target),
                "none": (N_("Without target"), _ROW.target.is_(None)),
            },
        ),
    ),
    default_sort="-month",
    new=("targets.new", N_("New target")),
    nothing_yet=(
        N_("No targets yet"),
        N_("Whoever closes an order, or is set a target, appears here month by month."),
    ),
    counted=counted("%(num)s month of an account manager", "%(num)s months of account managers"),
)  # fmt: skip
