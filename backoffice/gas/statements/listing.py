"""A customer's statement as a list: every month on screen, in files and in print."""

from typing import Any

from flask import url_for
from sqlalchemy import Date, Numeric, Select, case, cast, func, literal, select

from ...base import N_, counted
from ...customers.models import Customer
from ...lists import Column, List
from ..models import MonthlyCustomerBalance
from ..queries import statement_of

M = MonthlyCustomerBalance

AMOUNTS = {
    "opening_balance": (N_("Opening balance"), False),
    "total_deposits": (N_("Deposits"), True),
    "total_purchases": (N_("Purchases"), True),
    "closing_balance": (N_("Closing balance"), False),
}
"""Column → its label, and whether it is added up."""

NOTES = {"still": N_("No movement"), "incomplete": N_("Incomplete: a reading has no price")}
TONES = {"still": "neutral", "incomplete": "warning"}


def statement_list(customer: Customer) -> List:
    """The customer's months; those that are stored are read where they are, and marked where they are wrong."""
    months = statement_of(customer.id)
    details = months.c.calculation_details

    def rows(_user: Any) -> Select[Any]:
        return select().select_from(months.outerjoin(M, M.id == months.c.id))

    def column(name: str, label: str, **how: Any) -> Column:
        value = func.coalesce(getattr(M, name), months.c[name], type_=months.c[name].type)
        return Column(name, label, value, **how)

    amounts = (
        column(
            name, label, kind="money", total=is_summed,
            classes="cell-total cell-lead" if name == "closing_balance" else "cell-detail",
        )
        for name, (label, is_summed) in AMOUNTS.items()
    )  # fmt: skip
    month = cast(func.to_date(months.c.year_month, "YYYY-MM"), Date)
    is_incomplete = details["unpriced"].as_integer() > 0
    state = case((details.is_(None), "still"), (is_incomplete, "incomplete"))
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
            *amounts,
            column("total_volume_sm3", N_("Volume Sm³"), kind="quantity", total=True, classes="cell-part"),
            Column("readings", N_("Readings"), read, kind="number", total=True, classes="cell-part"),
            Column("state", N_("Note"), state, words=NOTES, tones=TONES, classes="cell-word"),
        ),
        default_sort="-month",
        counted=counted("%(num)s month", "%(num)s months"),
        is_computed=True,
        nothing_yet=(N_("No months yet"), N_("The months follow from readings and deposits.")),
        classes="gas-list compact",
    )  # fmt: skip
