"""Suggested matches of unmatched payments, the likeliest first, each with its reason.

Two statements read a whole page of payments; ranking is plain Python.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    Text,
    and_,
    any_,
    case,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.orm import Session, aliased

from ...base import N_
from ...base.identifiers import whole_number
from ..meters.refusals import MeterGone
from ..models import Invoice, Meter, MeterAssignment, Payment
from .allocation import ZERO, Part, Target, meter_for_rest, oldest_first, parts_of
from .matching import (
    INVOICE,
    INVOICE_WITHOUT_METER,
    is_unmatched,
    sure_matches,
    unsure_matches,
)
from .queries import (
    meters_by_newest_invoice,
    of_another_customer,
    payable_invoices,
    was_ever_theirs,
)
from .refusals import InvoiceOfAnother, InvoiceUnknown, MeterOfAnother

MOST_SHOWN = 4
"""The most suggestions shown for one payment."""
OLDEST = 12
"""Open invoices of a customer that are read for one payment, beside those that fit it."""
SHORTEST_NUMBER = 4
"""The fewest characters of an invoice's number that count as found in a reference."""

REASONS = {
    "named": N_("It names invoice %(invoice)s, which is on meter %(meter)s."),
    "reference": N_("Its reference holds the number of invoice %(invoice)s."),
    "amount": N_("Of invoice %(invoice)s exactly this amount is open."),
    "assigned": N_("Meter %(meter)s was the customer's only one on that day."),
    "only": N_("Meter %(meter)s is the only one that the customer ever had."),
    "oldest": N_("It pays the oldest open invoices, beginning with %(invoice)s."),
}
"""Reason of a suggestion → its sentence, the likeliest reason first."""

WHY_UNSURE = {
    "no assignment": N_("No meter was surely the customer's on that day."),
    "several assignments": N_("Several meters may have been the customer's on that day."),
    INVOICE_WITHOUT_METER: N_(
        "It names invoice %(invoice)s, which has no meter. Give the invoice its meter first."
    ),
}
"""Why no match is sure → its sentence."""


@dataclass(frozen=True)
class Suggestion:
    """One suggested match. `choice` is the form value that accepts it.

    `reason` is one of REASONS; `meter` and `invoice` are numbers, empty where it names none.
    """

    reason: str
    choice: str
    meter: str = ""
    invoice: str = ""


@dataclass(frozen=True)
class UnmatchedPayment:
    """One unmatched payment with what its suggestions are derived from. `unsure`: why no meter is sure, else empty."""

    id: int
    version: int
    amount: Decimal
    paid_on: date
    names: str = ""
    unsure: str = ""
    sure_by: str = ""
    sure_meter: tuple[int, str] | None = None
    only_meter: tuple[int, str] | None = None
    invoices: Sequence["OpenInvoice"] = field(default=())


@dataclass(frozen=True)
class OpenInvoice:
    """An open invoice of the payment's customer. `is_in_reference`: the payment's reference holds its number."""

    id: int
    number: str
    meter: str
    open: Decimal
    issued_on: date
    is_in_reference: bool = False


def ranked(known: UnmatchedPayment) -> list[Suggestion]:
    """The suggestions for a payment, the likeliest first; each choice once, by its best reason."""
    found = list(_suggested(known))
    best = {suggestion.choice: suggestion for suggestion in reversed(found)}
    return [s for s in found if best[s.choice] is s][:MOST_SHOWN]


def _suggested(known: UnmatchedPayment) -> Iterable[Suggestion]:
    sure = known.sure_meter
    if sure and known.sure_by == INVOICE:
        yield Suggestion("named", "sure", sure[1], known.names)
        return
    if known.unsure == INVOICE_WITHOUT_METER:
        return
    for invoice in known.invoices:
        if invoice.is_in_reference:
            yield Suggestion("reference", f"invoice:{invoice.id}", invoice.meter, invoice.number)
    for invoice in known.invoices:
        if invoice.open == known.amount and invoice.issued_on <= known.paid_on:
            yield Suggestion("amount", f"invoice:{invoice.id}", invoice.meter, invoice.number)
    if sure:
        yield Suggestion("assigned", f"meter:{sure[0]}", sure[1])
    elif known.only_meter:
        yield Suggestion("only", f"meter:{known.only_meter[0]}", known.only_meter[1])
    if known.invoices:
        oldest = known.invoices[0]
        yield Suggestion("oldest", "oldest", oldest.meter, oldest.number)


def suggestions_for(session: Session, payment_ids: Sequence[int]) -> dict[int, UnmatchedPayment]:
    """Those of these payments that are unmatched, by id."""
    chosen = Payment.id == any_(literal(list(payment_ids), ARRAY(BigInteger)))
    invoices: dict[int, list[OpenInvoice]] = {}
    for row in session.execute(_open_invoices(chosen)):
        invoices.setdefault(row.payment_id, []).append(OpenInvoice(*row[1:]))
    return {
        row.id: UnmatchedPayment(
            id=row.id,
            version=row.version,
            amount=row.amount,
            paid_on=row.paid_on,
            names=row.names or "",
            unsure=row.unsure or "",
            sure_by=row.sure_by or "",
            sure_meter=None if row.sure_id is None else (row.sure_id, row.sure_number),
            only_meter=None if row.only_id is None else (row.only_id, row.only_number),
            invoices=invoices.get(row.id, ()),
        )
        for row in session.execute(_unmatched(chosen))
    }


