"""The list of invoices, and one invoice's screens: details, history, how its amount was calculated."""

from functools import partial
from typing import Any

from flask import Response, abort, url_for
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from ... import figures, lists
from ...app.extensions import db
from ...app.navigation import may_open
from ...drift.marks import marks
from ...figures.explanation import SourceRow, Term
from ...security.permissions import requires
from ...web.htmx import render
from ..figures import invoice_amount, invoice_paid
from ..models import Invoice, Payment
from ..rules import METHODS, VOID
from ..views import bp
from ..wording import word_of
from . import history, queries
from .actions import usage_of
from .entries import InvoiceEntry
from .listing import INVOICES

CALCULATIONS = {"amount": invoice_amount, "paid": invoice_paid}
"""Column of an invoice → the figure that keeps it."""


def invoice_or_404(number: str) -> Invoice:
    """The invoice of that number."""
    return queries.invoice_of(db.session(), number) or abort(404)


@bp.get("/invoices")
@requires("billing.read")
def invoices() -> AnyResponse:
    """The invoices that the filter leaves in, with their totals."""
    return lists.show(INVOICES, "billing/invoices.html")


@bp.get("/invoices/export.<flavour>")
@requires("billing.read")
@lists.limited
def export_invoices(flavour: str) -> AnyResponse:
    """The invoices that the filter leaves in, as a file."""
    return lists.export(INVOICES, flavour)


@bp.get("/invoices/<path:number>")
@requires("billing.read")
def invoice(number: str) -> Response:
    """One invoice: what it is made of, what was paid on it, and the way on through the list."""
    found, state = invoice_or_404(number), lists.asked(INVOICES)
    previous, following = lists.neighbours(
        db.session(), current_user, state, found.id, Invoice.number.expression
    )
    return render(
        "billing/invoice_record.html",
        **head_of(found, "details"),
        usage=usage_of(db.session(), InvoiceEntry.of(found).charges),
        way=state.as_query,
        previous=previous,
        following=following,
        payments=queries.payments_of(db.session(), found),
        METHODS=METHODS,
        VOID=VOID,
    )


@bp.get("/invoices/<path:number>/history")
@requires("billing.read")
def invoice_changes(number: str) -> Response:
    """Who changed what and when, and every correction of a figure."""
    found = invoice_or_404(number)
    events = history.events_of(db.session(), found)
    return render("billing/invoice_history.html", **head_of(found, "history"), events=events)


@bp.get("/invoices/<path:number>/calculation/<name>")
@requires("billing.read")
def invoice_calculation(number: str, name: str) -> Response:
    """How the amount or what is paid was calculated, down to what was entered."""
    if name not in CALCULATIONS:
        abort(404)
    found = invoice_or_404(number)
    head = head_of(found, "calculation")
    explanation = figures.explain(db.session(), CALCULATIONS[name], found.id) or abort(404)
    corrections = explanation.corrections
    return render(
        "billing/invoice_calculation.html",
        **head,
        explained=next(c for c in explanation.columns if c.column == name),
        corrections=corrections,
        wording=history.Wording(db.session(), actors=[c.actor for c in corrections]),
        link_of_term=_link_of_term,
        link_of_row=partial(_link_of_row, _references(found)),
    )


def head_of(found: Invoice, tab: str) -> dict[str, Any]:
    """What the head and the tabs of one invoice's screens need."""
    known = marks({figure: [found.id] for figure in CALCULATIONS.values()})
    return {"invoice": found, "word": word_of(found), "tab": tab, "marks": known}


def _references(found: Invoice) -> dict[int, str]:
    """The receipts of the payments that name the invoice, by the payments' ids."""
    return {payment.id: payment.reference for payment in queries.payments_of(db.session(), found)}


def _link_of_term(_term: Term) -> None:
    """Everything that an invoice's amount is made of was entered on the invoice itself."""


def _link_of_row(references: dict[int, str], row: SourceRow) -> str | None:
    """The receipt of a payment."""
    if row.table != Payment.__tablename__ or not may_open("billing.payment"):
        return None
    return url_for("billing.payment", reference=references[row.id])
