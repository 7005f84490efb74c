"""The actions on an invoice. Nothing here commits: every verb works in the caller's transaction."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from ...base.refusals import Refusal
from ...records import Values
from ...records import actions as records
from ..meters.actions import settle
from ..meters.refusals import TooMuchOwed
from ..models import Invoice, Payment
from ..queries import holder_on, paid_by_payments
from ..rules import REASON_LENGTH, VOID, is_less_than_paid
from .charges import Charges, compute, problems_of, problems_of_days
from .fields import FIELDS
from .refusals import (
    LessThanPaid,
    MoveNeedsApproval,
    PaymentsGoAlong,
    ReasonMissing,
    SameMeter,
    VoidStaysVoid,
)

PLACEMENT = ("customer", "meter")
"""The fields that decide in which balances an invoice counts."""


def create(session: Session, values: Values) -> Invoice:
    """Add an invoice.

    Raises:
        Impossible: its amount or its days are not possible, or what is then owed cannot be stored.
    """
    _refuse_impossible(session, values)
    invoice = Invoice(**_columns(values))
    session.add(invoice)
    _store(session, values)
    return invoice


def update(
    session: Session,
    invoice_id: int,
    values: Values,
    version: int,
    *,
    waits: Callable[[Callable[[], object]], bool] | None = None,
) -> Invoice:
    """Change an invoice, if it is still at `version`; saving what is stored changes nothing.

    While payments name it, its meter and customer stay, and its amount stays at least their sum. They stay too where
    `waits` says that a move needs a second person's approval; `move` requests that.

    Raises:
        RecordGone, RecordChanged: another user was faster.
        VoidStaysVoid: the invoice is void.
        Impossible: as for `create`.
    """
    invoice = _locked(session, invoice_id, version)
    _refuse_impossible(session, values, invoice)
    moved = [name for name in PLACEMENT if values[name] != getattr(invoice, f"{name}_id")]
    if moved and waits is not None and waits(lambda: _apply_move(session, invoice, values)):
        raise records.Impossible({name: MoveNeedsApproval() for name in moved})
    for name, value in _columns(values).items():
        setattr(invoice, name, value)
    records.bump_version(session, invoice)
    _store(session, values)
    return invoice


def void(session: Session, invoice_id: int, version: int, reason: str) -> list[Payment]:
    """Make an invoice void, for good. Returns the payments that named it.

    They stay on the meter and no longer name an invoice, so they pay what else is open there.

    Raises:
        ReasonMissing: no reason is given.
        RecordGone, RecordChanged, VoidStaysVoid: as for `update`.
        TooMuchOwed: what is then owed or overpaid cannot be stored.
    """
    invoice = _locked(session, invoice_id, version)
    if not reason.strip():
        raise ReasonMissing()
    payments = _locked_payments(session, invoice.id)
    for payment in payments:
        payment.invoice_id = None
        records.next_version(payment)
    invoice.status = VOID
    invoice.void_reason = reason.strip()[:REASON_LENGTH]
    records.next_version(invoice)
    settle(session)
    return payments


def move(
    session: Session, invoice_id: int, version: int, meter_id: int, *, with_payments: bool = True
) -> list[Payment]:
    """Move an invoice to another meter. Returns the payments that named it.

    `with_payments`: they move along; else they stay on their meter and no longer name an invoice.
    The customer who had the meter on the day of the invoice, or else has it now, becomes the
    customer of the invoice; the customer of the payments stays.

    Raises:
        SameMeter: it is there already.
        RecordGone, RecordChanged, VoidStaysVoid: as for `update`.
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
        records.next_version(payment)
    invoice.meter_id, invoice.customer_id = meter_id, customer_id
    records.next_version(invoice)
    settle(session)
    return payments


def payments_naming(session: Session, invoice_id: int) -> Sequence[Payment]:
    """The payments that name the invoice and are not void."""
    return session.scalars(_naming(invoice_id)).all()


def _naming(invoice_id: int) -> Select[Any]:
    of_invoice = (Payment.invoice_id == invoice_id) & (Payment.status != VOID)
    return select(Payment).where(of_invoice).order_by(Payment.id)


def check_not_void(_session: Session, invoice: Invoice) -> None:
    """Raises VoidStaysVoid."""
    if invoice.status == VOID:
        raise VoidStaysVoid(number=invoice.number)


def _locked(session: Session, invoice_id: int, version: int) -> Invoice:
    """The invoice, locked against other writers, if it is still at `version` and not void."""
    invoice: Invoice = records.locked(session, Invoice, [invoice_id], key_share=True)[invoice_id]
    records.check_version(invoice, version, invoice.number)
    check_not_void(session, invoice)
    return invoice


def _locked_payments(session: Session, invoice_id: int) -> list[Payment]:
    statement = _naming(invoice_id).with_for_update(key_share=True)
    return list(session.scalars(statement.execution_options(populate_existing=True)))


def _refuse_impossible(session: Session, values: Values, invoice: Invoice | None = None) -> None:
    charges = Charges.of(values)
    amount = compute(session, charges)
    problems = problems_of(charges, amount)
    problems |= problems_of_days(values["issued_on"], values["due_on"])
    if invoice is not None:
        paid = session.scalar(select(paid_by_payments).where(Invoice.id == invoice.id))
        if paid and is_less_than_paid(amount, paid, invoice.amount):
            problems[charges.error_field] = LessThanPaid(paid=paid)
        if paid:
            problems |= _forbidden_by_payments(values, invoice)
    if problems:
        raise records.Impossible(problems)


def _forbidden_by_payments(values: Values, invoice: Invoice) -> Iterator[tuple[str, Refusal]]:
    """The changes that the payments naming the invoice forbid, by field."""
    for name in PLACEMENT:
        if values[name] != getattr(invoice, f"{name}_id"):
            yield name, PaymentsGoAlong()


def _apply_move(session: Session, invoice: Invoice, values: Values) -> None:
    """Apply the move alone, to see what it would change."""
    for name in PLACEMENT:
        setattr(invoice, f"{name}_id", values[name])
    records.next_version(invoice)
    _store(session, values)


def _columns(values: Values) -> dict[str, Any]:
    """The entered values by column; an amount that follows from units is left to its figure."""
    left = () if Charges.of(values).is_entered else ("amount",)
    return {field.key: values[field.name] for field in FIELDS if field.key not in left}


def _store(session: Session, values: Values) -> None:
    """Write the invoice and the totals that follow from it."""
    try:
        settle(session)
    except TooMuchOwed as too_much:
        raise records.Impossible({Charges.of(values).error_field: too_much}) from too_much