def _unmatched(chosen: ColumnElement[bool]) -> Select[Any]:
    """Each payment with the result of the matching rule, and the only meter that its customer ever had."""
    sure = sure_matches().where(chosen).subquery("sure")
    unsure = unsure_matches().where(chosen).subquery("unsure")
    customers = select(Payment.customer_id).where(chosen)
    meters = MeterAssignment.meter_id
    only = (
        select(MeterAssignment.customer_id, func.min(meters).label("meter_id"))
        .where(MeterAssignment.customer_id.in_(customers))
        .group_by(MeterAssignment.customer_id)
        .having(func.count(meters.distinct()) == 1)
        .subquery("only")
    )
    sure_meter, only_meter = aliased(Meter), aliased(Meter)
    return (
        select(
            Payment.id,
            Payment.version,
            Payment.amount,
            Payment.paid_on,
            Invoice.number.label("names"),
            unsure.c.why.label("unsure"),
            sure.c.why.label("sure_by"),
            sure_meter.id.label("sure_id"),
            sure_meter.number.label("sure_number"),
            only_meter.id.label("only_id"),
            only_meter.number.label("only_number"),
        )
        .outerjoin(Payment.invoice)
        .outerjoin(sure, sure.c.payment_id == Payment.id)
        .outerjoin(unsure, unsure.c.payment_id == Payment.id)
        .outerjoin(only, only.c.customer_id == Payment.customer_id)
        .outerjoin(sure_meter, sure_meter.id == sure.c.meter_id)
        .outerjoin(only_meter, only_meter.id == only.c.meter_id)
        .where(chosen, is_unmatched())
    )


def _open_invoices(chosen: ColumnElement[bool]) -> Select[Any]:
    """Open invoices of the payments' customers: those that fit a payment, and some of the oldest, oldest first."""
    order = (Invoice.due_on, Invoice.issued_on, Invoice.id)
    found = (
        select(
            Payment.id.label("payment_id"),
            Invoice.id,
            Invoice.number,
            Meter.number.label("meter"),
            Invoice.open.label("open"),
            Invoice.issued_on,
            _is_in_reference().label("is_in_reference"),
            (Invoice.open == Payment.amount).label("is_equal"),
            func.row_number().over(partition_by=Payment.id, order_by=order).label("place"),
        )
        .join(
            Invoice,
            and_(
                Invoice.customer_id == Payment.customer_id,
                Invoice.is_open,
            ),
        )
        .join(Meter, Meter.id == Invoice.meter_id)
        .where(chosen, is_unmatched())
        .subquery("found")
    )
    fits = or_(found.c.is_in_reference, found.c.is_equal, found.c.place <= OLDEST)
    shown = [c for c in found.c if c.name not in ("is_equal", "place")]
    return select(*shown).where(fits).order_by(found.c.payment_id, found.c.place)


def _is_in_reference() -> ColumnElement[bool]:
    """Whether the reference contains the invoice's number, or its digits contain the number's digits."""

    def digits(text: Any) -> ColumnElement[str]:
        return func.regexp_replace(text, "[^0-9]", "", "g", type_=Text)

    def holds(whole: Any, piece: Any) -> ColumnElement[bool]:
        return case(
            (func.length(piece) >= SHORTEST_NUMBER, func.strpos(whole, piece) > 0), else_=False
        )

    return or_(
        holds(func.lower(Payment.reference), func.lower(Invoice.number)),
        holds(digits(Payment.reference), digits(Invoice.number)),
    )


def parts_by(session: Session, payment: Payment, choice: str) -> tuple[Part, ...]:
    """The parts of a payment after accepting the suggestion `choice`, by what is open now; none: nothing fits.

    What an invoice does not take stays on its meter. Raises MeterOfAnother, MeterGone,
    InvoiceOfAnother, InvoiceUnknown for what was never suggested.
    """
    kind, _colon, text = choice.partition(":")
    key = whole_number(text)
    if kind == "meter":
        _refuse_meter_of_another(session, payment, key)
        return (Part(payment.amount, meter_id=key),)
    if kind not in ("invoice", "oldest"):
        return ()
    chosen = [key] if kind == "invoice" else []
    invoices = payable_invoices(session, payment.customer_id, chosen)
    if kind == "invoice":
        _refuse_invoice_of_another(session, payment, key)
        invoices = [invoice for invoice in invoices if invoice.id == key]
    targets = [Target(i.id, i.meter_id or 0, i.open) for i in invoices]
    if not targets:
        return ()
    meters = [meter.id for meter in meters_by_newest_invoice(session, payment.customer_id)]
    allocated: Mapping[int, Decimal] = oldest_first(payment.amount, targets)
    if not any(given > ZERO for given in allocated.values()):
        return ()
    rest_on = targets[0].meter_id if kind == "invoice" else meter_for_rest(meters, targets)
    return parts_of(payment.amount, allocated, rest_on)


def _refuse_meter_of_another(session: Session, payment: Payment, meter_id: int) -> None:
    if not was_ever_theirs(session, payment.customer_id, meter_id):
        meter = session.get(Meter, meter_id)
        raise MeterOfAnother(number=meter.number) if meter else MeterGone()


def _refuse_invoice_of_another(session: Session, payment: Payment, invoice_id: int) -> None:
    if session.get(Invoice, invoice_id) is None:
        raise InvoiceUnknown()
    foreign = of_another_customer(session, payment.customer_id, [invoice_id])
    if foreign and invoice_id != payment.invoice_id:
        raise InvoiceOfAnother(number=foreign[0])
