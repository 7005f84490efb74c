"""Saves or deletes a price from the payload of an approvable verb. Never commits."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from ...approvals.verbs import Payload
from ...people.models import User
from ...records import actions
from ..records import PRICE


def as_payload(values: Mapping[str, Any], row_id: int | None, version: int | None) -> Payload:
    """The entered values as facts, with the id and version of the stored price that they change, as JSON."""
    typed = {name: PRICE.entered[name].fact(value) for name, value in values.items()}
    return {"typed": typed, "row": row_id, "version": version}


def save(session: Session, _user: User, asked: Payload) -> object:
    """Store the entered facts as a new price, or over the stored one at that version.

    Raises Taken, RecordGone, RecordChanged, Locked.
    """
    values = {name: PRICE.entered[name].data(fact) for name, fact in asked["typed"].items()}
    if asked["row"] is None:
        return actions.create(session, PRICE, values)
    return actions.update(session, PRICE, asked["row"], values, asked["version"])


def delete(session: Session, _user: User, asked: Payload) -> object:
    """Delete the stored price at that version. Raises RecordGone, RecordChanged, Locked."""
    return actions.run_verb(session, PRICE, PRICE.verbs[0], asked["row"], asked["version"], {})
