"""What happened to an invoice, in words: every save with who, when and what, and every correction."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...audit.histories import Change, Event
from ...audit.models import AuditEvent
from ...audit.queries import history as audit_history
from ...audit.tables import Recorded
from ...audit.telling import difference_of
from ...base import N_
from ...drift.histories import corrected, corrections_of, who_made
from ...web.formats import (
    money_filter,
    quantity_filter,
    recorded_day,
    unit_price_filter,
)
from ..figures import invoice_amount, invoice_paid
from ..meters.wording import MeterWording
from ..models import Invoice, Meter
from ..rules import POSTED, VOID

SHOWN = 200
"""Events of one invoice that its history shows; the audit screen has them all."""

LABELS = {
    "number": N_("Invoice number"),
    "customer_id": N_("Customer"),
    "meter_id": N_("Meter"),
    "issued_on": N_("Issued"),
    "due_on": N_("Due"),
    "units": N_("Units"),
    "rate": N_("Rate"),
    "fixed_charge": N_("Fixed charge"),
    "amount": N_("Amount"),
    "paid": N_("Paid"),
    "status": N_("Status"),
    "void_reason": N_("Reason"),
}
"""Column of an invoice → its name on screen."""

RECORDED = (
    Recorded(
        N_("Invoice"), Invoice, name=Invoice.number,
        endpoint="billing.invoice", argument="number", labels=LABELS,
    ),
)  # fmt: skip


class Wording(MeterWording):
    """As a meter's wording, with the columns of an invoice and the meters by their numbers."""

    def __init__(self, session: Session, *, meters: Iterable[Any] = (), **names: Any) -> None:
        super().__init__(session, **names)
        wanted = {int(key) for key in meters if key}
        found = session.execute(select(Meter.id, Meter.number).where(Meter.id.in_(wanted)))
        self._meters = {str(key): number for key, number in found} if wanted else {}

    def label(self, column: str) -> str:
        """The name of `column` on screen."""
        return str(_(LABELS[column])) if column in LABELS else super().label(column)

    def value(self, column: str, value: Any) -> str:
        """A recorded value of `column`; a dash where there is none."""
        if value is None or value == "":
            return "–"
        if column == "meter_id":
            return self._meters.get(str(value), f"#{value}")
        write = _WRITTEN.get(column)
        return write(value) if write else super().value(column, value)


_WRITTEN: dict[str, Callable[[Any], str]] = {
    "issued_on": recorded_day,
    "due_on": recorded_day,
    "units": lambda value: quantity_filter(Decimal(str(value))),
    "rate": lambda value: unit_price_filter(Decimal(str(value))),
    "fixed_charge": lambda value: money_filter(Decimal(str(value))),
}
"""Column → how its recorded values are written."""


def events_of(session: Session, invoice: Invoice) -> list[Event]:
    """The invoice's history, newest first."""
    recorded = recorded_events(session, invoice)
    figures = (invoice_amount, invoice_paid)
    corrections = corrections_of(session, figures, invoice.id, limit=SHOWN)
    wording = _wording_of(session, recorded, map(who_made, corrections))
    found = [_saved(event, wording) for event in recorded]
    found += [corrected(correction, wording) for correction in corrections]
    found.sort(key=lambda event: event.at, reverse=True)
    return [event for event in found if event.changes]


def recorded_events(session: Session, invoice: Invoice) -> Sequence[AuditEvent]:
    """The audit trail of the invoice, newest first."""
    return audit_history(session, Invoice.__tablename__, invoice.id, limit=SHOWN)


def _wording_of(session: Session, recorded: Iterable[AuditEvent], actors: Iterable[str]) -> Wording:
    documents = [d for event in recorded for d in (event.before, event.after) if d]
    return Wording(
        session,
        customers=[d.get("customer_id") for d in documents],
        meters=[d.get("meter_id") for d in documents],
        actors=[*(event.actor for event in recorded), *actors],
    )


def _saved(event: AuditEvent, wording: Wording) -> Event:
    before, after = event.before or {}, event.after or {}
    kind = "created" if event.action == "INSERT" else "changed"
    if kind == "changed" and after.get("status") == VOID:
        kind = "void"
    changes = tuple(_columns(event.action, before, after, wording))
    return Event(event.at, wording.actor(event.actor), kind, changes)


def _columns(
    action: str, before: dict[str, Any], after: dict[str, Any], wording: Wording
) -> Iterator[Change]:
    is_new = action == "INSERT"
    for column in LABELS:
        if column not in before and column not in after:
            continue
        old, new = before.get(column), after.get(column)
        if is_new and (new in (None, "", POSTED) or _is_zero(column, new)):
            continue
        yield Change(
            wording.label(column),
            "" if is_new else wording.value(column, old),
            wording.value(column, new),
            difference_of(Invoice.__tablename__, column, old, new),
        )


def _is_zero(column: str, value: Any) -> bool:
    return column in ("fixed_charge", "amount", "paid") and not Decimal(str(value))
