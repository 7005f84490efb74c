"""What happened to a customer, in words: who changed what and when, and every merge."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..audit.histories import Change, Event
from ..audit.models import AuditEvent
from ..audit.queries import history as audit_history
from ..audit.tables import Recorded, register
from ..base import N_
from ..drift.histories import corrected, corrections_of, who_made
from ..figures import registry
from ..people.actors import Actors
from .listing import LABELS
from .models import Customer, CustomerMerge
from .rules import FACTS

SHOWN = 200

register(
    Recorded(
        N_("Customer"), Customer, name=Customer.code,
        endpoint="customers.record", argument="code",
        labels={**LABELS, "merged_into_id": N_("Merged into")},
    )
)  # fmt: skip
register(
    Recorded(
        N_("Merge of customers"), CustomerMerge, part_of=CustomerMerge.survivor_id,
        labels={
            "survivor_id": N_("Stays"), "duplicate_id": N_("Merged"), "merged_by_id": N_("Who"),
            "merged_at": N_("When"), "moved": N_("What it moved"), "before": N_("Before"),
            "after": N_("After"), "undone_by_id": N_("Undone by"), "undone_at": N_("Undone"),
        },
    )
)  # fmt: skip


class Names(Actors):
    """Names for the ids that the trail holds: who acted, and which customers were merged."""

    def __init__(
        self, session: Session, recorded: list[AuditEvent], actors: Iterable[str] = ()
    ) -> None:
        super().__init__(session, [*(event.actor for event in recorded), *actors])
        merged = {
            key
            for event in recorded
            for document in (event.before, event.after)
            for name in ("merged_into_id", "survivor_id", "duplicate_id")
            if document and (key := document.get(name))
        }
        found = session.execute(
            select(Customer.id, Customer.code, Customer.name).where(Customer.id.in_(merged))
        )
        self._customers = {key: f"{code} · {name}" for key, code, name in found}

    def customer(self, key: Any) -> str:
        """Code and name of a customer."""
        return self._customers.get(key, f"#{key}") if key else ""


def recorded_events(session: Session, customer: Customer) -> list[AuditEvent]:
    """The audit trail of a customer and of the merges into it, newest first."""
    return list(
        audit_history(
            session,
            Customer.__tablename__,
            customer.id,
            parts=[CustomerMerge.survivor_id, CustomerMerge.duplicate_id],
            limit=SHOWN,
        )
    )


def events_of(session: Session, customer: Customer, *, has_figures: bool = True) -> list[Event]:
    """The customer's history, newest first; `has_figures`: with the corrections of what is stored of them."""
    recorded = recorded_events(session, customer)
    own = [f for f in registry.figures if f.owner_table is Customer.__table__ and has_figures]
    corrections = corrections_of(session, own, customer.id, limit=SHOWN)
    names = Names(session, recorded, map(who_made, corrections))
    events = [
        _event(list(group), customer, names)
        for _transaction, group in groupby(recorded, key=lambda event: event.xid)
    ]
    told = [event for event in events if event.changes]
    told += [corrected(correction, names) for correction in corrections]
    return sorted(told, key=lambda event: event.at, reverse=True)


def _event(group: list[AuditEvent], customer: Customer, names: Names) -> Event:
    merges = [event for event in group if event.table_name == CustomerMerge.__tablename__]
    own = [event for event in group if event not in merges]
    changes = [change for event in own for change in _columns(event)]
    changes += [change for event in merges for change in _merged(event, customer, names)]
    kind = "created" if any(event.action == "INSERT" for event in own) else "changed"
    if merges:
        kind = "merged" if merges[0].action == "INSERT" else "undone"
    return Event(group[0].at, names.actor(group[0].actor), kind, tuple(changes))


def _columns(event: AuditEvent) -> Iterator[Change]:
    before, after = event.before or {}, event.after or {}
    for name in FACTS:
        if name in before or name in after:
            old, new = str(before.get(name) or ""), str(after.get(name) or "")
            if old or new:
                yield Change(_(LABELS[name]), old, new)


def _merged(event: AuditEvent, customer: Customer, names: Names) -> Iterator[Change]:
    """One merge or its undoing: what is told is the other customer."""
    if event.action == "INSERT":
        told = event.after or {}
        is_survivor = told.get("survivor_id") == customer.id
        other = names.customer(told.get("duplicate_id" if is_survivor else "survivor_id"))
        label = _("Merged into this customer") if is_survivor else _("Merged into")
        yield Change(label, "", other)
    elif "undone_at" in (event.after or {}):
        yield Change(_("Merge undone"), "", _("What it had moved is back where it was."))
