"""The declaration of receipts: how they are entered, listed, read and rendered in histories."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from ...audit.models import AuditEvent
from ...base import N_
from ...records import Choice, Field, Notes, Record, Shown, Verb
from ..models import Payment
from ..rules import VOID
from ..voiding import reason_of
from . import actions
from .allocation import total_of
from .fields import AMOUNT, FIELDS, PARTS, problems_of_parts
from .history import parts_rendered
from .listing import PAYMENTS, STATUSES
from .refusals import PaymentStaysVoid


class Receipts(Record):
    """All payments of one reference are one record; lists and URLs identify it by its first part."""

    def version_of(self, row: Payment) -> int:
        """The receipt's version; it changes whenever a part changes or is added."""
        return actions.version_of(row.parts)

    def holder_of(
        self, session: Session, _field: Field, value: Any, _within: Mapping[str, Any]
    ) -> int | None:
        """The first part of the receipt with the reference; a void receipt does not keep it."""
        return actions.holder_of(session, value)

    def trail(self, session: Session, row: Payment, limit: int) -> Sequence[AuditEvent]:
        """The last audit events of all its parts."""
        of_parts = AuditEvent.row_id.in_([str(part.id) for part in row.parts])
        found = select(AuditEvent).where(AuditEvent.table_name == Payment.__tablename__, of_parts)
        return session.scalars(found.order_by(AuditEvent.id.desc()).limit(limit)).all()


def refuse_void(_session: Session, receipt: Payment) -> None:
    """Raises PaymentStaysVoid."""
    if receipt.status == VOID:
        raise PaymentStaysVoid(reference=receipt.reference)


def _parts(receipt: Payment) -> list[dict[str, Any]]:
    return [
        {
            "part": part.part,
            "customer": part.customer.code,
            "meter": part.meter and part.meter.number,
            "invoice": part.invoice and part.invoice.number,
            "amount": part.amount,
        }
        for part in receipt.parts
    ]


_TEXT = {"type": "string"}
_OR_NONE = {"type": ["string", "null"]}
_PART = {
    "part": {"type": "integer"}, "customer": _TEXT, "meter": _OR_NONE, "invoice": _OR_NONE, "amount": _TEXT,
}  # fmt: skip

VOIDING = Verb(
    "void",
    N_("Make void"),
    lambda session, row_id, version, values: actions.void(
        session, row_id, version, values["reason"]
    ),
    question=N_("Make payment %(reference)s void?"),
    done=N_("Payment %(reference)s is void."),
    fields=(reason_of(Payment),),
    explains=N_(
        "A void payment stays in the list, struck through, and counts nowhere; all its parts become void with it. "
        "This cannot be taken back: record the payment again where it is needed."
    ),
    is_final=True,
    refuses=refuse_void,
)  # fmt: skip

PAYMENT = Receipts(
    Payment,
    name=Payment.reference,
    domain="payments",
    title=N_("Payment"),
    many=PAYMENTS.title,
    new=N_("Record a payment"),
    called=N_("Payment %(reference)s"),
    saved=N_("Payment %(reference)s is recorded."),
    listing=lambda _user: PAYMENTS,
    reads="billing.read",
    writes="billing.write",
    has_path=True,
    append_only=True,
    fields=FIELDS,
    new_fields=(AMOUNT,),
    kept=(
        Choice(Payment.status, N_("Status"), words=STATUSES),
        Notes(Payment.void_reason, N_("Reason")),
    ),
    shown=(
        Shown("amount", N_("Amount"), lambda receipt: total_of(receipt.parts)),
        Shown(
            PARTS, N_("Where it went"), _parts,
            {"type": "array", "items": {"type": "object", "properties": _PART}},
            entry={
                "type": ["array", "null"],
                "items": {
                    "type": "object", "required": ["amount"], "additionalProperties": False,
                    "properties": {"amount": AMOUNT.schema(), "invoice": _OR_NONE, "meter": _OR_NONE},
                },
            },
            problems=problems_of_parts,
        ),
    ),
    form="backoffice.billing.payments.forms:PaymentForm",
    create=lambda session, entry: actions.record(session, entry)[0],
    is_current=refuse_void,
    verbs=(VOIDING,),
    rendering=parts_rendered,
    loads=(
        joinedload(Payment.customer),
        selectinload(Payment.parts).options(
            joinedload(Payment.customer), joinedload(Payment.meter), joinedload(Payment.invoice)
        ),
    ),
    labels={
        "part": N_("Part"), "amount": N_("Amount"), "invoice_id": N_("Invoice"), "meter_id": N_("Meter"),
        "replaces_id": N_("In place of"),
    },
)  # fmt: skip

RECORDS = (PAYMENT,)
