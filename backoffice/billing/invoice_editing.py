"""Entering and changing an invoice with its live amount, making it void, and moving it to another meter."""

from collections.abc import Callable
from typing import Any

from flask import Response, abort, flash, make_response, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from jinja2_fragments.flask import render_block

from ..claims import Claim
from ..customers import queries as customers
from ..customers.forms import whole_number
from ..extensions import db
from ..htmx import render, trigger
from ..idempotency import new_key
from ..permissions import requires
from ..refusals import Refusal
from . import invoice_actions as actions
from . import queries
from .invoice_conflicts import Conflict, conflict_of
from .invoice_entries import InvoiceEntry
from .invoice_forms import InvoiceForm, MoveForm, VoidForm, in_words
from .invoice_previews import preview_of
from .invoice_queries import offered_meters
from .invoice_refusals import InvoiceChanged, InvoiceRefused, NumberTaken, VoidStaysVoid
from .invoice_screens import head_of, invoice_or_404
from .models import Invoice
from .rules import VOID
from .views import bp

PAGE = "billing/invoice_edit.html"

OFFERED = 200
"""Customers, and meters to move to, in a form's list from the start; beyond that it follows what is typed."""


@bp.get("/invoices/new")
@requires("billing.write")
def new_invoice() -> Response:
    """An empty form, for the customer and the meter that the address names."""
    customer = customers.by_code(db.session(), request.args.get("customer", ""))
    meter = queries.meter_of(db.session(), request.args.get("meter", ""))
    return _page(InvoiceForm.for_new(customer, meter), first="units" if customer else "customer")


@bp.post("/invoices/new")
@requires("billing.write")
def create_invoice() -> Response:
    """Save a new invoice; with `do`, only compute what is typed."""
    return _page(InvoiceForm(None)) if "do" in request.args else _save(None)


@bp.get("/invoices/<path:number>/edit")
@requires("billing.write")
def edit_invoice(number: str) -> Response:
    """The invoice in a form; one that is void stays as it is."""
    invoice = invoice_or_404(number)
    if invoice.status == VOID:
        raise VoidStaysVoid(number=number)
    return _page(
        InvoiceForm.for_invoice(invoice), first="amount" if invoice.units is None else "units"
    )


@bp.post("/invoices/<path:number>/edit")
@requires("billing.write")
def update_invoice(number: str) -> Response:
    """Save a changed invoice; with `do`, only compute what is typed."""
    return _page(InvoiceForm(invoice_or_404(number))) if "do" in request.args else _save(number)


@bp.post("/invoices/preview")
@requires("billing.write")
def preview_invoice() -> Response:
    """The amount of what is being typed, as outputs to be swapped in. Writes nothing."""
    preview = preview_of(db.session(), InvoiceForm(None))
    return make_response(render_block(PAGE, "outputs", preview=preview))


@bp.post("/invoices/proposals")
@requires("billing.write")
def propose_for_invoice() -> Response:
    """What follows from a chosen customer or day: the meters to choose from, the one meter, the due date."""
    form = InvoiceForm(None)
    answer = make_response(render_block(PAGE, "meter_options", form=form))
    filled = [
        {"id": name, "was": request.form.get(name, ""), "now": now}
        for name, now in form.proposals(request.args.get("after", "")).items()
    ]
    return trigger(answer, "fill", fields=filled) if filled else answer


def _save(number: str | None) -> Response:
    """Save the posted invoice, or show all that is wrong with it, its input kept."""
    claim = Claim(f"invoices.save {number or ''}")
    if claim.answer is not None:
        return claim.answer
    form = InvoiceForm(None if number is None else invoice_or_404(number))
    if not form.validate():
        form.blame(preview_of(db.session(), form).problems)
        return _refused(form)
    entry = form.entry()
    try:
        invoice = _saved(form, entry)
    except InvoiceChanged:
        return _conflict(form, entry)
    except InvoiceRefused as refused:
        form.blame(refused.problems)
        return _refused(form)
    except NumberTaken as taken:
        form.blame({"number": taken})
        return _refused(form)
    flash(_("Invoice %(number)s is saved.", number=invoice.number), "success")
    return claim.fulfilled(url_for("billing.invoice", number=invoice.number))


def _saved(form: InvoiceForm, entry: InvoiceEntry) -> Invoice:
    if form.invoice is None:
        return actions.create(db.session(), entry)
    return actions.update(db.session(), form.invoice.id, entry, form.expected_version())


def _refused(form: InvoiceForm) -> Response:
    db.session.rollback()
    return _page(form, status=422)


def _conflict(form: InvoiceForm, mine: InvoiceEntry) -> Response:
    """Somebody else was faster: the form again, with mine and theirs side by side."""
    assert form.invoice is not None
    invoice_id, base = form.invoice.id, form.base_facts()
    db.session.rollback()
    invoice = db.session.get(Invoice, invoice_id) or abort(404)
    if invoice.status == VOID:
        raise VoidStaysVoid(number=invoice.number)
    merged, conflict = conflict_of(db.session(), invoice, mine, base)
    return _page(InvoiceForm.for_invoice(invoice, merged), status=409, conflict=conflict)


