"""`import orders`: created and updated by number.

The optional columns `total_price`, `additions`, `promo` and `reductions` are amounts that a user
entered; an empty cell leaves what is there. A component that lines make up is a figure, so that
the file may repeat it but not change it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Date, Numeric, Text, func, literal, select

from ...base import N_
from ...base.upserts import upsert
from ...customers.models import Customer
from ...customers.rules import CODE_LENGTH
from ...orders.models import COMPONENT_OF_KIND, Order
from ...orders.rules import NUMBER_LENGTH, is_number
from ...people.models import User
from ..files import cells
from ..files.reading import ImportColumn
from ..files.stage import Stage
from ..report import Problem
from .base import Changes, ImportKind

number = cells.number(NUMBER_LENGTH, is_number)


def _component(name: str) -> ImportColumn:
    return ImportColumn(name, cells.amount, Numeric(15, 2), required=False, may_be_empty=True)


COMPONENTS = tuple(COMPONENT_OF_KIND.values())

TOTALS = {
    "total_price": N_("Package price"),
    "additions": N_("Additions"),
    "promo": N_("Promo"),
    "reductions": N_("Reductions"),
}
"""Component → its name on screen."""

COLUMNS = (
    ImportColumn("number", number, Text()),
    ImportColumn("customer_code", cells.text(CODE_LENGTH), Text()),
    ImportColumn("account_manager_email", cells.email, Text()),
    ImportColumn("order_date", cells.day, Date()),
    ImportColumn("closing_date", cells.day, Date(), may_be_empty=True),
    *map(_component, COMPONENTS),
)


def _check(stage: Stage) -> Iterator[Problem]:
    yield from stage.problems(
        stage.repeated("number"), "number", N_("This number stands in line %(first)s already.")
    )
    yield from stage.problems(
        stage.unknown("customer_code", Customer.code.expression),
        "customer_code",
        N_("There is no customer %(value)s. Import the customers first."),
    )
    yield from stage.problems(
        stage.unknown("account_manager_email", User.email.expression),
        "account_manager_email",
        N_("There is no account manager %(value)s. Import the account managers first."),
    )
    yield from stage.problems(
        stage.at().where(stage.c.closing_date < stage.c.order_date),
        "closing_date",
        N_("The closing date is before the order date."),
    )
    for kind, component in COMPONENT_OF_KIND.items():
        if stage.has(component):
            yield from _derived(stage, kind, component)


def _derived(stage: Stage, kind: str, component: str) -> Iterator[Problem]:
    """Lines that give another amount than the order's lines of that kind come to."""
    stored = getattr(Order, component)
    yield from stage.problems(
        stage.at(stored.label("stored"))
        .join(Order, Order.number == stage.c.number)
        .where(Order.itemised.contains([kind]), stage.c[component] != stored),
        component,
        N_("The lines of this order decide this amount; they come to %(stored)s. Leave it empty."),
    )


def _apply(stage: Stage) -> Changes:
    orders = Order.__table__
    rows = (
        select(
            stage.c.number,
            Customer.id.label("customer_id"),
            User.id.label("account_manager_id"),
            stage.c.order_date,
            stage.c.closing_date,
            *(
                func.coalesce(stage.c[name], orders.c[name], literal(0)).label(name)
                for name in COMPONENTS
                if stage.has(name)
            ),
        )
        .select_from(stage.lines)
        .join(Customer, Customer.code == stage.c.customer_code)
        .join(User, User.email == stage.c.account_manager_email)
        .outerjoin(orders, orders.c.number == stage.c.number)
        .order_by(orders.c.id, stage.c.n)
    )
    changed = {"version": orders.c.version + 1, "updated_at": func.now()}
    return Changes(*upsert(stage.session, Order, rows, "number", on_change=changed))


def negative_totals(stage: Stage, column: str) -> Iterator[Problem]:
    """The first line of every order that has come out below zero."""
    first = select(func.min(stage.c.n)).group_by(stage.c[column]).scalar_subquery()
    yield from stage.problems(
        stage.at(Order.number.label("number"), Order.grand_total.label("total"))
        .join(Order, Order.number == stage.c[column])
        .where(Order.grand_total < 0, stage.c.n.in_(first)),
        column,
        N_(
            "The grand total of order %(number)s would be %(total)s, and it cannot be negative. "
            "Lower the promo or the reductions, or raise the package price."
        ),
    )


def _check_result(stage: Stage) -> Iterator[Problem]:
    return negative_totals(stage, "number")


def _totals(stage: Stage) -> Mapping[str, ColumnElement[Any]]:
    return {
        TOTALS[name]: func.coalesce(func.sum(stage.c[name]), 0)
        for name in COMPONENTS
        if stage.has(name)
    }


KIND = ImportKind("orders", COLUMNS, _check, _apply, _check_result, totals=_totals)
