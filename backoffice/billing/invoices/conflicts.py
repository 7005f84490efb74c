"""Two editors, one invoice: what the other one saved, beside what is in my form."""

from sqlalchemy.orm import Session

from ...web.conflicts import Conflict, conflict_over
from ..models import Invoice
from .entries import Facts, InvoiceEntry, merge
from .history import Wording, recorded_events


def conflict_of(
    session: Session, invoice: Invoice, mine: InvoiceEntry, base: Facts | None
) -> tuple[InvoiceEntry, Conflict]:
    """My entry merged over the invoice as it is stored now, and where the two differ."""
    merged, found = merge(base, mine, InvoiceEntry.of(invoice))
    recorded = recorded_events(session, invoice)
    newest = recorded[0] if recorded else None
    named = {d.name: (d.theirs, d.mine) for d in found}
    words = Wording(
        session,
        customers=named.get("customer_id", ()),
        meters=named.get("meter_id", ()),
        actors=[event.actor for event in recorded],
    )
    who, at = (words.actor(newest.actor), newest.at) if newest else ("", None)
    return merged, conflict_over(found, words.label, words.value, who, at)
