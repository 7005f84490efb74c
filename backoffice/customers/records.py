"""The declaration of customers."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..audit.histories import Change
from ..audit.models import AuditEvent
from ..audit.tables import Recorded
from ..base import N_
from ..records import Deletion, Record, Rendered, Rendering
from . import actions
from .fields import FIELDS
from .listing import customers_for
from .models import Customer, CustomerMerge


def _merges_rendered(
    session: Session, customer: Customer, events: Sequence[AuditEvent]
) -> Rendering:
    """Rendering of a merge, and of its undoing, in the history: the other customer."""
    sides = [side or {} for event in events for side in (event.before, event.after)]
    ids = {side[name] for side in sides for name in ("survivor_id", "duplicate_id") if name in side}
    found = session.execute(
        select(Customer.id, Customer.code, Customer.name).where(Customer.id.in_(ids))
    )
    names = {key: f"{code} · {name}" for key, code, name in found}

    def tell(save: Sequence[AuditEvent]) -> Rendered:
        kind, changes = "", []
        for event in save:
            after = event.after or {}
            if event.table_name != CustomerMerge.__tablename__:
                continue
            if event.action == "INSERT":
                is_survivor = after.get("survivor_id") == customer.id
                other = after["duplicate_id" if is_survivor else "survivor_id"]
                label = _("Merged into this customer") if is_survivor else _("Merged into")
                kind = "merged"
                changes.append(Change(label, "", names.get(other, f"#{other}")))
            elif "undone_at" in after:
                kind = "undone"
                back = _("What it had moved is back where it was.")
                changes.append(Change(_("Merge undone"), "", back))
        return kind, changes

    return Rendering(tell)


def _held(session: Session, customer: Customer) -> Mapping[str, Any]:
    held = actions.held_by(session, customer)
    return {"held": ", ".join(ngettext(*owned.counted, n) for owned, n in held.items())}


CUSTOMER = Record(
    Customer,
    name=Customer.code,
    domain="customers",
    title=N_("Customer"),
    many=N_("Customers"),
    new=N_("New customer"),
    saved=N_("Customer %(code)s is saved."),
    listing=customers_for,
    reads="customers.read",
    writes="customers.write",
    has_path=True,
    fields=FIELDS,
    is_current=actions.check_not_merged,
    verbs=(
        Deletion(
            done=N_("Customer %(code)s is deleted."),
            refuses=actions.check_may_go,
            template="customers/delete.html",
            effect=_held,
        ),
    ),
    parts=(CustomerMerge.survivor_id, CustomerMerge.duplicate_id),
    rendering=_merges_rendered,
    labels={"merged_into_id": N_("Merged into")},
)  # fmt: skip

RECORDS = (CUSTOMER,)
RECORDED = (
    Recorded(
        N_("Merge of customers"), CustomerMerge, part_of=CustomerMerge.survivor_id,
        labels={
            "survivor_id": N_("Stays"), "duplicate_id": N_("Merged"), "merged_by_id": N_("Who"),
            "merged_at": N_("When"), "before": N_("Before"),
            "after": N_("After"), "undone_by_id": N_("Undone by"), "undone_at": N_("Undone"),
        },
    ),
)  # fmt: skip
