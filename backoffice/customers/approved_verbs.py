"""Merging customers as a verb that needs a second user's approval above the limits."""

from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from ..approvals.verbs import Payload, Verb
from ..base import N_
from ..base.late import Late
from ..people.models import User

if TYPE_CHECKING:
    from . import merging
else:
    merging = Late("backoffice.customers.merging")


def _merge(session: Session, user: User, asked: Payload) -> object:
    return merging.merge(
        session, asked["survivor"], asked["duplicate"],
        taken=asked["taken"], digest=asked["digest"], by=user.id,
    )  # fmt: skip


MERGE = Verb("customers.merge", N_("Merge the customers"), "customers.write", _merge)

VERBS = (MERGE,)
