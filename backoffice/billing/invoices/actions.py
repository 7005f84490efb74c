"""What can be done to an invoice. Nothing here commits: every verb works in the caller's transaction."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from ... import figures
from ...base import money
from ...base.refusals import Refusal, refused_by
from ..figures import invoice_amount
from ..meters.actions import settle
from ..meters.refusals import TooMuchOwed
from ..models import Invoice, Payment
from ..numbering import next_number
from ..queries import holder_on, paid_by_payments
from ..rules import REASON_LENGTH, VOID, is_less_than_paid
from .entries import Charges, InvoiceEntry
from .refusals import (
    ChargeWithoutUnits,
    DueBeforeIssued,
    InvoiceChanged,
    InvoiceGone,
    InvoiceRefused,
    LessThanPaid,
    NegativeCharge,
    NothingOwed,
    NumberTaken,
    PaymentsGoAlong,
    RateMissing,
    ReasonMissing,
    SameMeter,
    TooLarge,
    UnitsMissing,
    VoidStaysVoid,
)

_UNSAVED = -1


def compute(session: Session, charges: Charges) -> Decimal:
    """What an invoice with these charges would come to. Writes nothing and locks nothing."""
    row = {
        "id": _UNSAVED,
        "units": charges.units,
        "rate": Decimal(0) if charges.rate is None and charges.units is not None else charges.rate,
        "fixed_charge": charges.fixed_charge,
        "amount": charges.amount,
    }
    preview = figures.preview(session, [invoice_amount], {Invoice: [row]})
    amount: Decimal = preview.row(Invoice, _UNSAVED)["amount"]
    return amount


def usage_of(session: Session, charges: Charges) -> Decimal:
    """What the units of these charges would come to."""
    return compute(session, replace(charges, fixed_charge=Decimal(0)))


def problems_of(charges: Charges, amount: Decimal) -> dict[str, Refusal]:
    """What forbids storing these charges, which come to `amount`, by field."""
    return dict(_problems(charges, amount))


def _problems(charges: Charges, amount: Decimal) -> Iterator[tuple[str, Refusal]]:
    for name in ("units", "rate", "fixed_charge"):
        if (getattr(charges, name) or 0) < 0:
            yield name, NegativeCharge()
    if charges.units is None and charges.rate is not None:
        yield "units", UnitsMissing()
    if charges.units is not None and charges.rate is None:
        yield "rate", RateMissing()
    if charges.is_entered and charges.fixed_charge:
        yield "fixed_charge", ChargeWithoutUnits()
    at = "amount" if charges.is_entered else "units"
    if amount <= 0:
        yield at, NothingOwed()
    elif amount > money.max_amount():
        yield at, TooLarge()


def create(session: Session, entry: InvoiceEntry) -> Invoice:
    """Add an invoice; without a number it gets the next one of its year.

    Raises:
        InvoiceRefused: its amount or its days are not possible, or what is then owed cannot be stored.
        NumberTaken: another invoice has the number.
    """
    _refuse_impossible(session, entry)
    invoice = Invoice()
    _apply(invoice, entry)
    if not entry.number:
        invoice.number = next_number(session, Invoice.number, f"INV-{entry.issued_on.year}-")
    session.add(invoice)
    _store(session, invoice.number, entry.charges)
    return invoice


def update(session: Session, invoice_id: int, entry: InvoiceEntry, version: int) -> Invoice:
    """Change an invoice to `entry`, if it is still at `version`; saving what is stored changes nothing.

    While payments name it, it keeps its meter and its customer and comes to no less than they do.

    Raises:
        InvoiceGone, InvoiceChanged: somebody else was faster.
        VoidStaysVoid: the invoice is void.
        InvoiceRefused, NumberTaken: as for `create`.
    """
    invoice = _locked(session, invoice_id, version)
    _refuse_impossible(session, entry, invoice)
    number = invoice.number
    _apply(invoice, entry)
    invoice.number = entry.number or number
    if session.is_modified(invoice):
        _count(invoice)
    _store(session, invoice.number, entry.charges)
    return invoice


def void(session: Session, invoice_id: int, version: int, reason: str) -> list[Payment]:
    """Make an invoice void, for good. Answers the payments that named it.

    They stay on the meter and name no invoice any more: what was paid is still paid, and goes to what
    else is open there.

    Raises:
        ReasonMissing: nobody said why.
        InvoiceGone, InvoiceChanged, VoidStaysVoid: as for `update`.
        TooMuchOwed: what is then owed or overpaid cannot be stored.
    """
    invoice = _locked(session, invoice_id, version)
    if not reason.strip():
        raise ReasonMissing()
    payments = _locked_payments(session, invoice.id)
    for payment in payments:
        payment.invoice_id = None
        _count(payment)
    invoice.status = VOID
    invoice.void_reason = reason.strip()[:REASON_LENGTH]
    _count(invoice)
    settle(session)
    return payments


def move(
    session: Session, invoice_id: int, version: int, meter_id: int, *, with_payments: bool = True
) -> list[Payment]:
    """Put an invoice on another meter. Answers the payments that named it.

    `with_payments`: they go along, so that the old meter is left as if neither had been there; else
    they stay where they are and name no invoice any more. Whose meter it was on the day of the
    invoice, or else is now, becomes the customer of the invoice; who paid stays who paid.

    Raises:
        SameMeter: it is there already.
        InvoiceGone, InvoiceChanged, VoidStaysVoid: as for `update`.
        TooMuchOwed: what is then owed there cannot be stored.
    """
    invoice = _locked(session, invoice_id, version)
    if invoice.meter_id == meter_id:
        raise SameMeter(number=invoice.number)
    customer_id = holder_on(session, meter_id, invoice.issued_on) or invoice.customer_id
    payments = _locked_payments(session, invoice.id)
    for payment in payments:
        if with_payments:
            payment.meter_id = meter_id
        else:
            payment.invoice_id = None
        _count(payment)
    invoice.meter_id, invoice.customer_id = meter_id, customer_id
    _count(invoice)
    settle(session)
    return payments


def payments_naming(session: Session, invoice_id: int) -> Sequence[Payment]:
    """The payments that name the invoice and are not void."""
    return session.scalars(_naming(invoice_id)).all()


def _naming(invoice_id: int) -> Select[Any]:
    of_invoice = (Payment.invoice_id == invoice_id) & (Payment.status != VOID)
    return select(Payment).where(of_invoice).order_by(Payment.id)


def _locked(session: Session, invoice_id: int, version: int) -> Invoice:
    """The invoice, locked against other writers, if it is still at `version` and not void."""
    invoice = session.get(
        Invoice, invoice_id, with_for_update={"key_share": True}, populate_existing=True
    )
    if invoice is None:
        raise InvoiceGone()
    if invoice.version != version:
        raise InvoiceChanged(number=invoice.number)
    if invoice.status == VOID:
        raise VoidStaysVoid(number=invoice.number)
    return invoice


def _locked_payments(session: Session, invoice_id: int) -> list[Payment]:
    statement = _naming(invoice_id).with_for_update(key_share=True)
    return list(session.scalars(statement.execution_options(populate_existing=True)))


def _refuse_impossible(
    session: Session, entry: InvoiceEntry, invoice: Invoice | None = None
) -> None:
    amount = compute(session, entry.charges)
    problems = problems_of(entry.charges, amount)
    if entry.due_on < entry.issued_on:
        problems["due_on"] = DueBeforeIssued()
    if invoice is not None:
        problems |= _kept_by_payments(session, invoice, entry, amount)
    if problems:
        raise InvoiceRefused(problems)


def _kept_by_payments(
    session: Session, invoice: Invoice, entry: InvoiceEntry, amount: Decimal
) -> Iterator[tuple[str, Refusal]]:
    """What the payments that name the invoice forbid to change."""
    paid = session.scalar(select(paid_by_payments).where(Invoice.id == invoice.id))
    if not paid:
        return
    if is_less_than_paid(amount, paid, invoice.amount):
        at = "amount" if entry.charges.is_entered else "units"
        yield at, LessThanPaid(paid=paid)
    for name in ("customer_id", "meter_id"):
        if getattr(entry, name) != getattr(invoice, name):
            yield name.removesuffix("_id"), PaymentsGoAlong()


def _apply(invoice: Invoice, entry: InvoiceEntry) -> None:
    """Write what was entered; an amount that follows from units is left to its figure."""
    invoice.number = entry.number
    invoice.customer_id = entry.customer_id
    invoice.meter_id = entry.meter_id
    invoice.issued_on = entry.issued_on
    invoice.due_on = entry.due_on
    invoice.units = entry.charges.units
    invoice.rate = entry.charges.rate
    invoice.fixed_charge = entry.charges.fixed_charge
    if entry.charges.is_entered:
        invoice.amount = entry.charges.amount


def _count(document: Invoice | Payment) -> None:
    """One version more."""
    document.version += 1
    document.updated_at = func.now()


def _store(session: Session, number: str, charges: Charges) -> None:
    """Write the invoice, and what is owed by it."""
    try:
        with refused_by("uq_invoices_number", NumberTaken(number=number)):
            settle(session)
    except TooMuchOwed as too_much:
        at = "amount" if charges.is_entered else "units"
        raise InvoiceRefused({at: too_much}) from too_much
