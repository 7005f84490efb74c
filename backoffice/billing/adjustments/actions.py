"""Correcting what is owed for a meter, with a reason. Nothing here commits.

An adjustment is posted once and never changed; what was wrong is voided, and posted anew.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ...base import N_
from ...base.refusals import Refusal, Stale, refused_by
from ..meters.actions import locked, settle
from ..models import Meter, MeterAdjustment
from ..numbering import next_number
from ..queries import holder_on
from ..rules import VOID, refuse_to_come


class AdjustmentOfNothing(Refusal):
    """An adjustment changes what is owed."""

    sentence = N_(
        "An adjustment of 0 changes nothing. Enter what is to be owed in addition or less."
    )


class ReasonMissing(Refusal):
    """Whoever reads the book later wants to know why."""

    sentence = N_("Say why, in a few words.")


class NobodysMeter(Refusal):
    """An adjustment is booked for whose the meter was on its day."""

    sentence = N_(
        "Meter %(number)s was nobody's on %(day)s. Choose another day, or say whom it is booked for."
    )


class AdjustmentNumberTaken(Refusal):
    """Two adjustments cannot have one number."""

    sentence = N_("There is already an adjustment %(number)s. Choose another number.")


class AdjustmentGone(Refusal):
    """The adjustment is not there any more."""

    sentence = N_("This adjustment is not there any more.")
    status = 404


class AdjustmentVoided(Stale):
    """Somebody voided it first."""

    sentence = N_("Adjustment %(number)s has been voided in the meantime.")


class AdjustmentChanged(Stale):
    """Somebody changed it after it was opened."""

    sentence = N_(
        "Somebody else has changed adjustment %(number)s since you opened it. "
        "Look at how it is now, then repeat your change."
    )


@dataclass(frozen=True)
class AdjustmentEntry:
    """What somebody enters. `number` empty: the next one; `customer_id` None: whose the meter was."""

    meter_id: int
    adjusted_on: date
    amount: Decimal
    reason: str
    number: str = ""
    customer_id: int | None = None


def post(session: Session, entry: AdjustmentEntry) -> MeterAdjustment:
    """Book an adjustment of a meter; a positive amount is owed in addition, a negative one less.

    Raises:
        AdjustmentOfNothing, ReasonMissing, NobodysMeter: something is missing.
        StillToCome: it is dated ahead, and would count today.
        RecordGone: the meter was removed.
        AdjustmentNumberTaken: another adjustment has the number.
        TooMuchOwed: what is then owed cannot be stored.
    """
    if not entry.amount:
        raise AdjustmentOfNothing()
    if not entry.reason.strip():
        raise ReasonMissing()
    refuse_to_come(entry.adjusted_on)
    head = f"ADJ-{entry.adjusted_on.year}-"
    number = entry.number or next_number(session, MeterAdjustment.number, head)
    meter = locked(session, entry.meter_id)
    adjustment = MeterAdjustment(
        number=number,
        meter_id=meter.id,
        customer_id=entry.customer_id or _booked_for(session, meter, entry.adjusted_on),
        adjusted_on=entry.adjusted_on,
        amount=entry.amount,
        reason=entry.reason.strip(),
    )
    session.add(adjustment)
    _flush(session, number)
    return adjustment


def void(session: Session, adjustment_id: int, version: int, reason: str) -> MeterAdjustment:
    """Let an adjustment count nowhere from now on; it stays visible with the reason.

    Raises:
        ReasonMissing: nobody said why.
        AdjustmentGone, AdjustmentVoided, AdjustmentChanged: somebody else was faster.
    """
    if not reason.strip():
        raise ReasonMissing()
    adjustment = _locked(session, adjustment_id)
    if adjustment.status == VOID:
        raise AdjustmentVoided(number=adjustment.number)
    if adjustment.version != version:
        raise AdjustmentChanged(number=adjustment.number)
    adjustment.status, adjustment.void_reason = VOID, reason.strip()
    adjustment.version += 1
    adjustment.updated_at = func.now()
    settle(session)
    return adjustment


def _booked_for(session: Session, meter: Meter, day: date) -> int:
    holder = holder_on(session, meter.id, day)
    if holder is None:
        raise NobodysMeter(number=meter.number, day=day)
    return holder


def _locked(session: Session, adjustment_id: int) -> MeterAdjustment:
    """The adjustment as it is now, locked after its meter, as whoever books on the meter does."""
    of_meter = select(MeterAdjustment.meter_id).where(MeterAdjustment.id == adjustment_id)
    meter_id = session.scalar(of_meter)
    if meter_id is None:
        raise AdjustmentGone()
    locked(session, meter_id)
    how: dict[str, Any] = {"with_for_update": {"key_share": True}, "populate_existing": True}
    adjustment = session.get(MeterAdjustment, adjustment_id, **how)
    if adjustment is None:
        raise AdjustmentGone()
    return adjustment


def _flush(session: Session, number: str) -> None:
    with refused_by("uq_meter_adjustments_number", AdjustmentNumberTaken(number=number)):
        settle(session)
