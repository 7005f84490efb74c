"""The screens that match or move a part of a receipt, or take it off its meter; above the limits with approval."""

from typing import Any

from flask import Response, abort, flash, request, url_for
from flask_babel import gettext as _

from ...app.extensions import db
from ...approvals.screens import carry_out
from ...base.identifiers import whole_number
from ...base.money import format_amount
from ...base.refusals import AnotherRecord, Refusal
from ...records.actions import RecordChanged
from ...security.permissions import requires
from ...web.claims import Claim
from ...web.formats import in_words
from ...web.forms import Stamp
from ...web.htmx import render
from ...web.preferences import number_format
from .. import approved_verbs
from ..meters.refusals import TooMuchOwed
from ..models import Payment
from .forms import PlaceForm, sheet_errors
from .records import PAYMENT, refuse_void
from .refusals import NothingToMove, OverAllocated
from .sheets import REST, AllocationSheet, sheet_of, shown_for
from .views import bp, previewed, screens


@bp.get("/<path:reference>/move")
@requires(PAYMENT.writes)
def move(reference: str) -> Response:
    """The form that matches or moves a part of a receipt: open invoices, with the amount allocated to each."""
    chosen = _part_or_404(reference)
    form = PlaceForm.over(chosen.id, chosen.version)
    return _form_page(chosen, form, _sheet(chosen, _current_allocation(chosen)))


@bp.post("/<path:reference>/move")
@requires(PAYMENT.writes)
def move_post(reference: str) -> Response:
    """Move the part as the form says, if its version is unchanged; with `do`, only recalculate the sheet."""
    if "do" in request.args:
        chosen = _part_or_404(reference)
        return _form_page(chosen, PlaceForm(), _sheet(chosen, request.form))
    claim = Claim(f"billing.move_payment {reference}")
    chosen, form = _part_or_404(reference), PlaceForm()
    sheet = _sheet(chosen, request.form, follows=False)
    here = url_for("payments.record", reference=reference)

    def done(_parts: Any) -> Response:
        flash(_("Payment %(reference)s is where it belongs now.", reference=reference), "success")
        return claim.complete(here)

    try:
        version = form.expected_version(chosen.id)
        if sheet.errors:
            return _refused(reference, form)
        parts = approved_verbs.parts_as_payload(sheet.parts(db.session()))
        asked = {"payment": chosen.id, "version": version, "parts": parts}
        return carry_out(approved_verbs.PLACE, asked, claim, done, back=here)
    except (OverAllocated, NothingToMove, TooMuchOwed, RecordChanged, AnotherRecord) as refusal:
        return _refused(reference, form, refusal)


@bp.post("/<path:reference>/move/preview")
@requires(PAYMENT.writes)
def preview_move(reference: str) -> Response:
    """The allocation as it is typed. Writes nothing."""
    return previewed(_sheet(_part_or_404(reference), request.form))


@bp.post("/<path:reference>/take-off")
@requires(PAYMENT.writes)
def take_off(reference: str) -> Response:
    """Take a part off its meter, if its version is unchanged: it is unmatched again."""
    claim = Claim(f"billing.take_off_payment {reference}")
    chosen = _part_or_404(reference)
    version = Stamp.read(request.form.get("version")).version_of(chosen.id)
    here = url_for("payments.record", reference=reference)

    def done(_payment: Any) -> Response:
        flash(_("It is off its meter, and stands among the unmatched payments."), "success")
        return claim.complete(here)

    asked = {"payment": chosen.id, "version": version}
    return carry_out(approved_verbs.TAKE_OFF, asked, claim, done, back=here)


def _part_or_404(reference: str) -> Payment:
    """The part that the URL or the form names, else the first, else 404. Raises PaymentStaysVoid."""
    receipt, number = screens.found(reference), whole_number(request.values.get("part", "1"))
    found: Payment = next((p for p in receipt.parts if p.part == number), None) or abort(404)
    refuse_void(db.session(), found)
    return found


def _current_allocation(chosen: Payment) -> dict[str, str]:
    """The form data of an opened form: the present allocation; nothing for an unmatched part."""
    if chosen.meter is None:
        return {}
    typed = {"shown_for": shown_for(chosen.customer, chosen.amount), REST: chosen.meter.number}
    if chosen.invoice_id is not None:
        typed[f"to-{chosen.invoice_id}"] = format_amount(chosen.amount, number_format())
    return typed


def _sheet(chosen: Payment, typed: Any, *, follows: bool = True) -> AllocationSheet:
    """The sheet of one part. A part that is matched already is not allocated automatically."""
    own = {chosen.invoice_id: chosen.amount} if chosen.invoice_id is not None else {}
    meter = chosen.meter.number if chosen.meter else ""
    follows = follows and chosen.meter_id is None
    return sheet_of(
        db.session(),
        chosen.customer,
        chosen.amount,
        typed,
        own=own,
        own_meter=meter,
        follows=follows,
    )


def _refused(reference: str, form: PlaceForm, refusal: Refusal | None = None) -> Response:
    """Roll back, and show the form again with its errors over the part as it is now."""
    db.session.rollback()
    chosen = _part_or_404(reference)
    sheet = _sheet(chosen, request.form, follows=False)
    is_stale = isinstance(refusal, RecordChanged | AnotherRecord)
    if is_stale:
        form.reopen(chosen.id, chosen.version)
    elif refusal is not None:
        sheet.add_errors(whole_number(str(refusal.values.get("invoice_id"))), in_words(refusal))
    form.form_errors = sheet_errors(sheet)
    return _form_page(chosen, form, sheet, 409 if is_stale else 422, refusal)


def _form_page(
    chosen: Payment,
    form: PlaceForm,
    sheet: AllocationSheet,
    status: int = 200,
    refusal: Refusal | None = None,
) -> Response:
    receipt = screens.found(chosen.reference)
    return render(
        "billing/payment_place.html", block="form", status=status, form=form, sheet=sheet,
        chosen=chosen, facts=screens.facts_of(chosen, [chosen]), newest=screens.newest(receipt, refusal),
    )  # fmt: skip
