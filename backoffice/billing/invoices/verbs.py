"""The verbs of an invoice beside editing: voiding it, and moving it to another meter."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy.orm import Session

from ...approvals.verbs import Payload
from ...approvals.verbs import Verb as Approved
from ...base import N_
from ...records import Flag, Pick, Values, Verb
from ..approved_verbs import MOVE_INVOICE
from ..meters.naming import METERS
from ..models import Invoice, Payment
from ..voiding import reason_of
from . import actions

REASON = reason_of(Invoice)
METER = Pick(Invoice.meter_id, N_("Meter"), of=METERS, required=N_("Choose a meter."))
ALONG = Flag(
    Payment.meter_id, N_("Take the payments that name it along"), called="with_payments", usual=True,
    help=N_("Left behind, they stay on their meter and name no invoice any more."),
)  # fmt: skip


def _void(session: Session, invoice_id: int, version: int, values: Values) -> Sequence[Payment]:
    return actions.void(session, invoice_id, version, values[REASON.name])


def _voided(invoice: Invoice, freed: Sequence[Payment]) -> str:
    if not freed:
        return _("Invoice %(number)s is void.", number=invoice.number)
    return str(
        ngettext(
            "Invoice %(number)s is void. %(num)s payment that named it stays on the meter.",
            "Invoice %(number)s is void. %(num)s payments that named it stay on the meter.",
            len(freed),
            number=invoice.number,
        )
    )


def _move(invoice: Invoice, version: int, values: Values) -> tuple[Approved, Payload]:
    meter, along = values[METER.name], values[ALONG.name]
    return MOVE_INVOICE, {
        "invoice": invoice.id, "version": version, "meter": meter, "along": along,
    }  # fmt: skip


def _moved(invoice: Invoice, payments: Sequence[Payment]) -> str:
    named = {"number": invoice.number, "meter": invoice.meter.number if invoice.meter else ""}
    along = [payment for payment in payments if payment.invoice_id == invoice.id]
    if not along:
        return _("Invoice %(number)s is on meter %(meter)s now.", **named)
    return str(
        ngettext(
            "Invoice %(number)s and %(num)s payment are on meter %(meter)s now.",
            "Invoice %(number)s and %(num)s payments are on meter %(meter)s now.",
            len(along),
            **named,
        )
    )


def _payments(session: Session, invoice: Invoice) -> Mapping[str, Any]:
    return {"payments": actions.payments_naming(session, invoice.id)}


VERBS = (
    Verb(
        "void",
        N_("Make void"),
        _void,
        question=N_("Make invoice %(number)s void?"),
        fields=(REASON,),
        explains=N_(
            "A void invoice stays in the list, struck through, and counts nowhere. "
            "This cannot be taken back: enter a new invoice where it is needed again."
        ),
        done=_voided,
        is_final=True,
        refuses=actions.check_not_void,
        effect=_payments,
        template="billing/invoice_void.html",
    ),
    Verb(
        "move",
        N_("Move to another meter"),
        approved=_move,
        question=N_("Move invoice %(number)s to another meter"),
        fields=(METER, ALONG),
        explains=N_(
            "Both meters and both customers are right at once. The invoice becomes that of the customer "
            "whose meter it was on the day of issue, or else is now."
        ),
        done=_moved,
        refuses=actions.check_not_void,
    ),
)
