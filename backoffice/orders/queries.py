"""Reads of orders: who may see which rows, the list with its totals, and one order's own screens."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from operator import gt, lt
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, or_, select, true
from sqlalchemy.orm import Session, contains_eager, joinedload, selectinload

from ..customers.models import Customer
from ..paging import PAGE_SIZE, Page
from ..people.models import User
from ..permissions import mine_or
from .models import COMPONENT_OF_KIND, Order

AMOUNTS = (*COMPONENT_OF_KIND.values(), "grand_total")
"""The stored amounts of an order, in the order of the formula."""

SORTS: Mapping[str, ColumnElement[Any]] = {
    "number": Order.number.expression,
    "customer": Customer.name.expression,
    "manager": User.name.expression,
    "order_date": Order.order_date.expression,
    "closing_date": Order.closing_date.expression,
    **{name: getattr(Order, name).expression for name in AMOUNTS},
}
DEFAULT_SORT = "-order_date"

STATES = ("open", "closed")


@dataclass(frozen=True)
class OrderFilter:
    """What a list of orders is narrowed to, and how it is sorted; `-` before a name sorts downwards."""

    search: str = ""
    customer: str = ""
    manager_id: int | None = None
    since: date | None = None
    until: date | None = None
    state: str = ""
    sort: str = DEFAULT_SORT

    @property
    def as_query(self) -> dict[str, Any]:
        """The query arguments that describe this filter in an address; none for the whole list."""
        sort = "" if self.sort == DEFAULT_SORT else self.sort
        arguments = {
            "q": self.search,
            "customer": self.customer,
            "manager": self.manager_id,
            "since": self.since,
            "until": self.until,
            "state": self.state,
            "sort": sort,
        }
        return {name: str(value) for name, value in arguments.items() if value}

    @property
    def is_downwards(self) -> bool:
        """Whether the greatest comes first."""
        return self.sort.startswith("-")

    @property
    def is_narrow(self) -> bool:
        """Whether it leaves anything out."""
        return any(
            (self.search, self.customer, self.manager_id, self.since, self.until, self.state)
        )


@dataclass(frozen=True)
class FilterTotals:
    """The sums over everything that a filter leaves in, whatever page is shown."""

    count: int
    amounts: Mapping[str, Decimal] = field(default_factory=dict)


def visible_to(user: Any) -> ColumnElement[bool]:
    """The orders that `user` may see: an account manager only their own."""
    return mine_or(user, "orders.read_all", Order.account_manager_id.expression)


def order_of(session: Session, user: Any, number: str) -> Order | None:
    """The order of that number with its lines, if `user` may see it."""
    return _order(session, user, Order.number == number)


def order_with_id(session: Session, user: Any, order_id: int) -> Order | None:
    """The order of that id with its lines, if `user` may see it."""
    return _order(session, user, Order.id == order_id)


def _order(session: Session, user: Any, condition: ColumnElement[bool]) -> Order | None:
    return session.scalars(
        select(Order)
        .where(condition, visible_to(user))
        .options(
            joinedload(Order.customer),
            joinedload(Order.account_manager),
            selectinload(Order.lines),
        )
    ).one_or_none()


def orders_page(
    session: Session, user: Any, wanted: OrderFilter, number: int
) -> tuple[Page[Order], FilterTotals]:
    """One page of the orders that `user` may see and `wanted` leaves in, with the totals of them all."""
    totals = _totals(session, user, wanted)
    number = min(number, max(1, -(-totals.count // PAGE_SIZE)))
    joined = select(Order).join(Order.customer).join(Order.account_manager)
    rows = session.scalars(
        joined.where(visible_to(user), *_conditions(wanted))
        .options(contains_eager(Order.customer), contains_eager(Order.account_manager))
        .order_by(*_order_by(wanted.sort))
        .limit(PAGE_SIZE)
        .offset((number - 1) * PAGE_SIZE)
    ).all()
    return Page(rows, number, PAGE_SIZE, totals.count), totals


def orders_of_customer(
    session: Session, user: Any, customer: Customer, number: int
) -> tuple[Page[Order], FilterTotals]:
    """The customer's orders that `user` may see, newest first."""
    return orders_page(session, user, OrderFilter(customer=customer.code), number)


def _totals(session: Session, user: Any, wanted: OrderFilter) -> FilterTotals:
    sums = [func.coalesce(func.sum(getattr(Order, name)), 0).label(name) for name in AMOUNTS]
    statement = select(func.count(Order.id).label("found"), *sums)
    if wanted.search or wanted.customer:
        statement = statement.join(Order.customer)
    row = session.execute(statement.where(visible_to(user), *_conditions(wanted))).one()
    return FilterTotals(row.found, {name: getattr(row, name) for name in AMOUNTS})


