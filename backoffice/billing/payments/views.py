"""Payments: list, form, exports and voiding as declared, and the page of one receipt with its parts."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, request, url_for
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from ...app.extensions import db
from ...base import N_
from ...records import forms
from ...records.forms import OfRecord
from ...records.screens import Screens
from ...security.permissions import requires
from ...web.formats import money_filter
from ...web.htmx import render, trigger
from ..models import Payment
from ..rules import POSTED, VOID
from . import actions, queries
from .allocation import total_of
from .fields import AMOUNT
from .forms import PaymentForm
from .listing import STATUSES, TONES
from .records import PAYMENT, refuse_void
from .refusals import ReceiptOfSeveral
from .sheets import AllocationSheet, changed_fields

bp = Blueprint("payments", __name__, url_prefix="/billing/payments")


def head_of(receipt: Payment) -> dict[str, Any]:
    """The context of the pages of one receipt."""
    parts, session = receipt.parts, db.session()
    is_unmatched = any(part.meter_id is None for part in parts)
    status = VOID if receipt.status == VOID else "unmatched" if is_unmatched else POSTED
    return {
        "customers": list({part.customer_id: part.customer for part in parts}.values()),
        "total": total_of(parts),
        "is_unmatched": is_unmatched,
        "word": STATUSES[status],
        "tone": TONES[status],
        "replacement": queries.replaced_by(session, receipt),
        "replaced": queries.replaced_of(session, receipt),
        "is_just_recorded": "recorded" in request.args,
    }


def _recorded_at(_form: OfRecord, receipt: Payment) -> str:
    return url_for("payments.record", reference=receipt.reference, recorded=1)


class ReceiptScreens(Screens):
    """The screens of receipts."""

    def facts_of(self, row: Payment, parts: Sequence[Payment] = ()) -> list[tuple[str, str, str]]:
        """The summary lines of a receipt, or of some of its parts."""
        parts, plain = parts or row.parts, super().facts_of
        payers = {part.customer_id: plain(part)[0] for part in parts}
        amount = (N_("Amount"), money_filter(total_of(parts), symbol=True), "")
        return [*payers.values(), *plain(row)[1:], amount]


screens = ReceiptScreens(
    PAYMENT,
    "billing/payments.html",
    record_page="billing/payment_record.html",
    frame="billing/payment.html",
    head=head_of,
    saved_to=_recorded_at,
)
screens.add_to(bp, without=("preview",))


@bp.post("/preview")
@requires(PAYMENT.writes)
def preview() -> Response:
    """The allocation as it is typed: outputs, and fields that were not typed.

    For another customer, or other invoices than the page shows, the whole sheet. Writes nothing.
    """
    return _previewed(forms.posted(PAYMENT, None))


def _previewed(form: Any) -> Response:
    return previewed(form.sheet(), form.named_in_full(), form=form)


def previewed(
    sheet: AllocationSheet | None, more: Collection[Any] = (), **context: Any
) -> Response:
    """The changes of a page after its sheet changed; `more` are changed fields of the form above it."""
    fields = changed_fields(sheet, request.form) if sheet else None
    page = PaymentForm.outputs
    answer = render(page, sheet=sheet, is_anew=fields is None, preview=request.path, **context)
    found = [*more, *(fields or ())]
    return trigger(answer, "fill", fields=found) if found else answer


# Replacing a receipt with a wrong day, method, customer or amount: voided and recorded anew in one transaction


def _refuse_void_or_several(session: Session, receipt: Payment) -> None:
    refuse_void(session, receipt)
    if len({part.customer_id for part in receipt.parts}) > 1:
        raise ReceiptOfSeveral(reference=receipt.reference)


def _replaced(session: Session, receipt_id: int, values: Any, version: int) -> Payment:
    reason, entry = values
    return actions.replace_receipt(session, receipt_id, version, reason, entry)[0]


class Replacing(Screens):
    """The screens that replace a receipt by a new payment. It is voided only when the new one is saved."""

    def saved_message(self, row: Payment) -> str:
        """The message about both receipts."""
        void = queries.replaced_of(db.session(), row)
        return str(
            _("Payment %(new)s is recorded, and %(old)s is void.", new=row.reference, old=void)
        )


replacing = Replacing(
    replace(
        PAYMENT,
        form="backoffice.billing.payments.forms:ReplacementForm",
        append_only=False,
        fields=(*PAYMENT.fields, AMOUNT),
        update=_replaced,
        is_current=_refuse_void_or_several,
    ),
    edit_page="billing/payment_replace.html",
    saved_to=_recorded_at,
)


@bp.get("/<path:reference>/replace")
@requires(PAYMENT.writes)
def edit(reference: str) -> Response:
    """The form of a new payment, prefilled with the receipt. Nothing is voided yet."""
    return replacing.edit(reference)


@bp.post("/<path:reference>/replace")
@requires(PAYMENT.writes)
def update(reference: str) -> Response:
    """Void the receipt and record the new one, both or neither; with `do`, only show the open invoices."""
    return replacing.update(reference)


@bp.post("/<path:reference>/replace/preview")
@requires(PAYMENT.writes)
def preview_replacement(reference: str) -> Response:
    """The allocation as it is typed. Writes nothing."""
    return _previewed(replacing.posted(reference))
