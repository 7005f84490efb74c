"""Entering and changing an invoice with its live amount, making it void, and moving it to another meter."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, abort, flash, make_response, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from jinja2_fragments.flask import render_block
from sqlalchemy.orm import Session
from wtforms import HiddenField

from ...app.extensions import db
from ...approvals.screens import carry_out
from ...base.periods import read_day
from ...base.refusals import AnotherRecord, Refusal, Stale
from ...customers import queries as customers
from ...security.permissions import requires
from ...web.claims import Claim
from ...web.conflicts import Conflict, conflict_over
from ...web.form_markup import FormError
from ...web.forms import RecordForm
from ...web.htmx import render, trigger
from .. import approved_verbs, queries
from ..forms import VoidForm
from ..models import Invoice
from ..rules import VOID
from ..views import bp
from . import actions
from .entries import Facts, InvoiceEntry, merge
from .forms import InvoiceForm, MoveForm
from .history import Wording, recorded_events
from .previews import preview_of
from .proposals import new_form, proposals
from .queries import offered_meters
from .questions import unanswered
from .refusals import InvoiceChanged, InvoiceRefused, NumberTaken, VoidStaysVoid
from .views import head_of, invoice_or_404

PAGE = "billing/invoice_edit.html"

OFFERED = 200
"""Customers, and meters to move to, in a form's list from the start; beyond that it follows what is typed."""


