"""Merging customers and taking a merge back, as two people look at it above the limits."""

from sqlalchemy.orm import Session

from ..approvals.verbs import Payload, Verb
from ..base import N_
from ..people.models import User
from . import merging


def _merge(session: Session, user: User, asked: Payload) -> object:
    return merging.merge(
        session, asked["survivor"], asked["duplicate"],
        taken=asked["taken"], digest=asked["digest"], by=user.id,
    )  # fmt: skip


def _undo(session: Session, user: User, asked: Payload) -> merging.Undoing:
    return merging.undo(session, asked["merge"], by=user.id)


MERGE = Verb("customers.merge", N_("Merge the customers"), "customers.write", _merge)
UNDO = Verb("customers.undo-merge", N_("Undo the merge"), "customers.write", _undo)

VERBS = (MERGE, UNDO)