def _page(
    form: InvoiceForm, status: int = 200, conflict: Conflict | None = None, first: str = ""
) -> Response:
    """The form with its amount, the keyboard in the field `first`; for htmx only the form itself."""
    return render(
        PAGE,
        block="form",
        status=status,
        form=form,
        preview=preview_of(db.session(), form),
        offered=customers.search(db.session(), "", limit=OFFERED),
        OFFERED=OFFERED,
        conflict=conflict,
        first=first,
        named_by=_count_of_payments(form.invoice),
        address=_address(form.invoice),
    )


def _count_of_payments(invoice: Invoice | None) -> int:
    return len(actions.payments_naming(db.session(), invoice.id)) if invoice else 0


def _address(invoice: Invoice | None) -> str:
    if invoice is None:
        return url_for("billing.create_invoice")
    return url_for("billing.update_invoice", number=invoice.number)


# Void, and another meter


@bp.get("/invoices/<path:number>/void")
@requires("billing.write")
def void_invoice(number: str) -> Response:
    """Ask for the reason, and say what happens to the payments."""
    invoice = _changeable(number)
    form = VoidForm(formdata=None, data=_opened(invoice))
    return _verb_page("billing/invoice_void.html", invoice, form)


@bp.post("/invoices/<path:number>/void")
@requires("billing.write")
def void_invoice_post(number: str) -> Response:
    """Make the invoice void, for good."""

    def carry_out(invoice: Invoice, form: VoidForm) -> str:
        version, reason = whole_number(form.version.data), form.reason.data or ""
        freed = actions.void(db.session(), invoice.id, version, reason)
        if not freed:
            return _("Invoice %(number)s is void.", number=number)
        return ngettext(
            "Invoice %(number)s is void. %(num)s payment that named it stays on the meter.",
            "Invoice %(number)s is void. %(num)s payments that named it stay on the meter.",
            len(freed),
            number=number,
        )

    return _verb(number, VoidForm, "billing/invoice_void.html", "invoices.void", carry_out)


@bp.get("/invoices/<path:number>/move")
@requires("billing.write")
def move_invoice(number: str) -> Response:
    """Choose the meter that the invoice belongs to."""
    invoice = _changeable(number)
    form = MoveForm(formdata=None, data=_opened(invoice) | {"with_payments": True})
    return _verb_page("billing/invoice_move.html", invoice, form)


@bp.post("/invoices/<path:number>/move")
@requires("billing.write")
def move_invoice_post(number: str) -> Response:
    """Move the invoice, and by default the payments that name it."""

    def carry_out(invoice: Invoice, form: MoveForm) -> str:
        assert form.found_meter is not None
        version, meter = whole_number(form.version.data), form.found_meter
        along = bool(form.with_payments.data)
        moved = actions.move(db.session(), invoice.id, version, meter.id, with_payments=along)
        if not moved or not along:
            return _(
                "Invoice %(number)s is on meter %(meter)s now.", number=number, meter=meter.number
            )
        return ngettext(
            "Invoice %(number)s and %(num)s payment are on meter %(meter)s now.",
            "Invoice %(number)s and %(num)s payments are on meter %(meter)s now.",
            len(moved),
            number=number,
            meter=meter.number,
        )

    return _verb(number, MoveForm, "billing/invoice_move.html", "invoices.move", carry_out)


@bp.get("/invoices/meters")
@requires("billing.write")
def invoice_meters() -> Response:
    """The meters that fit what is typed, as options to choose from."""
    found = offered_meters(db.session(), request.args.get("meter", "").strip()[:100])
    return make_response(render_block("billing/invoice_move.html", "options", found=found))


def _changeable(number: str) -> Invoice:
    invoice = invoice_or_404(number)
    if invoice.status == VOID:
        raise VoidStaysVoid(number=number)
    return invoice


def _opened(invoice: Invoice) -> dict[str, Any]:
    return {"version": str(invoice.version), "idempotency_key": new_key()}


def _verb(
    number: str,
    form_class: type[Any],
    template: str,
    action: str,
    carry_out: Callable[[Invoice, Any], str],
) -> Response:
    """Carry out the posted verb and say what it did, or show what is wrong with it."""
    claim = Claim(f"{action} {number}")
    if claim.answer is not None:
        return claim.answer
    invoice, form = invoice_or_404(number), form_class()
    if not form.validate():
        return _verb_page(template, invoice, form, 422)
    try:
        said = carry_out(invoice, form)
    except Refusal as refusal:
        db.session.rollback()
        if isinstance(refusal, VoidStaysVoid):
            raise
        form[next(iter(form)).name].errors = [in_words(refusal)]
        invoice = invoice_or_404(number)
        form.version.data = str(invoice.version)
        form.version.raw_data = None
        return _verb_page(template, invoice, form, refusal.status)
    flash(said, "success")
    return claim.fulfilled(url_for("billing.invoice", number=number))


def _verb_page(template: str, invoice: Invoice, form: Any, status: int = 200) -> Response:
    payments = actions.payments_naming(db.session(), invoice.id)
    return render(
        template,
        status=status,
        **head_of(invoice, ""),
        form=form,
        payments=payments,
        found=offered_meters(db.session(), "", OFFERED),
        OFFERED=OFFERED,
    )
