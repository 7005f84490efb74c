"""Two editors, one invoice: what the other one saved, beside what is in my form."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from .invoice_entries import Facts, InvoiceEntry, merge
from .invoice_history import Wording, recorded_events
from .models import Invoice


@dataclass(frozen=True)
class Disagreement:
    """One field in which their saved invoice and my form differ; `taken`: the form now holds theirs."""

    label: str
    theirs: str
    mine: str
    taken: bool


@dataclass(frozen=True)
class Conflict:
    """What the form shows above the fields after somebody else was faster."""

    who: str
    at: datetime | None
    disagreements: tuple[Disagreement, ...]


def conflict_of(
    session: Session, invoice: Invoice, mine: InvoiceEntry, base: Facts
) -> tuple[InvoiceEntry, Conflict]:
    """My entry merged over the invoice as it is stored now, and where the two differ."""
    merged, differences = merge(base, mine, InvoiceEntry.of(invoice))
    recorded = recorded_events(session, invoice)
    newest = recorded[0] if recorded else None
    named = {d.name: (d.theirs, d.mine) for d in differences}
    words = Wording(
        session,
        customers=named.get("customer_id", ()),
        meters=named.get("meter_id", ()),
        people=[event.actor for event in recorded],
    )
    told = tuple(
        Disagreement(
            words.label(d.name), words.value(d.name, d.theirs), words.value(d.name, d.mine), d.taken
        )
        for d in differences
    )
    who = words.actor(newest.actor) if newest else ""
    return merged, Conflict(who, newest.at if newest else None, told)
