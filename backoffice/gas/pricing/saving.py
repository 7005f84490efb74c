"""Storing a price as its form has it: once it was looked at, or when another user has approved it. Never commits."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from ...records import actions
from ..models import GasPrice
from ..records import PRICE


def save(session: Session, typed: Mapping[str, Any], row_id: int | None, version: int) -> GasPrice:
    """Store what was typed (as JSON) as a new price, or over the stored one at that version.

    Raises Taken, RecordGone, RecordChanged, Locked.
    """
    values = {
        **typed,
        "effective_from": date.fromisoformat(typed["effective_from"]),
        "price_per_sm3": Decimal(typed["price_per_sm3"]),
        "correction_factor": Decimal(typed["correction_factor"]),
    }
    row: GasPrice = (
        actions.create(session, PRICE, values)
        if row_id is None
        else actions.update(session, PRICE, row_id, values, version)
    )
    return row
