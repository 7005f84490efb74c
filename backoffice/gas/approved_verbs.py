"""Verbs that may need a second person's approval: saving and deleting a price, and the storage switch."""

from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from ..approvals.verbs import Payload, Verb
from ..base import N_
from ..base.late import Late
from ..people.models import User

if TYPE_CHECKING:
    from . import actions
    from .pricing import saving
else:
    actions = Late("backoffice.gas.actions")
    saving = Late("backoffice.gas.pricing.saving")


def _switch(session: Session, _user: User, asked: Payload) -> object:
    return actions.switch(session, asked["customer"], is_stored=asked["is_stored"])


SAVE_PRICE = Verb("gas_prices.save", N_("Store the price"), "gas.write", saving.save)
DELETE_PRICE = Verb("gas_prices.delete", N_("Delete the price"), "gas.write", saving.delete)
SWITCH = Verb("gas.switch", N_("Change how the months are kept"), "gas.write", _switch)

VERBS = (SAVE_PRICE, DELETE_PRICE, SWITCH)
