"""Where a part of a receipt goes: matched, moved, or taken off its meter. Above the limits two people look at it."""

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
from .sheets import REST, Sheet, sheet_of, shown_for
from .views import bp, previewed, screens


@bp.get("/<path:reference>/move")
@requires(PAYMENT.writes)
def move(reference: str) -> Response:
    """Match or move a part of a receipt: its open invoices, with what of the part goes to each."""
    chosen = _part_or_404(reference)
    form = PlaceForm.over(chosen.id, chosen.version)
    return _page(chosen, form, _sheet(chosen, _as_it_is(chosen)))


@bp.post("/<path:reference>/move")
@requires(PAYMENT.writes)
def move_post(reference: str) -> Response:
    """Put the part where the form says, if it is still as it was shown; with `do`, only count again."""
    if "do" in request.args:
        chosen = _part_or_404(reference)
        return _page(chosen, PlaceForm(), _sheet(chosen, request.form))
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
    """What of the part goes where, as it is typed. Writes nothing."""
    return previewed(_sheet(_part_or_404(reference), request.form))


@bp.post("/<path:reference>/take-off")
@requires(PAYMENT.writes)
def take_off(reference: str) -> Response:
    """Take a part off its meter, if it is still as it was shown: it is unmatched again."""
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
    """The part that the address or the form names; the first where neither does. Raises PaymentStaysVoid."""
    receipt, number = screens.found(reference), whole_number(request.values.get("part", "1"))
    found: Payment = next((p for p in receipt.parts if p.part == number), None) or abort(404)
    refuse_void(db.session(), found)
    return found


def _as_it_is(chosen: Payment) -> dict[str, str]:
    """What the form holds when it is opened: where the part is; nothing for one that is unmatched."""
    if chosen.meter is None:
        return {}
    typed = {"shown_for": shown_for(chosen.customer, chosen.amount), REST: chosen.meter.number}
    if chosen.invoice_id is not None:
        typed[f"to-{chosen.invoice_id}"] = format_amount(chosen.amount, number_format())
    return typed


def _sheet(chosen: Payment, typed: Any, *, follows: bool = True) -> Sheet:
    """The sheet of one part. What is matched already is not shared out by itself."""
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
    """The form again with what is wrong; nothing of the attempt stays, and the part is shown as it is now."""
    db.session.rollback()
    chosen = _part_or_404(reference)
    sheet = _sheet(chosen, request.form, follows=False)
    is_stale = isinstance(refusal, RecordChanged | AnotherRecord)
    if is_stale:
        form.reopen(chosen.id, chosen.version)
    elif refusal is not None:
        sheet.add_errors(whole_number(str(refusal.values.get("invoice_id"))), in_words(refusal))
    form.form_errors = sheet_errors(sheet)
    return _page(chosen, form, sheet, 409 if is_stale else 422, refusal)


def _page(
    chosen: Payment,
    form: PlaceForm,
    sheet: Sheet,
    status: int = 200,
    refusal: Refusal | None = None,
) -> Response:
    receipt = screens.found(chosen.reference)
    return render(
        "billing/payment_place.html", block="form", status=status, form=form, sheet=sheet,
        chosen=chosen, facts=screens.facts_of(chosen, [chosen]), newest=screens.newest(receipt, refusal),
    )  # fmt: skip