def _conditions(wanted: OrderFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.search:
        found.append(
            or_(
                Order.number.icontains(wanted.search, autoescape=True),
                Customer.code.icontains(wanted.search, autoescape=True),
                Customer.name.icontains(wanted.search, autoescape=True),
            )
        )
    if wanted.customer:
        found.append(
            or_(
                func.lower(Customer.code) == wanted.customer.lower(),
                Customer.name.icontains(wanted.customer, autoescape=True),
            )
        )
    if wanted.manager_id is not None:
        found.append(Order.account_manager_id == wanted.manager_id)
    if wanted.since is not None:
        found.append(Order.order_date >= wanted.since)
    if wanted.until is not None:
        found.append(Order.order_date <= wanted.until)
    if wanted.state == "open":
        found.append(Order.closing_date.is_(None))
    if wanted.state == "closed":
        found.append(Order.closing_date.is_not(None))
    return found


def _order_by(sort: str) -> tuple[ColumnElement[Any], ...]:
    """The sort with a tie-break that makes paging stable; rows without the value come last."""
    name = sort.removeprefix("-")
    column = SORTS.get(name, Order.order_date.expression)
    if sort.startswith("-"):
        return column.desc().nulls_last(), Order.id.desc()
    return column.asc().nulls_last(), Order.id.asc()


def neighbours(
    session: Session, user: Any, wanted: OrderFilter, order: Order
) -> tuple[str | None, str | None]:
    """The numbers of the orders before and after `order` in the list that `wanted` describes."""
    column = SORTS[wanted.sort.removeprefix("-")]
    joined = select(column).join(Order.customer).join(Order.account_manager)
    value = session.scalar(joined.where(Order.id == order.id))
    rows = joined.with_only_columns(Order.number).where(visible_to(user), *_conditions(wanted))
    previous, following = (
        session.scalar(
            _beyond(rows, column, value, order.id, wanted.is_downwards, is_back).limit(1)
        )
        for is_back in (True, False)
    )
    return previous, following


def _beyond(
    rows: Select[Any],
    column: ColumnElement[Any],
    value: Any,
    key: int,
    is_downwards: bool,
    is_back: bool,
) -> Select[Any]:
    """The rows of the list that come after the one with `value` and `key`, or before it; nearest first."""
    beyond = lt if is_downwards is not is_back else gt
    same = beyond(Order.id, key)
    if value is None:
        after: ColumnElement[bool] = column.is_(None) & same
        if is_back:
            after = after | column.is_not(None)
    else:
        after = beyond(column, value) | ((column == value) & same)
        if not is_back:
            after = after | column.is_(None)
    turned = column.desc() if is_downwards is not is_back else column.asc()
    nulls = turned.nulls_first() if is_back else turned.nulls_last()
    by_key = Order.id.desc() if is_downwards is not is_back else Order.id.asc()
    return rows.where(after).order_by(nulls, by_key)


def managers_with_orders(session: Session, user: Any) -> Sequence[User]:
    """The people on the orders that `user` may see, for choosing one in the list."""
    has_order = exists().where(Order.account_manager_id == User.id, visible_to(user))
    return session.scalars(select(User).where(has_order).order_by(User.name)).all()


def assignable_managers(session: Session, also: int | None) -> Sequence[User]:
    """The account managers whom an order can be given to, and the one who already has it."""
    may = (User.role == "account_manager") & User.is_active
    return session.scalars(
        select(User).where(or_(may, User.id == also) if also else may).order_by(User.name)
    ).all()


def number_is_taken(session: Session, number: str, besides: int | None) -> bool:
    """Whether another order than `besides` has that number."""
    other = true() if besides is None else Order.id != besides
    return session.scalar(select(Order.id).where(Order.number == number, other)) is not None


def suggested_number(session: Session) -> str:
    """The number that follows the newest order's; the first one of an empty book is SO-0001."""
    newest = session.scalar(select(Order.number).order_by(Order.id.desc()).limit(1)) or "SO-0000"
    head, digits = re.fullmatch(r"(.*?)(\d*)", newest, re.ASCII | re.DOTALL).groups()  # type: ignore[union-attr]
    following, step = int(digits or 0) + 1, 1
    while number_is_taken(session, suggestion := f"{head}{following:0{len(digits)}}", None):
        following, step = following + step, step * 2
    return suggestion
