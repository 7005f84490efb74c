"""Billing's verbs that need a second person's approval above the limits: those that move computed balances.

A payload holds ids, versions and amounts as text; the actions re-check all of them under their locks.
"""

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from ..approvals.verbs import Payload, Verb
from ..base import N_
from ..base.late import Late
from ..people.models import User

if TYPE_CHECKING:
    from .invoices import actions as invoice_actions
    from .meters import actions as meter_actions
    from .payments import actions as payment_actions
    from .payments import allocation
else:
    invoice_actions = Late("backoffice.billing.invoices.actions")
    meter_actions = Late("backoffice.billing.meters.actions")
    payment_actions = Late("backoffice.billing.payments.actions")
    allocation = Late("backoffice.billing.payments.allocation")

PERMISSION = "billing.write"


def parts_as_payload(parts: "Sequence[allocation.Part]") -> list[list[Any]]:
    """The parts of a payment and where they are booked, as JSON."""
    return [[str(part.amount), part.invoice_id, part.meter_id] for part in parts]


def days_as_payload(days: "meter_actions.Days") -> list[str | None]:
    """The days of an assignment, as JSON."""
    return [day.isoformat() if day else None for day in (days.first, days.last)]


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _match_sure(session: Session, _user: User, asked: Payload) -> list[int]:
    return payment_actions.match_sure(session, asked["payments"])


def _take_off(session: Session, _user: User, asked: Payload) -> object:
    return payment_actions.take_off(session, asked["payment"], asked["version"])


def _place(session: Session, _user: User, asked: Payload) -> object:
    parts = [
        allocation.Part(Decimal(amount), invoice, meter)
        for amount, invoice, meter in asked["parts"]
    ]
    return payment_actions.place(session, asked["payment"], asked["version"], parts)


def _move_invoice(session: Session, _user: User, asked: Payload) -> object:
    return invoice_actions.move(
        session, asked["invoice"], asked["version"], asked["meter"], with_payments=asked["along"]
    )


def _assign(session: Session, _user: User, asked: Payload) -> object:
    first, last = map(_day, asked["days"])
    return meter_actions.assign(
        session, asked["meter"], asked["customer"], meter_actions.Days(first, last),
        is_active=asked["is_active"], version=asked["version"],
    )  # fmt: skip


def _reassign(session: Session, _user: User, asked: Payload) -> object:
    since = date.fromisoformat(asked["since"])
    return meter_actions.reassign(
        session, asked["assignment"], asked["version"], asked["customer"], since
    )


def _end(session: Session, _user: User, asked: Payload) -> object:
    last = date.fromisoformat(asked["last"])
    return meter_actions.end(session, asked["assignment"], asked["version"], last)


def _of_assignment(act: Callable[[Session, int, int], object]) -> Callable[..., object]:
    return lambda session, _user, asked: act(session, asked["assignment"], asked["version"])


MATCH_SURE = Verb(
    "billing.match-sure", N_("Match the payments that are sure"), PERMISSION, _match_sure,
    is_always_shown=True,
)  # fmt: skip
MATCH_ONE = Verb("billing.match-one", N_("Match the payment"), PERMISSION, _match_sure)
TAKE_OFF = Verb(
    "billing.take-off", N_("Take the payment off its meter"), PERMISSION, _take_off, is_always_shown=True
)  # fmt: skip
PLACE = Verb("billing.place-payment", N_("Move the payment"), PERMISSION, _place)
MOVE_INVOICE = Verb("billing.move-invoice", N_("Move the invoice"), PERMISSION, _move_invoice)
ASSIGN = Verb("billing.assign", N_("Assign the meter"), PERMISSION, _assign)
REASSIGN = Verb(
    "billing.reassign", N_("Reassign the meter"), PERMISSION, _reassign, is_always_shown=True
)
END = Verb("billing.end-assignment", N_("End the assignment"), PERMISSION, _end)
OF_ASSIGNMENT = {
    "activate": Verb(
        "billing.activate-assignment", N_("Activate the assignment"), PERMISSION,
        _of_assignment(meter_actions.activate),
    ),
    "deactivate": Verb(
        "billing.deactivate-assignment", N_("Deactivate the assignment"), PERMISSION,
        _of_assignment(meter_actions.deactivate),
    ),
    "remove": Verb(
        "billing.remove-assignment", N_("Remove the assignment"), PERMISSION,
        _of_assignment(meter_actions.remove),
    ),
}  # fmt: skip
"""The verbs of an assignment's buttons, by the word in their URL."""

VERBS = (
    MATCH_SURE, MATCH_ONE, TAKE_OFF, PLACE, MOVE_INVOICE, ASSIGN, REASSIGN, END, *OF_ASSIGNMENT.values(),
)  # fmt: skip
