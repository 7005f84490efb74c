"""The documents of a meter as its screens show them: the newest of each kind, with links."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from flask import url_for
from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...app.navigation import may_open
from ...web.formats import day_filter
from ..models import Invoice, Meter, MeterAdjustment, Payment
from ..rules import METHODS, VOID
from ..voiding import STATUS_TONES, STATUSES
from ..wording import word_of

NEWEST = 8
"""Documents of each kind that a meter's screen shows."""

RECORDS = {
    Invoice.__tablename__: ("invoices.record", "number"),
    Payment.__tablename__: ("payments.record", "reference"),
    MeterAdjustment.__tablename__: ("adjustments.record", "number"),
}
"""Table of a document → the endpoint of its page, and the URL argument."""

LISTS = {
    "invoiced": "invoices.index",
    "adjusted": "adjustments.index",
    "paid": "payments.index",
}
"""Sum of a meter → the endpoint of the list of the documents that it adds up."""


@dataclass(frozen=True)
class Document:
    """A document on a meter's screen. `label` and `tone` are its status."""

    number: str
    href: str | None
    day: date
    label: str
    tone: str
    amount: Decimal
    is_void: bool
    note: str = ""


@dataclass(frozen=True)
class NewestDocuments:
    """The newest documents of a meter, void ones too."""

    invoices: Sequence[Document]
    payments: Sequence[Document]
    adjustments: Sequence[Document]


def newest_documents(session: Session, meter: Meter) -> NewestDocuments:
    """The newest documents of each kind, the latest day first."""

    def newest(model: Any, day: Any) -> Sequence[Any]:
        of_meter = select(model).where(model.meter_id == meter.id)
        return session.scalars(of_meter.order_by(day.desc(), model.id.desc()).limit(NEWEST)).all()

    return NewestDocuments(
        [_invoice(each) for each in newest(Invoice, Invoice.issued_on)],
        [_payment(each) for each in newest(Payment, Payment.paid_on)],
        [_adjustment(each) for each in newest(MeterAdjustment, MeterAdjustment.adjusted_on)],
    )


def record_url(table: str, number: str) -> str | None:
    """The URL of a document's page; None if this user may not open it."""
    endpoint, argument = RECORDS[table]
    values: dict[str, Any] = {argument: number}
    return url_for(endpoint, **values) if may_open(endpoint) else None


def list_url(meter: Meter, column: str) -> str | None:
    """The URL of the list of the documents that a sum of the meter adds up; None if there is none."""
    endpoint = LISTS.get(column, "")
    return url_for(endpoint, meter=meter.number) if may_open(endpoint) else None


def _invoice(invoice: Invoice) -> Document:
    word = word_of(invoice)
    return Document(
        number=invoice.number,
        href=record_url(Invoice.__tablename__, invoice.number),
        day=invoice.issued_on,
        label=word.label,
        tone=word.tone,
        amount=invoice.amount,
        is_void=invoice.status == VOID,
        note=_("due %(day)s", day=day_filter(invoice.due_on)),
    )


def _payment(payment: Payment) -> Document:
    return Document(
        number=payment.reference,
        href=record_url(Payment.__tablename__, payment.reference),
        day=payment.paid_on,
        label=STATUSES[payment.status],
        tone=STATUS_TONES[payment.status],
        amount=payment.amount,
        is_void=payment.status == VOID,
        note=_(METHODS[payment.method]),
    )


def _adjustment(adjustment: MeterAdjustment) -> Document:
    return Document(
        number=adjustment.number,
        href=record_url(MeterAdjustment.__tablename__, adjustment.number),
        day=adjustment.adjusted_on,
        label=STATUSES[adjustment.status],
        tone=STATUS_TONES[adjustment.status],
        amount=adjustment.amount,
        is_void=adjustment.status == VOID,
        note=adjustment.reason,
    )
