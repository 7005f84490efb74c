"""Marks for the lines of a revenue report that include grand totals with an open drift finding."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Date, DateTime, Interval, Select, cast, func, select
from sqlalchemy.orm import Session

from ..base.periods import Month
from ..drift.marks import FINDINGS
from ..lists.marking import Mark
from ..orders.figures import grand_total
from ..orders.models import Order
from . import queries
from .scope import ReportScope


@dataclass(frozen=True)
class Doubted:
    """The keys, by dimension, of the lines with doubtful revenue (`now`) or revenue of the year before (`before`)."""

    now: Mapping[str, frozenset[Any]]
    before: Mapping[str, frozenset[Any]]
    mark: Mark

    def of(self, dimension: str, key: Any, *, is_before: bool = False) -> Mark | None:
        """The mark of a line's amount; for a total, with key None, the mark of any line."""
        keys = (self.before if is_before else self.now).get(dimension, frozenset())
        return self.mark if (keys if key is None else key in keys) else None


def doubted(session: Session, user: Any, scope: ReportScope) -> Doubted:
    """The lines of the report that are known to be wrong."""
    if not FINDINGS.is_any_open(session, [grand_total.name]):
        return Doubted({}, {}, Mark(None))
    mark = Mark(FINDINGS.address_of([grand_total.name]))
    now = _wrong_keys(session, user, scope, 0)
    return Doubted(now, _wrong_keys(session, user, scope.year_before, 12), mark)


def behind(user: Any, scope: ReportScope, dimension: str, key: Any) -> Select[Any]:
    """The ids of the orders in the line with this `key`."""
    return _orders(user, scope).where(_dimensions(scope)[dimension] == key)


def behind_before(user: Any, scope: ReportScope, dimension: str, key: Any) -> Select[Any]:
    """The ids of the orders of the year before in the line with this `key`."""
    if dimension == "month":
        key = cast(key - cast("1 year", Interval), Date)
    return behind(user, scope.year_before, dimension, key)


def _wrong_keys(
    session: Session, user: Any, scope: ReportScope, later: int
) -> Mapping[str, frozenset[Any]]:
    """The keys, by dimension, of the lines with a wrong order; a month is moved on by `later` months."""
    wrong = _wrong(user, scope)
    keys = {
        name: frozenset(session.scalars(wrong.with_only_columns(value).distinct()))
        for name, value in _dimensions(scope).items()
    }
    months = frozenset((Month.of(month) + later).first for month in keys["month"])
    return {**keys, "month": months}


def _wrong(user: Any, scope: ReportScope) -> Select[Any]:
    [known] = FINDINGS.of_row(grand_total.table, Order.grand_total.key)
    return _orders(user, scope).where(known.may_be_wrong)


def _orders(user: Any, scope: ReportScope) -> Select[Any]:
    day, period = queries.DATES[scope.basis], scope.period
    return select(Order.id).where(
        day.between(period.since, period.until), *queries.conditions(user, scope)
    )


def _dimensions(scope: ReportScope) -> Mapping[str, Any]:
    day = queries.DATES[scope.basis]
    return {
        "month": cast(func.date_trunc("month", cast(day, DateTime)), Date),
        "manager": Order.account_manager_id,
        "customer": Order.customer_id,
    }
