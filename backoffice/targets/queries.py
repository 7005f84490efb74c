"""Reads of targets: which rows a user may see, a year by month, a year by account manager."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    Interval,
    Numeric,
    Select,
    and_,
    cast,
    extract,
    func,
    or_,
    select,
)
from sqlalchemy.orm import Session

from ..base.periods import FIRST_DAY, LAST_DAY, Month
from ..orders.queries import may_have_orders
from ..people.models import User
from ..security.rights import mine_or
from .figures import ZERO, attainment, difference
from .models import AccountManagerTarget

EARLIEST, LATEST = FIRST_DAY.year, LAST_DAY.year
"""The first and the last year that a target can have, the same as for the dates of orders."""


@dataclass(frozen=True)
class Sum:
    """A target and what was achieved. `target` is None where none is set.

    `difference` counts a missing target as 0, so that differences add up as targets and achieved amounts
    do; `attainment` is in percent of the target, None unless the target is above 0.
    """

    target: Decimal | None
    achieved: Decimal
    orders_closed: int
    difference: Decimal
    attainment: Decimal | None


@dataclass(frozen=True)
class MonthSum(Sum):
    """One month of a year, and the year to date at the end of that month."""

    month: Month
    running: Sum


@dataclass(frozen=True)
class ManagerSum(Sum):
    """One account manager's year."""

    manager_id: int
    name: str


@dataclass(frozen=True)
class Year:
    """Twelve months and their total."""

    year: int
    months: Sequence[MonthSum]

    @property
    def total(self) -> Sum:
        """The whole year."""
        return self.months[-1].running


def visible_to(user: Any) -> ColumnElement[bool]:
    """The targets that `user` may see: an account manager only their own."""
    return mine_or(user, "targets.read_all", AccountManagerTarget.account_manager_id.expression)


def manager_of(session: Session, user: Any, manager_id: int) -> User | None:
    """The account manager with that id, by role or by orders sold, if `user` may see them."""
    wanted = mine_or(user, "targets.read_all", User.id.expression)
    statement = select(User).where(User.id == manager_id, wanted, _is_manager())
    return session.scalars(statement).one_or_none()


def managers(session: Session, user: Any) -> Sequence[User]:
    """Every account manager who is visible to `user`, by name."""
    wanted = mine_or(user, "targets.read_all", User.id.expression)
    return session.scalars(
        select(User).where(wanted, _is_manager()).order_by(User.name, User.id)
    ).all()


def every_manager(session: Session) -> Sequence[User]:
    """Every account manager, by name."""
    return session.scalars(select(User).where(_is_manager()).order_by(User.name, User.id)).all()


def managers_meant_by(session: Session, text: str) -> Sequence[User]:
    """The account managers that a typed text names: by e-mail address, by name, or by both."""
    wanted = text.casefold()

    def is_meant(person: User) -> bool:
        names = (person.email, person.name, manager_label(person))
        return wanted in {name.casefold() for name in names}

    return list(filter(is_meant, every_manager(session)))


def manager_label(person: User) -> str:
    """An account manager in a form: name and e-mail address."""
    return f"{person.name} · {person.email}"


def _is_manager() -> ColumnElement[bool]:
    has_row = (
        select(AccountManagerTarget.id)
        .where(AccountManagerTarget.account_manager_id == User.id)
        .correlate(User)
        .exists()
    )
    return or_(may_have_orders, has_row)


def row_of(session: Session, manager_id: int, month: Month) -> AccountManagerTarget | None:
    """The stored row of a manager's month; None if it has neither a target nor a closed order."""
    return session.scalars(
        select(AccountManagerTarget).where(
            AccountManagerTarget.account_manager_id == manager_id,
            AccountManagerTarget.month == month.first,
        )
    ).one_or_none()


def years(session: Session, user: Any) -> range:
    """The years in which there are targets or closed orders that `user` may see."""
    month = AccountManagerTarget.month
    found = session.execute(
        select(func.min(month).label("first"), func.max(month).label("last")).where(
            visible_to(user)
        )
    ).one()
    if found.first is None:
        return range(0)
    return range(found.first.year, found.last.year + 1)


