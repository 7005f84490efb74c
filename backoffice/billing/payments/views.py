"""The list of payments, and one receipt: its parts, its history, making it void, and where a part goes."""

from typing import Any

from flask import Response, abort, flash, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from ... import lists
from ...app.extensions import db
from ...approvals.screens import carry_out
from ...audit.histories import Event
from ...base.identifiers import whole_number
from ...base.money import format_amount
from ...base.refusals import AnotherRecord, Refusal
from ...security.permissions import requires
from ...web.claims import Claim
from ...web.formats import in_words
from ...web.forms import Stamp
from ...web.htmx import render
from ...web.preferences import number_format
from .. import approved_verbs
from ..forms import VoidForm
from ..meters.refusals import TooMuchOwed
from ..models import Payment
from ..rules import METHODS, POSTED, VOID
from ..views import bp
from . import actions, history, queries
from .allocation import total_of
from .entry import previewed
from .forms import PlaceForm, show_sheet_errors
from .listing import PAYMENTS
from .refusals import (
    NothingToMove,
    OverAllocated,
    PaymentChanged,
    PaymentStaysVoid,
)
from .sheets import REST, Sheet, sheet_of, shown_for

PLACE = "billing/payment_place.html"


def receipt_or_404(reference: str) -> list[Payment]:
    """The parts of the receipt."""
    return list(queries.receipt_of(db.session(), reference)) or abort(404)


@bp.get("/payments")
@requires("billing.read")
def payments() -> AnyResponse:
    """The payments that the filter leaves in, with their totals."""
    return lists.show(PAYMENTS, "billing/payments.html")


@bp.get("/payments/export.<flavour>")
@requires("billing.read")
@lists.limited
def export_payments(flavour: str) -> AnyResponse:
    """The payments that the filter leaves in, as a file."""
    return lists.export(PAYMENTS, flavour)


@bp.get("/payments/<path:reference>")
@requires("billing.read")
def payment(reference: str) -> Response:
    """One receipt: where its parts are, what happened to it, and the way on through the list."""
    parts, state = receipt_or_404(reference), lists.asked(PAYMENTS)
    previous, following = lists.neighbours(
        db.session(), current_user, state, parts[0].id, Payment.reference.expression
    )
    return render(
        "billing/payment.html",
        **_head(parts),
        way=state.as_query,
        previous=previous,
        following=following,
        events=history.events_of(db.session(), parts),
        replacement=queries.replaced_by(db.session(), parts[0]),
        replaced=queries.replaced_of(db.session(), parts[0]),
        is_just_recorded="recorded" in request.args,
    )


def _head(parts: list[Payment]) -> dict[str, Any]:
    """What the head of one receipt's screens needs."""
    is_void = parts[0].status == VOID
    is_unmatched = any(part.meter_id is None for part in parts)
    return {
        "receipt": parts[0],
        "parts": parts,
        "customers": list({part.customer_id: part.customer for part in parts}.values()),
        "total": total_of(parts),
        "standing": VOID if is_void else "unmatched" if is_unmatched else POSTED,
        "METHODS": METHODS,
    }


# Making it void


@bp.get("/payments/<path:reference>/void")
@requires("billing.write")
def void_payment(reference: str) -> Response:
    """Ask why, before a receipt is made void."""
    parts = receipt_or_404(reference)
    if parts[0].status == VOID:
        raise PaymentStaysVoid(reference=reference)
    return _void_page(parts, VoidForm.over(parts[0].id, actions.version_of(parts)))


@bp.post("/payments/<path:reference>/void")
@requires("billing.write")
def void_payment_post(reference: str) -> Response:
    """Make the receipt void, if it is still as it was shown."""
    claim = Claim(f"billing.void_payment {reference}")
    if claim.answer is not None:
        return claim.answer
    receipt_id, form = receipt_or_404(reference)[0].id, VoidForm()
    if not form.validate():
        db.session.rollback()
        return _void_page(receipt_or_404(reference), form, status=422)
    try:
        version = form.expected_version(receipt_id)
        actions.void(db.session(), receipt_id, version, form.reason.data or "")
    except TooMuchOwed as too_much:
        db.session.rollback()
        form.blame({"reason": too_much})
        return _void_page(receipt_or_404(reference), form, status=422)
    except (PaymentChanged, AnotherRecord):
        db.session.rollback()
        parts = receipt_or_404(reference)
        form.reopen(parts[0].id, actions.version_of(parts))
        return _void_page(parts, form, status=409)
    flash(_("Payment %(reference)s is void.", reference=reference), "success")
    return claim.fulfilled(url_for("billing.payment", reference=reference))


def _void_page(parts: list[Payment], form: VoidForm, status: int = 200) -> Response:
    return render(
        "billing/payment_void.html",
        status=status,
        form=form,
        conflict=_newest(parts) if status == 409 else None,
        **_head(parts),
    )