@bp.get("/invoices/new")
@requires("billing.write")
def new_invoice() -> Response:
    """An empty form, for the customer, the meter and the days that the address names."""
    customer = customers.by_code(db.session(), request.args.get("customer", ""))
    meter = queries.meter_of(db.session(), request.args.get("meter", ""))
    days = (read_day(request.args.get(name, "")) for name in ("issued_on", "due_on"))
    form = new_form(customer, meter, *days)
    empty = (name for name in ("customer", "meter") if not form[name].data)
    return _page(form, first=next(empty, "units"))


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
    """What follows from a chosen customer, meter or day: the meters to choose from, and what is filled in."""
    form = InvoiceForm(None)
    answer = make_response(render_block(PAGE, "meter_options", form=form))
    filled = [
        {"id": name, "was": request.form.get(name, ""), "now": now}
        for name, now in proposals(form, request.args.get("after", "")).items()
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
    if questions := unanswered(db.session(), form, entry):
        return _asked(form, questions)
    try:
        invoice = _saved(form, entry)
    except (InvoiceChanged, AnotherRecord):
        return _conflict(form, entry)
    except (InvoiceRefused, NumberTaken) as refused:
        form.blame(getattr(refused, "problems", {"number": refused}))
        return _refused(form)
    flash(_("Invoice %(number)s is saved.", number=invoice.number), "success")
    return claim.fulfilled(_way_on(form, invoice))


def _way_on(form: InvoiceForm, invoice: Invoice) -> str:
    """Where a saved invoice leads: to itself, or to the next one of the same days."""
    if form.invoice is None and "another" in request.form:
        issued_on, due_on = invoice.issued_on, invoice.due_on
        return url_for("billing.new_invoice", issued_on=issued_on, due_on=due_on)
    return url_for("billing.invoice", number=invoice.number)


def _saved(form: InvoiceForm, entry: InvoiceEntry) -> Invoice:
    if form.invoice is None:
        return actions.create(db.session(), entry)
    invoice_id = form.invoice.id
    return actions.update(db.session(), invoice_id, entry, form.expected_version(invoice_id))


def _refused(form: InvoiceForm) -> Response:
    db.session.rollback()
    return _page(form, status=422)


def _asked(form: InvoiceForm, questions: Mapping[str, Any]) -> Response:
    """The form again with what has to be answered first; nothing is saved."""
    db.session.rollback()
    at, about = (
        ("record-anyway", _("Record anyway"))
        if "same" in questions
        else ("which-amount", _("Which amount holds?"))
    )
    said = _("Nothing is saved yet: answer the question first.")
    form.form_errors = [FormError(at, about, said)]
    return _page(form, status=422, **questions)


def _conflict(form: InvoiceForm, mine: InvoiceEntry) -> Response:
    """Somebody else was faster: the form again, with mine and theirs side by side."""
    assert form.invoice is not None
    invoice_id, base = form.invoice.id, form.base_facts()
    db.session.rollback()
    invoice = form.opened(db.session(), Invoice, invoice_id) or abort(404)
    if invoice.status == VOID:
        raise VoidStaysVoid(number=invoice.number)
    merged, conflict = _conflict_of(db.session(), invoice, mine, base)
    shown = InvoiceForm.for_invoice(invoice, merged)
    shown.warning = form.warning_over(invoice_id)
    return _page(shown, status=409, conflict=conflict)


def _conflict_of(
    session: Session, invoice: Invoice, mine: InvoiceEntry, base: Facts | None
) -> tuple[InvoiceEntry, Conflict]:
    """My entry merged over the invoice as it is stored now, and where the two differ."""
    merged, found = merge(base, mine, InvoiceEntry.of(invoice))
    recorded = recorded_events(session, invoice)
    newest = recorded[0] if recorded else None
    named = {d.name: (d.theirs, d.mine) for d in found}
    words = Wording(
        session,
        customers=named.get("customer_id", ()),
        meters=named.get("meter_id", ()),
        actors=[event.actor for event in recorded],
    )
    who, at = (words.actor(newest.actor), newest.at) if newest else ("", None)
    return merged, conflict_over(found, words.label, words.value, who, at)


def _page(
    form: InvoiceForm,
    status: int = 200,
    conflict: Conflict | None = None,
    first: str = "",
    **questions: Any,
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
        **{"two_amounts": None, "same": None} | questions,
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
    form = VoidForm.over(invoice.id, invoice.version)
    return _verb_page("billing/invoice_void.html", invoice, form)


@bp.post("/invoices/<path:number>/void")
@requires("billing.write")
def void_invoice_post(number: str) -> Response:
    """Make the invoice void, for good."""

    def act(invoice: Invoice, form: VoidForm, done: Said) -> Response:
        reason = form.reason.data or ""
        freed = actions.void(db.session(), invoice.id, form.expected_version(invoice.id), reason)
        if not freed:
            return done(_("Invoice %(number)s is void.", number=number))
        return done(
            ngettext(
                "Invoice %(number)s is void. %(num)s payment that named it stays on the meter.",
                "Invoice %(number)s is void. %(num)s payments that named it stay on the meter.",
                len(freed),
                number=number,
            )
        )

    return _verb(number, VoidForm, "billing/invoice_void.html", "invoices.void", act)


@bp.get("/invoices/<path:number>/move")
@requires("billing.write")
def move_invoice(number: str) -> Response:
    """Choose the meter that the invoice belongs to."""
    invoice = _changeable(number)
    return _verb_page("billing/invoice_move.html", invoice, MoveForm.for_invoice(invoice))


@bp.post("/invoices/<path:number>/move")
@requires("billing.write")
def move_invoice_post(number: str) -> Response:
    """Move the invoice, and by default the payments that name it."""

    def act(invoice: Invoice, form: MoveForm, done: Said) -> Response:
        assert form.found_meter is not None
        along, meter = bool(form.with_payments.data), form.found_meter
        asked = {
            "invoice": invoice.id,
            "version": form.expected_version(invoice.id),
            "meter": meter.id,
            "along": along,
        }

        def moved(payments: Sequence[Any]) -> Response:
            return done(_moved(number, meter.number, len(payments) if along else 0))

        back = url_for("billing.invoice", number=number)
        return carry_out(approved_verbs.MOVE_INVOICE, asked, done.claim, moved, back=back)

    return _verb(number, MoveForm, "billing/invoice_move.html", "invoices.move", act)


def _moved(number: str, meter: str, payments: int) -> str:
    if not payments:
        return _("Invoice %(number)s is on meter %(meter)s now.", number=number, meter=meter)
    return str(
        ngettext(
            "Invoice %(number)s and %(num)s payment are on meter %(meter)s now.",
            "Invoice %(number)s and %(num)s payments are on meter %(meter)s now.",
            payments,
            number=number,
            meter=meter,
        )
    )


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


@dataclass(frozen=True)
class Said:
    """Says what a verb has done, and leads back to the invoice."""

    claim: Claim
    back: str

    def __call__(self, sentence: str) -> Response:
        """The answer of a verb that is done."""
        flash(sentence, "success")
        return self.claim.fulfilled(self.back)


def _verb(
    number: str,
    form_class: type[Any],
    template: str,
    action: str,
    act: Callable[[Invoice, Any, Said], Response],
) -> Response:
    """Carry out the posted verb, which says what it did, or show what is wrong with it."""
    claim = Claim(f"{action} {number}")
    if claim.answer is not None:
        return claim.answer
    invoice, form = invoice_or_404(number), form_class()
    invoice_id = invoice.id
    if not form.validate():
        return _verb_page(template, invoice, form, 422)
    try:
        return act(invoice, form, Said(claim, url_for("billing.invoice", number=number)))
    except Refusal as refusal:
        db.session.rollback()
        if isinstance(refusal, VoidStaysVoid):
            raise
        asked = next(field for field in form if not isinstance(field, HiddenField))
        form.blame({"" if isinstance(refusal, Stale) else asked.name: refusal})
        invoice = form.opened(db.session(), Invoice, invoice_id) or abort(404)
        if invoice.status == VOID:
            raise VoidStaysVoid(number=invoice.number) from refusal
        form.reopen(invoice.id, invoice.version)
        return _verb_page(template, invoice, form, refusal.status)


def _verb_page(template: str, invoice: Invoice, form: RecordForm, status: int = 200) -> Response:
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
