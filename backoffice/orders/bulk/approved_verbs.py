"""Changing many orders at once as a verb that needs a second user's approval above the limits."""

from datetime import date
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from ...approvals.verbs import Payload, Verb
from ...base import N_
from ...people.models import User

if TYPE_CHECKING:
    from .actions import Change, Chosen, Mark


def as_payload(chosen: "Chosen", change: "Change", seen: "Mark") -> dict[str, Any]:
    """The chosen orders, the change and the mark of the preview, as JSON."""
    return {
        "query": chosen.state.as_query,
        "ids": None if chosen.ids is None else list(chosen.ids),
        "manager": change.manager_id,
        "closing_date": change.closing_date.isoformat() if change.closing_date else None,
        "clears": change.clears,
        "mark": [seen.count, seen.digest, seen.since],
    }


def _act(session: Session, user: User, asked: Payload) -> object:
    from ...lists.state import state_of  # late: listing the verbs must not load the list
    from ..listing import ORDERS
    from .actions import Change, Chosen, Mark, apply

    ids = None if asked["ids"] is None else tuple(asked["ids"])
    chosen = Chosen(user, state_of(ORDERS, MultiDict(asked["query"])), ids)
    day = asked["closing_date"]
    change = Change(asked["manager"], date.fromisoformat(day) if day else None, asked["clears"])
    return apply(session, chosen, change, Mark(*asked["mark"]))


BULK_EDIT = Verb("orders.bulk-edit", N_("Change the orders"), "orders.write", _act)

VERBS = (BULK_EDIT,)
