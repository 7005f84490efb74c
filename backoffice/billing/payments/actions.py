"""The actions on payments. Nothing here commits: every verb works in the caller's transaction.

A receipt is all payment rows of one reference; it is voided as a whole, and no row of it is ever
removed. Every verb locks in one order, so that no two of them deadlock: the invoices that it leaves
or enters, then the number, then the payments; the figures lock the meters and the customers above
them after all that.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from sqlalchemy import ARRAY, BigInteger, ColumnElement, any_, func, literal, select, update
from sqlalchemy.orm import Session

from ... import figures
from ...base import money
from ...base.refusals import refused_by
from ...database.numbering import next_number
from ...records.actions import RecordChanged, RecordGone, check_version, locked, next_version
from ..figures import invoice_paid
from ..meters.actions import settle
from ..models import Invoice, Payment
from ..queries import paid_by_payments
from ..rules import REASON_LENGTH, VOID, refuse_to_come, takes_less
from .allocation import Part, by_invoice, open_for, total_of
from .matching import is_unmatched, sure_matches
from .refusals import (
    InvoiceHasNoMeter,
    InvoiceIsVoid,
    InvoicePaid,
    InvoiceUnknown,
    NothingPaid,
    NothingToMove,
    OverAllocated,
    PartsDontAddUp,
    PaymentStaysVoid,
    PaysTooMuch,
    ReferenceTaken,
    VoidReasonMissing,
)

OWN_REFERENCE = "PAY-{year}-"
"""The prefix of a generated reference; a number follows."""


@dataclass(frozen=True)
class ReceiptEntry:
    """A payment as entered. Without a reference it gets the next one of the year in which it was paid.

    `parts` add up to `amount`; a part without invoice and meter is unmatched. `replaces_id` is the first
    part of the void receipt that it replaces.
    """

    customer_id: int
    paid_on: date
    amount: Decimal
    method: str
    parts: tuple[Part, ...]
    reference: str = ""
    replaces_id: int | None = None


def record(session: Session, entry: ReceiptEntry) -> list[Payment]:
    """Add a receipt; returns its parts.

    Raises:
        NothingPaid, PaysTooMuch, PartsDontAddUp: the amounts are not possible.
        StillToCome: it is dated after today, and would count at once.
        OverAllocated: less is open of an invoice, or nothing at all.
        ReferenceTaken: another receipt that is not void has the reference.
        TooMuchOwed: what is then paid cannot be stored.
    """
    return _record(session, entry, {})


def _record(
    session: Session, entry: ReceiptEntry, replaced: Mapping[int, Decimal]
) -> list[Payment]:
    """Add a receipt. `replaced`: what the receipt that it replaces, now void, had on each invoice."""
    _refuse_impossible(entry.amount, entry.parts)
    refuse_to_come(entry.paid_on)
    invoices = _hold_invoices(session, _invoices_of(entry.parts))
    parts = _check_parts(session, entry.parts, invoices, replaced=replaced)
    reference = entry.reference or _next_reference(session, entry)
    if entry.reference:
        _release_reference(session, reference)
    payments = [_payment(reference, entry, part, number) for number, part in enumerate(parts, 1)]
    payments[0].replaces_id = entry.replaces_id
    session.add_all(payments)
    _flush(session, reference)
    return payments


def void(session: Session, receipt_id: int, version: int, reason: str) -> list[Payment]:
    """Make a receipt void, all its parts at once and for good, if it is still at `version`.

    `receipt_id` is that of its first part: its reference may go to another receipt.

    Raises:
        VoidReasonMissing: no reason is given.
        RecordGone, RecordChanged, PaymentStaysVoid: another user was faster.
        TooMuchOwed: what is then owed cannot be stored.
    """
    own = parts_in(session, _reference_of(session, receipt_id))
    _hold_invoices(session, [payment.invoice_id for payment in own])
    parts = _make_void(session, receipt_id, version, reason)
    settle(session)
    return parts


def replace_receipt(
    session: Session, receipt_id: int, version: int, reason: str, entry: ReceiptEntry
) -> list[Payment]:
    """Void a receipt and record another in its place, both or neither; returns the parts of the new one.

    What the void one paid is open again for the other, even on an invoice that others overpaid. If that has the
    same reference, the void one is renamed. Raises as `void` and `record`.
    """
    reference = _reference_of(session, receipt_id)
    own = [payment.invoice_id for payment in parts_in(session, reference)]
    _hold_invoices(session, [*own, *_invoices_of(entry.parts)])
    named = _spare_name(session, reference) if entry.reference == reference else reference
    new = entry.reference or _next_reference(session, entry)
    parts = _make_void(session, receipt_id, version, reason)
    for payment in parts:
        payment.reference = named
    new_entry = replace(entry, reference=new, replaces_id=receipt_id)
    return _record(session, new_entry, by_invoice(parts))


def _next_reference(session: Session, entry: ReceiptEntry) -> str:
    head = OWN_REFERENCE.format(year=entry.paid_on.year)
    return next_number(session, Payment.reference, head)


def _make_void(session: Session, receipt_id: int, version: int, reason: str) -> list[Payment]:
    """Void the parts of the receipt and return them; the figures are not settled yet."""
    reference = _reference_of(session, receipt_id)
    parts = _locked(session, Payment.reference == reference)
    if receipt_id not in {payment.id for payment in parts} or version_of(parts) != version:
        raise RecordChanged(name=reference)
    if not reason.strip():
        raise VoidReasonMissing()
    for payment in parts:
        payment.status = VOID
        payment.void_reason = reason.strip()[:REASON_LENGTH]
        next_version(payment)
    return parts


def place(session: Session, payment_id: int, version: int, parts: Sequence[Part]) -> list[Payment]:
    """Book one payment of a receipt elsewhere: match it, move it, or take it off its meter.

    The payment itself becomes the first part; every further one becomes a new payment of the receipt.
    Returns all of them. It may stay on an invoice that it is on already, even one that was overpaid.

    Raises:
        NothingPaid, PartsDontAddUp, OverAllocated: as for `record`.
        NothingToMove: it is booked there already.
        RecordGone, RecordChanged, PaymentStaysVoid: another user was faster.
        TooMuchOwed: what is then paid or owed cannot be stored.
    """
    before = session.get(Payment, payment_id, populate_existing=True)
    if before is None:
        raise RecordGone()
    invoices = _hold_invoices(session, [before.invoice_id, *_invoices_of(parts)])
    [payment] = _locked(session, Payment.id == payment_id)
    check_version(payment, version, payment.reference)
    _refuse_impossible(payment.amount, parts)
    own = payment.amount if payment.invoice_id is not None else Decimal(0)
    first, *others = _check_parts(session, parts, invoices, {payment.invoice_id: own})
    if not others and (first.invoice_id, first.meter_id) == (payment.invoice_id, payment.meter_id):
        raise NothingToMove()
    last = session.scalar(
        select(func.max(Payment.part)).where(Payment.reference == payment.reference)
    )
    added = [
        _payment(payment.reference, payment, part, number)
        for number, part in enumerate(others, (last or 0) + 1)
    ]
    payment.amount = first.amount
    payment.invoice_id, payment.meter_id = first.invoice_id, first.meter_id
    next_version(payment)
    session.add_all(added)
    _flush(session, payment.reference)
    return [payment, *added]


def take_off(session: Session, payment_id: int, version: int) -> Payment:
    """Take a payment off its meter and its invoice: it is unmatched again. Raises as `place`."""
    payment = session.get(Payment, payment_id, populate_existing=True)
    if payment is None:
        raise RecordGone()
    return place(session, payment_id, version, [Part(payment.amount)])[0]


def match_sure(session: Session, payment_ids: Collection[int]) -> list[int]:
    """Give each of these payments the meter where it surely belongs; returns the ids of those that were matched.

    The others, and those that a user has matched or voided meanwhile, stay as they are. Raises TooMuchOwed.
    """
    chosen = any_(literal(sorted(payment_ids), ARRAY(BigInteger)))
    named = select(Payment.invoice_id).where(Payment.id == chosen, is_unmatched()).distinct()
    _hold_invoices(session, session.scalars(named))
    _locked_rows(session, Payment.id == chosen)
    sure = sure_matches().where(Payment.id == chosen).subquery()
    matched = session.scalars(
        update(Payment)
        .where(Payment.id == sure.c.payment_id, is_unmatched())
        .values(meter_id=sure.c.meter_id, version=Payment.version + 1, updated_at=func.now())
        .returning(Payment.id)
        .execution_options(synchronize_session=False)
    ).all()
    session.expire_all()
    settle(session)
    return sorted(matched)


def parts_in(session: Session, reference: str) -> list[Payment]:
    """The payments of a receipt by their numbers; none: there is no such receipt."""
    found = select(Payment).where(Payment.reference == reference).order_by(Payment.part)
    return list(session.scalars(found))


def _reference_of(session: Session, receipt_id: int) -> str:
    """The present reference of the receipt with that first part; empty: there is no such receipt."""
    return session.scalar(select(Payment.reference).where(Payment.id == receipt_id)) or ""


def holder_of(session: Session, reference: str) -> int | None:
    """The first part of the receipt with the reference; a void receipt does not keep it."""
    return next((p.id for p in parts_in(session, reference) if p.status != VOID), None)


def _release_reference(session: Session, reference: str) -> None:
    """Rename a void receipt of that reference, so that another can have it.

    The second of two concurrent callers waits here, and sees the first one's. Raises ReferenceTaken.
    """
    parts = _locked_rows(session, Payment.reference == reference)
    if holder_of(session, reference) is not None:
        raise ReferenceTaken(reference=reference)
    spare = _spare_name(session, reference) if parts else ""
    for payment in parts:
        if payment.reference == reference:  # another transaction may have renamed it meanwhile
            payment.reference = spare
            next_version(payment)
    session.flush()


def _spare_name(session: Session, reference: str) -> str:
    """A free reference for a void receipt that gives up this one."""
    number = 1
    while parts_in(session, void_reference(reference, number)):
        number += 1
    return void_reference(reference, number)


def void_reference(reference: str, number: int) -> str:
    """The reference of a void receipt after another took over its own; no user can enter such a text."""
    return f"{reference} (void {number})"


def version_of(parts: Iterable[Payment]) -> int:
    """The version of a receipt; it changes whenever a part of it changes or is added."""
    return sum(payment.version for payment in parts)


def _refuse_impossible(amount: Decimal, parts: Sequence[Part]) -> None:
    if amount <= 0 or any(part.amount <= 0 for part in parts):
        raise NothingPaid()
    if amount > money.max_amount():
        raise PaysTooMuch()
    total = total_of(parts)
    if total != amount:
        raise PartsDontAddUp(parts=total, amount=amount)


def _invoices_of(parts: Iterable[Part]) -> list[int]:
    return [part.invoice_id for part in parts if part.invoice_id is not None]


def _hold_invoices(session: Session, invoice_ids: Iterable[int | None]) -> dict[int, Invoice]:
    """Lock these invoices until the transaction ends, and return them as they are now.

    Their open amounts are read after that, so that two cashiers cannot both allocate the same amount.
    """
    ids = sorted({key for key in invoice_ids if key is not None})
    if not ids:
        return {}
    figures.hold(session, invoice_paid, ids)
    rows = select(Invoice).where(Invoice.id == any_(literal(ids, ARRAY(BigInteger))))
    found = session.scalars(rows.execution_options(populate_existing=True))
    return {invoice.id: invoice for invoice in found}


def _check_parts(
    session: Session,
    parts: Sequence[Part],
    invoices: dict[int, Invoice],
    own: Mapping[int | None, Decimal] | None = None,
    *,
    replaced: Mapping[int, Decimal] | None = None,
) -> list[Part]:
    """Check the parts and return them with their invoices' meters.

    `own` is what the moved payment has on an invoice, `replaced` what a receipt had that is void now.
    """
    wanted = by_invoice(parts)
    paid = _paid_on(session, wanted)
    for invoice_id, amount in wanted.items():
        given_back = (replaced or {}).get(invoice_id, Decimal(0))
        before = paid.get(invoice_id, Decimal(0)) + given_back
        stays = (own or {}).get(invoice_id, given_back)
        _refuse_too_much(invoices.get(invoice_id), amount, before, stays)
    return [
        part
        if part.invoice_id is None
        else replace(part, meter_id=invoices[part.invoice_id].meter_id)
        for part in parts
    ]


def _paid_on(session: Session, invoice_ids: Iterable[int]) -> dict[int, Decimal]:
    """What has been paid on these locked invoices, by the payments themselves."""
    ids = sorted(invoice_ids)
    if not ids:
        return {}
    held = Invoice.id == any_(literal(ids, ARRAY(BigInteger)))
    return {
        row.id: row[1] for row in session.execute(select(Invoice.id, paid_by_payments).where(held))
    }


def _refuse_too_much(invoice: Invoice | None, amount: Decimal, paid: Decimal, own: Decimal) -> None:
    if invoice is None:
        raise InvoiceUnknown()
    said: dict[str, object] = {"invoice_id": invoice.id, "number": invoice.number}
    if invoice.status == VOID:
        raise InvoiceIsVoid(**said)
    if invoice.meter_id is None:
        raise InvoiceHasNoMeter(**said)
    still_open = invoice.open_after(paid)
    if not takes_less(amount, still_open, own):
        return
    if still_open <= 0 and not own:
        raise InvoicePaid(**said)
    raise OverAllocated(**said, open=open_for(still_open, own))


def _locked(session: Session, condition: ColumnElement[bool]) -> list[Payment]:
    """The payments, locked against other writers and not void. Raises RecordGone, PaymentStaysVoid."""
    payments = _locked_rows(session, condition)
    if not payments:
        raise RecordGone()
    if any(payment.status == VOID for payment in payments):
        raise PaymentStaysVoid(reference=payments[0].reference)
    return payments


def _locked_rows(session: Session, condition: ColumnElement[bool]) -> list[Payment]:
    ids = session.scalars(select(Payment.id).where(condition)).all()
    return list(locked(session, Payment, ids, key_share=True).values())


def _payment(reference: str, of: ReceiptEntry | Payment, part: Part, number: int) -> Payment:
    """A new part of a receipt; the values that all parts share come from the entry or another part, `of`."""
    return Payment(
        reference=reference, part=number, customer_id=of.customer_id, method=of.method, paid_on=of.paid_on,
        amount=part.amount, invoice_id=part.invoice_id, meter_id=part.meter_id,
    )  # fmt: skip


def _flush(session: Session, reference: str) -> None:
    """Write the parts and settle the figures. Raises ReferenceTaken, TooMuchOwed."""
    with refused_by("ix_payments_reference_part", ReferenceTaken(reference=reference)):
        settle(session)
