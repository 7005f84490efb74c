"""What happened to a receipt, in words: recorded, matched, moved, void; by whom and when."""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...audit.histories import Change, Event
from ...audit.models import AuditEvent
from ...audit.tables import Recorded
from ...audit.telling import difference_of
from ...base import N_
from ...web.formats import money_filter, recorded_day
from ..meters.wording import MeterWording
from ..models import Invoice, Meter, Payment
from ..rules import METHODS, POSTED, VOID

SHOWN = 200
"""Events of one receipt that its page shows; the audit screen has them all."""

LABELS = {
    "reference": N_("Reference"),
    "part": N_("Part"),
    "customer_id": N_("Customer"),
    "paid_on": N_("Paid on"),
    "method": N_("Method"),
    "amount": N_("Amount"),
    "invoice_id": N_("Invoice"),
    "meter_id": N_("Meter"),
    "status": N_("Status"),
    "void_reason": N_("Reason"),
    "replaces_id": N_("In place of"),
}
"""Column of a payment → its name on screen."""

_ALIKE = ("reference", "customer_id", "paid_on", "method", "status", "void_reason")
"""What every part of a receipt says alike, and is told once."""

RECORDED = (
    Recorded(
        N_("Payment"), Payment, name=Payment.reference,
        endpoint="billing.payment", argument="reference", labels=LABELS,
    ),
)  # fmt: skip


class Wording(MeterWording):
    """As a meter's wording, with the columns of a payment, the invoices and the meters by their numbers."""

    def __init__(
        self,
        session: Session,
        *,
        invoices: Sequence[Any] = (),
        meters: Sequence[Any] = (),
        **names: Any,
    ) -> None:
        super().__init__(session, **names)
        self._numbers: dict[str, dict[str, str]] = {}
        for column, model, keys in (("invoice_id", Invoice, invoices), ("meter_id", Meter, meters)):
            wanted = {int(key) for key in keys if key}
            found = session.execute(select(model.id, model.number).where(model.id.in_(wanted)))
            self._numbers[column] = {str(key): number for key, number in found}

    def label(self, column: str) -> str:
        """The name of `column` on screen."""
        return str(_(LABELS[column])) if column in LABELS else super().label(column)

    def value(self, column: str, value: Any) -> str:
        """A recorded value of `column`; a dash where there is none."""
        if column == "meter_id" and value is None:
            return str(_("No meter"))
        if column in self._numbers and value:
            return self._numbers[column].get(str(value), f"#{value}")
        write = _WRITTEN.get(column) if value else None
        return write(value) if write else super().value(column, value)


_WRITTEN: dict[str, Callable[[Any], str]] = {
    "method": lambda value: str(_(METHODS.get(value, value))),
    "paid_on": recorded_day,
    "amount": lambda value: money_filter(Decimal(str(value))),
}
"""Column → how its recorded values are written."""


def events_of(session: Session, parts: Sequence[Payment]) -> list[Event]:
    """The history of the receipt with these parts, newest first."""
    keys = [str(payment.id) for payment in parts]
    recorded = session.scalars(
        select(AuditEvent)
        .where(AuditEvent.table_name == Payment.__tablename__, AuditEvent.row_id.in_(keys))
        .order_by(AuditEvent.id.desc())
        .limit(SHOWN)
    ).all()
    wording = _wording_of(session, recorded)
    numbers = {str(payment.id): payment.part for payment in parts}
    events = [
        _saved(list(group), wording, numbers)
        for _transaction, group in groupby(recorded, key=lambda event: event.xid)
    ]
    return [event for event in events if event.changes]


def _wording_of(session: Session, recorded: Sequence[AuditEvent]) -> Wording:
    documents = [d for event in recorded for d in (event.before, event.after) if d]
    return Wording(
        session,
        customers=[d.get("customer_id") for d in documents],
        meters=[d.get("meter_id") for d in documents],
        invoices=[d.get("invoice_id") for d in documents],
        actors=[event.actor for event in recorded],
    )


def _saved(group: list[AuditEvent], wording: Wording, numbers: dict[str, int]) -> Event:
    """Everything that one transaction did to the receipt, as one event."""
    in_order = sorted(group, key=lambda event: numbers[event.row_id or ""])
    is_new = any(e.action == "INSERT" and numbers[e.row_id or ""] == 1 for e in in_order)
    is_void = any((event.after or {}).get("status") == VOID for event in in_order)
    kind = "created" if is_new else "void" if is_void else "changed"
    is_renamed = any("reference" in (event.before or {}) for event in in_order)
    changes = [*_alike(in_order[0], wording)] if is_new or is_void or is_renamed else []
    for event in in_order:
        changes += _part(event, wording, numbers[event.row_id or ""], len(numbers))
    return Event(group[0].at, wording.actor(group[0].actor), kind, tuple(changes))


def _alike(event: AuditEvent, wording: Wording) -> Iterator[Change]:
    before, after = event.before or {}, event.after or {}
    for column in _ALIKE:
        new = after.get(column)
        if column in after and new not in (None, "", POSTED):
            old = wording.value(column, before[column]) if before.get(column) else ""
            yield Change(wording.label(column), old, wording.value(column, new))


def _part(event: AuditEvent, wording: Wording, number: int, count: int) -> Iterator[Change]:
    """Where a part went, and how much of it."""
    before, after = event.before or {}, event.after or {}
    where = _("Part %(number)d", number=number) + " · " if count > 1 else ""
    for column in ("amount", "invoice_id", "meter_id"):
        if column not in before and column not in after:
            continue
        is_new = event.action == "INSERT"
        old, new = before.get(column), after.get(column)
        if is_new and new is None:
            continue
        yield Change(
            where + wording.label(column),
            "" if is_new else wording.value(column, old),
            wording.value(column, new),
            difference_of(Payment.__tablename__, column, old, new),
        )
