"""The list of orders: its columns, its filters and the link of each row."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flask import url_for
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from ..base import N_, counted
from ..customers.listing import customer_columns, of_customer
from ..customers.models import Customer
from ..lists import Choice, Column, Days, List, Reference, Search, containing
from ..people.models import User
from . import queries
from .models import COMPONENT_OF_KIND, Order


def _rows(user: Any) -> Select[Any]:
    joined = select().select_from(Order).outerjoin(Order.customer).outerjoin(Order.account_manager)
    return joined.where(queries.visible_to(user))


def _managers(session: Session, user: Any) -> Sequence[tuple[int, str]]:
    return [(person.id, person.name) for person in queries.managers_with_orders(session, user)]


def _record(row: Any) -> str:
    return url_for("orders.record", number=row.number)


ORDERS = List(
    "orders",
    N_("Orders"),
    "orders.index",
    export="orders.export",
    bulk="orders.bulk_edit",
    rows=_rows,
    key=Order.id,
    columns=(
        Column("number", N_("Number"), Order.number, link=_record, classes="cell-key"),
        *customer_columns(),
        Column(
            "manager",
            N_("Account manager"),
            User.name,
            code="manager_email",
            classes="cell-manager",
        ),
        Column("manager_email", N_("Account manager’s e-mail"), User.email, is_shown=False),
        Column("order_date", N_("Ordered"), Order.order_date, kind="day", classes="cell-date"),
        Column(
            "closing_date",
            N_("Closed"),
            Order.closing_date,
            kind="day",
            empty=N_("Open"),
            classes="cell-date cell-closed",
        ),
        *(
            Column(
                name,
                getattr(Order, name).info["label"],
                getattr(Order, name),
                kind="money",
                total=True,
                classes="cell-part",
            )
            for name in COMPONENT_OF_KIND.values()
        ),
        Column(
            "grand_total",
            N_("Grand total"),
            Order.grand_total,
            kind="money",
            total=True,
            classes="cell-total",
        ),
        Column("updated_at", N_("Last change"), Order.updated_at, kind="moment", is_shown=False),
    ),
    filters=(
        Search(
            "q",
            N_("Search"),
            containing(Order.number, Customer.code, Customer.name),
            placeholder=N_("Number or customer"),
        ),
        Reference(
            "manager",
            N_("Account manager"),
            Order.account_manager_id,
            _managers,
        ),
        Choice(
            "state",
            N_("Status"),
            {
                "open": (N_("Open"), Order.closing_date.is_(None)),
                "closed": (N_("Closed"), Order.closing_date.is_not(None)),
            },
        ),
        Days("since", "until", N_("Ordered from"), N_("to"), Order.order_date),
        Days(
            "closed_since",
            "closed_until",
            N_("Closed from"),
            N_("Closed to"),
            Order.closing_date,
            is_quiet=True,
        ),
        of_customer(Order.customer_id.in_),
    ),
    default_sort="-order_date",
    counted=counted("%(num)s order", "%(num)s orders"),
    new=("orders.new", N_("New order")),
    nothing_yet=(N_("No orders yet"), N_("Orders are entered here, or come with the import.")),
    nothing_fits=(
        N_("No order fits that"),
        N_("Take something out of the filter, or search for a part of the number."),
    ),
    classes="orders-table",
)


def orders_of(customer: Customer) -> List:
    """The list of one customer's orders."""
    return replace(ORDERS, rows=lambda user: _rows(user).where(Order.customer_id == customer.id))