def _newest(parts: list[Payment]) -> Event | None:
    """What happened to the receipt last."""
    return next(iter(history.events_of(db.session(), parts)), None)


# Where a part goes


@bp.get("/payments/<path:reference>/move")
@requires("billing.write")
def move_payment(reference: str) -> Response:
    """Match or move a part of a receipt: its open invoices, with what of the part goes to each."""
    chosen = _part_or_404(reference)
    form = PlaceForm.over(chosen.id, chosen.version)
    return _place_page(chosen, form, _sheet(chosen, _as_it_is(chosen)))


@bp.post("/payments/<path:reference>/move")
@requires("billing.write")
def move_payment_post(reference: str) -> Response:
    """Put the part where the form says, if it is still as it was shown; with `do`, only count again."""
    if "do" in request.args:
        chosen = _part_or_404(reference)
        return _place_page(chosen, PlaceForm(), _sheet(chosen, request.form))
    claim = Claim(f"billing.move_payment {reference}")
    if claim.answer is not None:
        return claim.answer
    chosen, form = _part_or_404(reference), PlaceForm()
    sheet = _sheet(chosen, request.form, follows=False)
    here = url_for("billing.payment", reference=reference)

    def done(_parts: Any) -> Response:
        flash(_("Payment %(reference)s is where it belongs now.", reference=reference), "success")
        return claim.fulfilled(here)

    try:
        version = form.expected_version(chosen.id)
        if sheet.errors:
            return _place_again(chosen, form, sheet, 422)
        parts = approved_verbs.parts_as_payload(sheet.parts(db.session()))
        asked = {"payment": chosen.id, "version": version, "parts": parts}
        return carry_out(approved_verbs.PLACE, asked, claim, done, back=here)
    except (OverAllocated, NothingToMove, TooMuchOwed) as refusal:
        return _place_refused(reference, form, refusal)
    except (PaymentChanged, AnotherRecord):
        db.session.rollback()
        chosen = _part_or_404(reference)
        form.reopen(chosen.id, chosen.version)
        return _place_again(chosen, form, _sheet(chosen, request.form, follows=False), 409)


@bp.post("/payments/<path:reference>/move/preview")
@requires("billing.write")
def preview_move(reference: str) -> Response:
    """What of the part goes where, as it is typed. Writes nothing."""
    chosen = _part_or_404(reference)
    return previewed(PLACE, _sheet(chosen, request.form), chosen=chosen)


@bp.post("/payments/<path:reference>/take-off")
@requires("billing.write")
def take_off_payment(reference: str) -> Response:
    """Take a part off its meter, if it is still as it was shown: it is unmatched again."""
    claim = Claim(f"billing.take_off_payment {reference}")
    if claim.answer is not None:
        return claim.answer
    chosen = _part_or_404(reference)
    version = Stamp.read(request.form.get("version")).version_of(chosen.id)
    here = url_for("billing.payment", reference=reference)

    def done(_payment: Any) -> Response:
        flash(_("It is off its meter, and stands among the unmatched payments."), "success")
        return claim.fulfilled(here)

    asked = {"payment": chosen.id, "version": version}
    return carry_out(approved_verbs.TAKE_OFF, asked, claim, done, back=here)


def _part_or_404(reference: str) -> Payment:
    """The part that the address or the form names; the first where neither does."""
    number = whole_number(request.values.get("part", "1"))
    found = next((p for p in receipt_or_404(reference) if p.part == number), None) or abort(404)
    if found.status == VOID:
        raise PaymentStaysVoid(reference=reference)
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
    follows = follows and chosen.meter_id is None
    return sheet_of(
        db.session(),
        chosen.customer,
        chosen.amount,
        typed,
        own=own,
        own_meter=chosen.meter.number if chosen.meter else "",
        follows=follows,
    )


def _place_refused(reference: str, form: PlaceForm, refusal: Refusal) -> Response:
    """The form again with what only writing it has shown; nothing can be read before that is undone."""
    db.session.rollback()
    chosen = _part_or_404(reference)
    sheet = _sheet(chosen, request.form, follows=False)
    sheet.blame(whole_number(str(refusal.values.get("invoice_id"))), in_words(refusal))
    return _place_again(chosen, form, sheet, 422)


def _place_again(chosen: Payment, form: PlaceForm, sheet: Sheet, status: int) -> Response:
    show_sheet_errors(form, sheet)
    answer = _place_page(chosen, form, sheet, status)
    db.session.rollback()
    return answer


def _place_page(chosen: Payment, form: PlaceForm, sheet: Sheet, status: int = 200) -> Response:
    parts = receipt_or_404(chosen.reference)
    return render(
        PLACE,
        block="form",
        status=status,
        form=form,
        sheet=sheet,
        chosen=chosen,
        conflict=_newest(parts) if status == 409 else None,
        **_head(parts),
    )
