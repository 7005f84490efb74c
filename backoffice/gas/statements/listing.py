"""A customer's statement as a list: every month, on screen, in exports and in print."""

from functools import partial
from typing import Any

from flask import url_for
from sqlalchemy import Date, Numeric, Select, cast, func, literal, select

from ...base import N_, counted
from ...customers.models import Customer
from ...lists import Column, List
from ..listing import TONES, derived_column, movement_of
from ..models import MonthlyCustomerBalance
from ..queries import statement_of

M = MonthlyCustomerBalance

NOTES = {"still": N_("No movement"), "incomplete": N_("Incomplete: a reading has no price")}


def statement_list(customer: Customer) -> List:
    """The customer's months; stored ones are read from their table, so that wrong ones are marked."""
    months = statement_of(customer.id)
    details = months.c.calculation_details

    def rows(_user: Any) -> Select[Any]:
        return select().select_from(months.outerjoin(M, M.id == months.c.id))

    month = cast(func.to_date(months.c.year_month, "YYYY-MM"), Date)
    column = partial(derived_column, M, months, classes="cell-detail")
    _unpriced, state = movement_of(details)
    read = func.coalesce(details["readings"].as_integer(), literal(0), type_=Numeric)
    return List(
        "gas_statement",
        N_("Gas statement"),
        "gas.statement",
        export="gas.export_statement",
        rows=rows,
        key=months.c.year_month,
        columns=(
            Column(
                "month", N_("Month"), month, kind="month", classes="cell-key",
                link=lambda row: url_for("gas.month", code=customer.code, month=row.key),
            ),
            column("opening_balance"),
            column("total_deposits", total=True),
            column("total_purchases", total=True),
            column("closing_balance", classes="cell-total cell-lead"),
            column("total_volume_sm3", "quantity", classes="cell-part", total=True),
            Column("readings", N_("Readings"), read, kind="number", total=True, classes="cell-part"),
            Column("state", N_("Note"), state, words=NOTES, tones=TONES, classes="cell-word"),
        ),
        default_sort="-month",
        counted=counted("%(num)s month", "%(num)s months"),
        is_computed=True,
        nothing_yet=(N_("No months yet"), N_("The months follow from readings and deposits.")),
        classes="gas-list compact",
    )  # fmt: skip
