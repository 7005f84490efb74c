"""A price change as a verb that needs a second user's approval above the limits."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from ..approvals.verbs import Payload, Verb
from ..base import N_
from ..base.late import Late
from ..people.models import User

if TYPE_CHECKING:
    from ..orders import queries as orders
    from . import actions, effects
else:
    orders = Late("backoffice.orders.queries")
    actions = Late("backoffice.pricing.actions")
    effects = Late("backoffice.pricing.effects")


def as_payload(new: "effects.NewPrice", chosen: Mapping[int, int]) -> dict[str, Any]:
    """The price, and the chosen orders with their versions as shown, as JSON."""
    return {
        "product": new.product_id,
        "from": new.effective_from.isoformat(),
        "price": str(new.unit_price),
        "orders": sorted([key, version] for key, version in chosen.items()),
    }


def _act(session: Session, user: User, asked: Payload) -> object:
    new = effects.NewPrice(
        asked["product"], date.fromisoformat(asked["from"]), Decimal(asked["price"])
    )
    chosen = dict(map(tuple, asked["orders"]))
    return actions.apply(session, orders.visible_to(user), new, chosen)


PRICE_CHANGE = Verb("pricing.apply", N_("Change the price"), "products.write", _act)

VERBS = (PRICE_CHANGE,)
