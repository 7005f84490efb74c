"""The report as a file: every line of one dimension with its control totals, exported as a list is."""

from collections.abc import Iterator, Mapping
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import select

from ..base import N_
from ..customers.models import Customer
from ..lists import Column, List, Said
from ..orders.figures import grand_total
from ..people.models import User
from ..web.formats import day_filter
from . import queries
from .forms import Asked
from .marking import behind, behind_before
from .scope import BASES

TITLES = {
    "month": N_("Revenue by month"),
    "manager": N_("Revenue by account manager"),
    "customer": N_("Revenue by customer"),
}
"""Dimension → the title of its table."""


def listing_of(user: Any, dimension: str, asked: Asked, names: Mapping[int, str]) -> List:
    """The lines of one dimension that `user` may see; `names` are the account managers' by id."""
    lines = queries.ranking(user, asked.scope, dimension).order_by(None).subquery("lines")

    def rows(_user: Any) -> Any:
        statement = select().select_from(lines)
        if dimension == "manager":
            return statement.outerjoin(User, User.id == lines.c.key)
        if dimension == "customer":
            return statement.outerjoin(Customer, Customer.id == lines.c.key)
        return statement

    whom = {
        "month": (Column("month", N_("Month"), lines.c.key, kind="month"),),
        "manager": (Column("manager", N_("Account manager"), User.name),),
        "customer": (
            Column("code", N_("Code"), Customer.code),
            Column("customer", N_("Customer"), Customer.name),
        ),
    }
    return List(
        f"revenue-by-{dimension}",
        TITLES[dimension],
        "reports.index",
        rows=rows,
        key=lines.c.key,
        columns=(
            *whom[dimension],
            Column("orders", N_("Orders"), lines.c.orders, kind="number", total=True),
            Column(
                "revenue", N_("Revenue"), lines.c.revenue, kind="money", total=True,
                stands_on={grand_total.name: behind(user, asked.scope, dimension, lines.c.key)},
            ),
            Column("share", N_("Share"), lines.c.share, kind="percent"),
            Column(
                "before", N_("A year earlier"), lines.c.before, kind="money", total=True,
                stands_on={
                    grand_total.name: behind_before(user, asked.scope, dimension, lines.c.key)
                },
            ),
        ),
        filters=tuple(_said(asked, names)),
        default_sort="month" if dimension == "month" else "-revenue",
    )  # fmt: skip


def _said(asked: Asked, names: Mapping[int, str]) -> Iterator[Said]:
    scope = asked.scope
    yield Said("basis", N_("Counted by"), _(BASES[scope.basis]))
    yield Said("since", N_("From"), day_filter(scope.period.since))
    yield Said("until", N_("to"), day_filter(scope.period.until))
    if scope.manager_id is not None:
        name = names.get(scope.manager_id, f"#{scope.manager_id}")
        yield Said("manager", N_("Account manager"), name)
    if asked.whom:
        yield Said("customer", N_("Customer"), asked.whom)
