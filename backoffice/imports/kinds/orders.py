"""`import orders`: created and updated by number.

The optional columns `total_price`, `additions`, `promo` and `reductions` are entered amounts; an
empty cell keeps the stored one. A component with lines is a figure, so the file may repeat it but
not change it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Date, Numeric, Select, Text, and_, func, or_, select

from ...base import N_
from ...customers.models import Customer
from ...customers.queries import booked_customers
from ...customers.rules import CODE_LENGTH
from ...orders.models import COMPONENT_OF_KIND, Order
from ...orders.queries import is_account_manager, may_have_orders
from ...orders.rules import NUMBER_LENGTH, NUMBER_TAKEN, is_number
from ...people.models import User
from ..files import cells
from ..files.reading import ImportColumn
from ..files.stage import Stage
from ..report import Problem
from .base import Changes, Creates, ImportKind, reads
from .billing import at, changed_concurrently, lock, write

number = cells.number(NUMBER_LENGTH, is_number)


def _component(name: str) -> ImportColumn:
    return ImportColumn(name, cells.amount, Numeric(15, 2), required=False, may_be_empty=True)


COMPONENTS = tuple(COMPONENT_OF_KIND.values())
FACTS = ("customer_id", "account_manager_id", "order_date", "closing_date", *COMPONENTS)

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
    """Check the lines. Locks the orders first, so that saving one of them waits for the import."""
    lock(stage, select(Order.id).join(stage.lines, stage.c.number == Order.number), Order)
    wanted = stage.lay_out(_wanted(stage))
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
    managers = stage.at(User.email.label("value")).join(
        User, User.email == stage.c.account_manager_email
    )
    yield from stage.problems(
        managers.outerjoin(Order, Order.number == stage.c.number).where(
            or_(
                ~is_account_manager,
                and_(~may_have_orders, _closing_date(stage).is_(None)),
            ),
            Order.account_manager_id.is_distinct_from(User.id),
        ),
        "account_manager_email",
        N_("Orders are given to active account managers, and %(value)s is none. Name another one."),
    )
    yield from stage.problems(
        at(wanted).where(wanted.c.closing_date < wanted.c.order_date),
        "closing_date",
        N_("The closing date is before the order date."),
    )
    for kind, component in COMPONENT_OF_KIND.items():
        if stage.has(component):
            yield from _derived(stage, kind, component)


def _derived(stage: Stage, kind: str, component: str) -> Iterator[Problem]:
    """Problems of amounts that differ from the sum of the order's lines of that kind."""
    stored = getattr(Order, component)
    yield from stage.problems(
        stage.at(stored.label("stored"))
        .join(Order, Order.number == stage.c.number)
        .where(Order.itemised.contains([kind]), stage.c[component] != stored),
        component,
        N_("The lines of this order decide this amount; they come to %(stored)s. Leave it empty."),
    )


def _closing_date(stage: Stage) -> ColumnElement[Any]:
    """The closing date in the line, empty for an open order; without the column the stored one."""
    return stage.c.closing_date if stage.has("closing_date") else Order.closing_date.expression


def _wanted(stage: Stage) -> Select[Any]:
    """The lines, each with the order that it is to become; an empty component is the stored one."""
    booked = booked_customers()
    components = {
        name: func.coalesce(stage.c[name] if stage.has(name) else None, getattr(Order, name), 0)
        for name in COMPONENTS
    }
    return (
        select(
            *(stage.c[name] for name in ("n", "file", "line", "number")),
            booked.c.id.label("customer_id"),
            User.id.label("account_manager_id"),
            stage.c.order_date,
            _closing_date(stage).label("closing_date"),
            *(component.label(name) for name, component in components.items()),
            Order.id.label("stored_id"),
            Order.version.label("stored_version"),
        )
        .select_from(stage.lines)
        .join(booked, booked.c.code == stage.c.customer_code)
        .join(User, User.email == stage.c.account_manager_email)
        .outerjoin(Order, Order.number == stage.c.number)
    )


def _apply(stage: Stage) -> Changes:
    c = stage.wanted.c
    return write(stage, Order, select(c.number, *(c[name] for name in FACTS)), "number")


def negative_totals(stage: Stage, column: str) -> Iterator[Problem]:
    """Problems of orders with a negative grand total, at the first line of each."""
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
    wanted = stage.wanted
    # Components are not compared: those with lines are recomputed when the order is written.
    facts = [name for name in FACTS if name not in COMPONENTS]
    is_other = (getattr(Order, name).is_distinct_from(wanted.c[name]) for name in facts)
    written = at(wanted).join(Order, Order.number == wanted.c.number)
    yield from changed_concurrently(stage, written.where(or_(*is_other)))
    yield from negative_totals(stage, "number")


def _totals(stage: Stage) -> Mapping[str, ColumnElement[Any]]:
    return {
        TOTALS[name]: func.coalesce(func.sum(stage.c[name]), 0)
        for name in COMPONENTS
        if stage.has(name)
    }


KIND = ImportKind(
    "orders", COLUMNS, _check, _apply, _check_result, totals=_totals,
    creates=Creates("number", Order.number, NUMBER_TAKEN),
    reads=(
        reads("number", Order.number), reads("customer_code", Customer.code),
        reads("account_manager_email", User.email),
    ),
)  # fmt: skip
