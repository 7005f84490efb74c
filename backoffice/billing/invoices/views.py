"""Invoices: list, form and exports as declared, and the page of one invoice with its charges and payments."""

from typing import Any

from flask import Blueprint, Response, make_response, request, url_for
from jinja2_fragments.flask import render_block

from ...app.extensions import db
from ...records.forms import OfRecord, posted
from ...records.screens import Screens
from ...records.writing import written
from ...security.permissions import requires
from ...web.htmx import trigger
from ..models import Invoice
from ..rules import METHODS, VOID
from ..wording import word_of
from . import queries
from .charges import Charges, usage_of
from .fields import FIELDS, PLACED
from .forms import InvoiceForm
from .proposals import proposals
from .records import INVOICE

bp = Blueprint("invoices", __name__, url_prefix="/billing/invoices")


def _head(invoice: Invoice) -> dict[str, Any]:
    """The context of the head of every invoice page."""
    return {"invoice": invoice, "word": word_of(invoice)}


def _saved_to(form: OfRecord, invoice: Invoice) -> str:
    """The URL after saving: the invoice, or the form of another one with the same days."""
    if form.row is None and "another" in request.form:
        return url_for("invoices.new", issued_on=invoice.issued_on, due_on=invoice.due_on)
    return url_for("invoices.record", number=invoice.number)


screens = Screens(
    INVOICE,
    "billing/invoices.html",
    record_page="billing/invoice_record.html",
    frame="billing/invoice.html",
    head=_head,
    saved_to=_saved_to,
)
screens.add_to(bp, without=("record",))


@bp.get("/<path:number>")
@requires("billing.read")
def record(number: str) -> Response:
    """One invoice: its charges, its payments, and its neighbours in the list."""
    invoice = screens.found(number)
    charges = Charges(invoice.units, invoice.rate, invoice.fixed_charge, invoice.amount)
    facts, further = INVOICE.facts(invoice), [f for f in FIELDS if f.name not in PLACED]
    return screens.shown(
        invoice,
        further=[(f.label, written(f, facts[f.name])) for f in further if facts[f.name]],
        usage=usage_of(db.session(), charges),
        payments=queries.payments_of(db.session(), invoice),
        METHODS=METHODS,
        VOID=VOID,
    )


@bp.post("/proposals")
@requires("billing.write")
def propose() -> Response:
    """The meters to choose from and the proposed values after a customer, meter or day was chosen."""
    form = posted(INVOICE, None)
    assert isinstance(form, InvoiceForm)
    answer = make_response(render_block(InvoiceForm.inputs_page, "meter_options", form=form))
    filled = [
        {"id": name, "was": request.form.get(name, ""), "now": now}
        for name, now in proposals(form, request.args.get("after", "")).items()
    ]
    return trigger(answer, "fill", fields=filled) if filled else answer
