"""Recording a payment: customer, amount, and what of it goes to which open invoice, as it is typed."""

from flask import Response, flash, make_response, request, url_for
from flask_babel import gettext as _
from jinja2_fragments.flask import render_block

from ...app.extensions import db
from ...customers import queries as customers
from ...security.permissions import requires
from ...web.claims import Claim
from ...web.htmx import render, trigger
from ..invoices.queries import invoice_of
from ..meters.refusals import TooMuchOwed
from ..rules import METHODS
from ..views import bp
from . import actions
from .forms import PaymentForm, show_sheet_errors
from .refusals import OverAllocated, ReferenceTaken
from .sheets import Sheet, changed

PAGE = "billing/payment_new.html"

OFFERED = 200
"""Customers in the form's list from the start; beyond that it follows what is typed."""


@bp.get("/payments/new")
@requires("billing.write")
def new_payment() -> Response:
    """An empty form, for the customer or the invoice that the address names."""
    invoice = invoice_of(db.session(), request.args.get("invoice", ""))
    customer = invoice.customer if invoice else None
    if customer is None:
        customer = customers.by_code(db.session(), request.args.get("customer", ""))
        customer = customers.survivor_of(db.session(), customer) if customer else None
    form = PaymentForm.for_new(customer, invoice)
    return entry_page(form, form.sheet(), first="amount" if customer else "customer")


@bp.post("/payments/new")
@requires("billing.write")
def record_payment() -> Response:
    """Record the payment, or show all that is wrong with it; with `do`, only show the open invoices."""
    if "do" in request.args:
        form = PaymentForm.posted()
        form.customer.errors = [form.why_no_customer] if form.why_no_customer else []
        return entry_page(form, form.sheet())
    claim = Claim("billing.record_payment")
    if claim.answer is not None:
        return claim.answer
    form = PaymentForm.posted()
    sheet = form.sheet(for_saving=True)
    show_sheet_errors(form, sheet)
    if not form.validate() or sheet is None or sheet.errors:
        return _refused(form, sheet)
    try:
        made = actions.record(db.session(), form.entry(sheet))
    except (OverAllocated, ReferenceTaken, TooMuchOwed) as refusal:
        db.session.rollback()
        form = PaymentForm.posted()
        return _refused(form, form.sheet_refused(refusal))
    flash(_("Payment %(reference)s is recorded.", reference=made[0].reference), "success")
    return claim.fulfilled(url_for("billing.payment", reference=made[0].reference, recorded=1))


@bp.post("/payments/preview")
@requires("billing.write")
def preview_payment() -> Response:
    """What of the amount goes where, as it is typed: outputs, and fields that nobody touched.

    For another customer, or other invoices than the page shows, the whole sheet. Writes nothing.
    """
    form = PaymentForm.posted()
    return previewed(PAGE, form.sheet(), form.named_in_full(), form=form)


def previewed(
    page: str, sheet: Sheet | None, more: list[dict[str, str]] | None = None, **context: object
) -> Response:
    """What of a page changes with its sheet; `more` are fields of the form that hold something else now."""
    fields = changed(sheet, request.form) if sheet else None
    block = "sheet_anew" if fields is None else "outputs"
    answer = make_response(render_block(page, block, sheet=sheet, **context))
    found = [*(more or ()), *(fields or ())]
    return trigger(answer, "fill", fields=found) if found else answer


def _refused(form: PaymentForm, sheet: Sheet | None) -> Response:
    """The form again with what is wrong in it; what the sheet names must be read before."""
    answer = entry_page(form, sheet, status=422)
    db.session.rollback()
    return answer


def entry_page(
    form: PaymentForm, sheet: Sheet | None, status: int = 200, first: str = "", **context: object
) -> Response:
    """The form of a payment; `first` is the field where somebody begins."""
    offered = customers.search(db.session(), "", limit=OFFERED)
    return render(
        PAGE,
        block="form",
        status=status,
        form=form,
        sheet=sheet,
        offered=offered,
        is_long=len(offered) >= OFFERED,
        first=first,
        METHODS=METHODS,
        **context,
    )
