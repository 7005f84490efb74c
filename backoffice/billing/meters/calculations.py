"""How was this calculated? From a customer to their meters, and from a meter to its documents."""

from dataclasses import replace
from functools import partial
from typing import Any

from flask import Response, abort, url_for
from sqlalchemy import select

from ... import figures
from ...app.extensions import db
from ...base import N_
from ...customers import queries as customers
from ...customers.models import Customer
from ...drift.marks import marks
from ...figures import Explanation
from ...figures.explanation import ColumnExplained, SourceRow, Term
from ...security.permissions import requires
from ...web.htmx import render
from ..figures import customer_balance, meter_balance, meter_totals
from ..models import Meter, MeterAssignment
from ..queries import active_meters_of
from ..views import bp as billing
from .documents import day_of_row, list_url, record_of_row
from .listing import BALANCES, SUMS
from .queries import wrong_figures_of
from .views import bp, marked_head_of, meter_or_404
from .wording import MeterWording

FORMULAS = {
    "invoiced": N_("The invoices of the meter that are not void"),
    "adjusted": N_("The adjustments of the meter that are not void"),
    "paid": N_("The payments on the meter that are not void"),
    "balance": N_("Invoiced + Adjustments − Paid, where that is above zero; else nothing"),
    "overpayment": N_("Paid − Invoiced − Adjustments, where that is above zero; else nothing"),
}
"""What each column of a meter is, in words; a declaration says it of all its columns together."""

OF_CUSTOMER = {
    "balance": N_("The balances of the meters that are actively assigned"),
    "overpayment": N_("The overpayments of the meters that are actively assigned"),
}


@bp.get("/<path:number>/calculation")
@requires("billing.read")
def calculation(number: str) -> Response:
    """How what is owed for a meter, or was paid beyond it, was calculated: down to the documents."""
    meter = meter_or_404(number)
    return _of_meter(meter, "overpayment" if meter.overpayment else "balance")


@bp.get("/<path:number>/calculation/<name>")
@requires("billing.read")
def calculation_of(number: str, name: str) -> Response:
    """How one figure of a meter was calculated."""
    if name not in (*SUMS, *BALANCES):
        abort(404)
    return _of_meter(meter_or_404(number), name)


@billing.get("/customers/<path:code>/calculation/<name>")
@requires("billing.read")
def customer_calculation(code: str, name: str) -> Response:
    """How what a customer owes, or has paid beyond it, was calculated: from which meters."""
    customer = customers.by_code(db.session(), code)
    if customer is None or customer.merged_into_id is not None or name not in BALANCES:
        abort(404)
    meters = _meters_of(customer, name)
    known = marks({customer_balance: [customer.id]})
    explanation = figures.explain(db.session(), customer_balance, customer.id) or abort(404)
    column = _column_of(explanation, name)
    term = Term("", column.label, column.expected, name, None, False, meters, len(meters))
    return render(
        "billing/customer_calculation.html",
        customer=customer,
        name=name,
        marks=known,
        BALANCES=BALANCES,
        explained=replace(column, formula=OF_CUSTOMER[name], terms=(term,)),
        corrections=_corrections_of(explanation, name),
        wording=_wording_of(explanation),
        inactive=_inactive_meters_of(customer),
        link_of_term=_no_link,
        link_of_row=lambda row: url_for(
            "meters.calculation_of", number=row.values["number"], name=name
        ),
    )


def _of_meter(meter: Meter, name: str) -> Response:
    head = marked_head_of(meter)
    totals = figures.explain(db.session(), meter_totals, meter.id) or abort(404)
    balance = figures.explain(db.session(), meter_balance, meter.id) or abort(404)
    sums = {each: _column_of(totals, each, FORMULAS[each]) for each in SUMS}
    explanation = balance if name in BALANCES else totals
    explained = _column_of(balance, name, FORMULAS[name]) if name in BALANCES else sums[name]
    return render(
        "billing/meter_calculation.html",
        tab="calculation",
        name=name,
        is_right=totals.is_right and balance.is_right,
        explained=explained,
        sums=[each for each in sums.values() if name in BALANCES and each.terms[0].rows],
        corrections=_corrections_of(explanation, name),
        wording=_wording_of(explanation),
        link_of_term=lambda term: url_for(
            "meters.calculation_of", number=meter.number, name=term.column
        ),
        link_of_row=record_of_row,
        day_of=day_of_row,
        all_of=partial(list_url, meter),
        **head,
    )


def _column_of(explanation: Explanation, name: str, formula: str = "") -> ColumnExplained:
    column = next(column for column in explanation.columns if column.column == name)
    return replace(column, formula=formula) if formula else column


def _corrections_of(explanation: Explanation, name: str) -> list[Any]:
    return [c for c in explanation.corrections if name in {**(c.before or {}), **(c.after or {})}]


def _wording_of(explanation: Explanation) -> MeterWording:
    return MeterWording(db.session(), actors=[c.actor for c in explanation.corrections])


def _meters_of(customer: Customer, name: str) -> tuple[SourceRow, ...]:
    """The meters that count for a customer, each with what it should have stored."""
    meters = active_meters_of(db.session(), customer.id)
    wrong = wrong_figures_of([meter.id for meter in meters])
    expected = {finding.owner: finding.expected for finding in wrong if name in finding.expected}
    return tuple(
        SourceRow(
            table=Meter.__tablename__,
            id=meter.id,
            values={"number": meter.number},
            amount=expected.get(meter.id, {}).get(name, getattr(meter, name)),
            figure=meter_balance.name,
        )
        for meter in meters
    )


def _inactive_meters_of(customer: Customer) -> list[Meter]:
    """The meters that a customer has or had without their counting for it."""
    mine = select(MeterAssignment.meter_id).where(MeterAssignment.customer_id == customer.id)
    return list(
        db.session.scalars(
            select(Meter)
            .where(Meter.id.in_(mine), Meter.id.not_in(mine.where(MeterAssignment.is_active)))
            .order_by(Meter.number)
        )
    )


def _no_link(_term: Term) -> None:
    return None