def year_of(session: Session, user: Any, year: int, manager_id: int | None) -> Year:
    """The twelve months of a year, of one manager or of all who are visible to `user`."""
    rows = session.execute(_months(user, year, manager_id)).all()
    months = [
        MonthSum(**_sum(row), month=Month.of(row.month), running=Sum(**_sum(row, "_so_far")))
        for row in rows
    ]
    return Year(year, months)


def _sum(row: Any, which: str = "") -> dict[str, Any]:
    names = ("target", "achieved", "orders_closed", "difference", "attainment")
    return {name: getattr(row, name + which) for name in names}


def _months(user: Any, year: int, manager_id: int | None) -> Select[Any]:
    """Twelve rows, also for months without stored rows; each with the month's own sums and the year-to-date sums."""
    calendar = (
        func.generate_series(
            cast(date(year, 1, 1), Date), cast(date(year, 12, 1), Date), cast("1 month", Interval)
        )
        .table_valued("moment")
        .render_derived("calendar")
    )
    month = cast(calendar.c.moment, Date)
    rows = AccountManagerTarget
    of_owners = [visible_to(user)]
    if manager_id is not None:
        of_owners.append(rows.account_manager_id == manager_id)
    stored = (
        select(
            month.label("month"),
            func.sum(rows.target).label("target"),
            func.coalesce(func.sum(rows.achieved), ZERO).label("achieved"),
            cast(func.coalesce(func.sum(rows.orders_closed), 0), BigInteger).label("orders_closed"),
        )
        .select_from(calendar)
        .outerjoin(rows, (rows.month == month) & and_(*of_owners))
        .group_by(month)
        .subquery("stored")
    )
    own, so_far = stored.c, _so_far(stored)
    return select(
        own.month, own.target, own.achieved, own.orders_closed,
        difference(own.achieved, own.target).label("difference"),
        attainment(own.achieved, own.target).label("attainment"),
        so_far["target"].label("target_so_far"),
        so_far["achieved"].label("achieved_so_far"),
        so_far["orders_closed"].label("orders_closed_so_far"),
        difference(so_far["achieved"], so_far["target"]).label("difference_so_far"),
        attainment(so_far["achieved"], so_far["target"]).label("attainment_so_far"),
    ).order_by(own.month)  # fmt: skip


def _so_far(stored: Any) -> Mapping[str, ColumnElement[Any]]:
    """The year-to-date sums of each month. They may have more digits than the columns that they add up."""
    kinds: Mapping[str, Any] = {"target": Numeric, "achieved": Numeric, "orders_closed": BigInteger}
    return {
        name: cast(func.sum(stored.c[name]).over(order_by=stored.c.month), kind)
        for name, kind in kinds.items()
    }


def managers_of_year(
    session: Session, user: Any, year: int, *, limit: int, offset: int
) -> Sequence[ManagerSum]:
    """The year of each account manager who is visible to `user`, by name."""
    rows = AccountManagerTarget
    target, achieved = func.sum(rows.target), func.coalesce(func.sum(rows.achieved), ZERO)
    in_year = (rows.account_manager_id == User.id) & rows.month.between(
        date(year, 1, 1), date(year, 12, 1)
    )
    statement = (
        select(
            User.id, User.name,
            target.label("target"),
            achieved.label("achieved"),
            cast(func.coalesce(func.sum(rows.orders_closed), 0), BigInteger).label("orders_closed"),
            difference(achieved, target).label("difference"),
            attainment(achieved, target).label("attainment"),
        )
        .outerjoin(rows, in_year)
        .where(mine_or(user, "targets.read_all", User.id.expression), _is_manager())
        .group_by(User.id, User.name)
        .order_by(User.name, User.id)
        .limit(limit)
        .offset(offset)
    )  # fmt: skip
    return [
        ManagerSum(**_sum(row), manager_id=row.id, name=row.name)
        for row in session.execute(statement)
    ]


def part_of_month(part: str) -> ColumnElement[int]:
    """The year, or the number of the month, of a stored row."""
    return cast(extract(part, AccountManagerTarget.month), BigInteger)
