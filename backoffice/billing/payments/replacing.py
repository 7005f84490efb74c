"""A receipt with a wrong day, method, customer or amount: void, and recorded anew, in one step.

Nothing is void before the new one is saved: one transaction does both, and leaves no receipt void of
which somebody would have to remember that it was to be recorded again.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from flask import Response, flash, request, url_for
from flask_babel import gettext as _

from ...app.extensions import db
from ...base.money import format_amount
from ...base.refusals import Stale
from ...customers import queries as customers
from ...customers.models import Customer
from ...security.permissions import requires
from ...web.claims import Claim
from ...web.preferences import number_format
from ..forms import VoidForm
from ..meters.refusals import TooMuchOwed
from ..models import Payment
from ..rules import VOID
from ..views import bp
from . import actions, history
from .allocation import by_invoice, total_of
from .entry import PAGE, entry_page, previewed
from .forms import PaymentForm, show_sheet_errors
from .refusals import (
    OverAllocated,
    PaymentStaysVoid,
    ReceiptOfSeveral,
    ReferenceTaken,
)
from .sheets import REST, Sheet, shown_for
from .views import receipt_or_404

_OWN = re.compile(actions.OWN_REFERENCE.format(year="[0-9]{4}") + "[0-9]+", re.ASCII)
"""A reference that was given here: the new receipt gets the next one. Any other came with the payment."""


class ReplacementForm(PaymentForm, VoidForm):
    """A payment as one was recorded, to be put right; and why that one becomes void."""

    _replaced: Sequence[Payment] = ()

    @classmethod
    def for_receipt(cls, parts: Sequence[Payment]) -> "ReplacementForm":
        """Everything as it was recorded; what of it goes where, too."""
        receipt, total = parts[0], total_of(parts)
        own = _OWN.fullmatch(receipt.reference)
        given = VoidForm.over(receipt.id, actions.version_of(parts))
        data = {
            "customer": customers.label(receipt.customer),
            "amount": total,
            "paid_on": receipt.paid_on,
            "method": receipt.method,
            "reference": "" if own else receipt.reference,
            "version": given.version.data,
            "idempotency_key": given.idempotency_key.data,
        }
        form = cls(formdata=None, data=data)
        form._replaced = parts
        form.found_customer, form._typed = receipt.customer, _as_recorded(parts, total)
        return form

    @classmethod
    def posted_for(cls, parts: Sequence[Payment]) -> "ReplacementForm":
        """What was sent."""
        form = cls.posted()
        assert isinstance(form, cls)
        form._replaced = parts
        return form

    def own_of(self, customer: Customer) -> Mapping[int, Decimal]:
        """What the receipt paid of each invoice: open again, for the same customer."""
        return by_invoice(part for part in self._replaced if part.customer_id == customer.id)

    def may_take(self, reference: str) -> bool:
        """The receipt gives its reference up."""
        return reference == self._replaced[0].reference or super().may_take(reference)


def _as_recorded(parts: Sequence[Payment], total: Decimal) -> dict[str, str]:
    """The sheet as the receipt was allocated; it follows another amount, as if it had been filled."""
    style, typed = number_format(), {"shown_for": shown_for(parts[0].customer, total)}
    for part in parts:
        if part.invoice_id is None:
            typed.setdefault(REST, part.meter.number if part.meter else "")
    for invoice_id, amount in by_invoice(parts).items():
        text = format_amount(amount, style)
        typed |= {f"to-{invoice_id}": text, f"filled-{invoice_id}": text}
    return typed


def _receipt(reference: str) -> list[Payment]:
    """The parts of the receipt. Raises PaymentStaysVoid, ReceiptOfSeveral."""
    parts = receipt_or_404(reference)
    if parts[0].status == VOID:
        raise PaymentStaysVoid(reference=reference)
    if len({part.customer_id for part in parts}) > 1:
        raise ReceiptOfSeveral(reference=reference)
    return parts


@bp.get("/payments/<path:reference>/replace")
@requires("billing.write")
def replace_payment(reference: str) -> Response:
    """The form of a new payment with everything that the receipt says. Nothing is void yet."""
    parts = _receipt(reference)
    form = ReplacementForm.for_receipt(parts)
    return _page(parts, form, form.sheet(for_saving=True), first="reason")


@bp.post("/payments/<path:reference>/replace")
@requires("billing.write")
def replace_payment_post(reference: str) -> Response:
    """Make it void and record the other, both or neither; with `do`, only show the open invoices."""
    if "do" in request.args:
        parts, form = _posted(reference)
        return _page(parts, form, form.sheet())
    claim = Claim(f"billing.replace_payment {reference}")
    if claim.answer is not None:
        return claim.answer
    parts, form = _posted(reference)
    sheet = form.sheet(for_saving=True)
    show_sheet_errors(form, sheet)
    void, why = parts[0], form.reason.data or ""
    try:
        version = form.expected_version(void.id)
        if not form.validate() or sheet is None or sheet.errors:
            return _refused(parts, form, sheet)
        made = actions.replace_receipt(db.session(), void.id, version, why, form.entry(sheet))
    except Stale:
        db.session.rollback()
        parts, form = _posted(reference)
        form.validate()
        form.reopen(parts[0].id, actions.version_of(parts))
        return _refused(parts, form, form.sheet(for_saving=True), status=409)
    except (OverAllocated, ReferenceTaken, TooMuchOwed) as refusal:
        db.session.rollback()
        parts, form = _posted(reference)
        return _refused(parts, form, form.sheet_refused(refusal))
    flash(
        _(
            "Payment %(new)s is recorded, and %(old)s is void.",
            new=made[0].reference,
            old=void.reference,
        ),
        "success",
    )
    return claim.fulfilled(url_for("billing.payment", reference=made[0].reference, recorded=1))


@bp.post("/payments/<path:reference>/replace/preview")
@requires("billing.write")
def preview_replacement(reference: str) -> Response:
    """What of the amount goes where, as it is typed. Writes nothing."""
    parts, form = _posted(reference)
    return previewed(PAGE, form.sheet(), form.named_in_full(), form=form, replaced=parts[0])


def _posted(reference: str) -> tuple[list[Payment], ReplacementForm]:
    parts = _receipt(reference)
    return parts, ReplacementForm.posted_for(parts)


def _refused(
    parts: list[Payment], form: ReplacementForm, sheet: Sheet | None, status: int = 422
) -> Response:
    """The form again with what is wrong in it; what it shows must be read before all is undone."""
    answer = _page(parts, form, sheet, status)
    db.session.rollback()
    return answer


def _page(
    parts: list[Payment],
    form: ReplacementForm,
    sheet: Sheet | None,
    status: int = 200,
    first: str = "",
) -> Response:
    rests = [
        part.meter.number if part.meter else _("No meter") for part in parts if not part.invoice
    ]
    newest = next(iter(history.events_of(db.session(), parts)), None)
    return entry_page(
        form,
        sheet,
        status,
        first,
        replaced=parts[0],
        total=total_of(parts),
        rests=sorted(set(rests)),
        conflict=newest if status == 409 else None,
    )
