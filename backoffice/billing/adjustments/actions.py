"""The actions on adjustments of a meter's balance. Nothing here commits.

An adjustment is never changed after posting; a wrong one is voided, and another is posted.
"""

from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...base import N_
from ...base.refusals import Refusal, Stale
from ...database.numbering import next_number
from ...records import Values
from ...records.actions import RecordGone, bump_version, check_version
from ...records.actions import locked as lock
from ..meters.actions import locked, settle
from ..models import Meter, MeterAdjustment
from ..queries import holder_on
from ..rules import VOID, refuse_to_come


class MeterUnassigned(Refusal):
    """No customer is named, and the meter was assigned to none on that day."""

    sentence = N_(
        "Meter %(number)s had no customer on %(day)s. Choose another day, or the customer it is booked for."
    )
    field = "customer"


class AdjustmentVoided(Stale):
    """Another user voided the adjustment first."""

    sentence = N_("Adjustment %(number)s has been voided in the meantime.")


def number_for(session: Session, entered: Values) -> str:
    """The next adjustment number of the year of its day."""
    return next_number(session, MeterAdjustment.number, f"ADJ-{entered['adjusted_on'].year}-")


def post(session: Session, entered: Values) -> MeterAdjustment:
    """Book an adjustment of a meter; a positive amount is owed in addition, a negative one less.

    Raises:
        StillToCome: it is dated ahead, and would count today.
        RecordGone: the meter was removed.
        MeterUnassigned: it had no customer on that day, and none is named.
        TooMuchOwed: what is then owed cannot be stored.
    """
    day = entered["adjusted_on"]
    refuse_to_come(day)
    meter = locked(session, entered["meter"])
    adjustment = MeterAdjustment(
        number=entered["number"],
        meter_id=meter.id,
        customer_id=entered["customer"] or _booked_for(session, meter, day),
        adjusted_on=day,
        amount=entered["amount"],
        reason=entered["reason"],
    )
    session.add(adjustment)
    settle(session)
    return adjustment


def void(session: Session, adjustment_id: int, version: int, reported: Values) -> MeterAdjustment:
    """Void an adjustment: it counts nowhere from now on, and stays visible with the reason.

    Raises RecordGone, AdjustmentVoided, RecordChanged: another user was faster.
    """
    of_meter = select(MeterAdjustment.meter_id).where(MeterAdjustment.id == adjustment_id)
    meter_id = session.scalar(of_meter)
    if meter_id is None:
        raise RecordGone()
    locked(session, meter_id)  # before the adjustment, as every posting on the meter does
    adjustment: MeterAdjustment = lock(session, MeterAdjustment, [adjustment_id], key_share=True)[
        adjustment_id
    ]
    refuse_void(session, adjustment)
    check_version(adjustment, version, adjustment.number)
    adjustment.status, adjustment.void_reason = VOID, reported["reason"]
    bump_version(session, adjustment)
    settle(session)
    return adjustment


def refuse_void(_session: Session, adjustment: MeterAdjustment) -> None:
    """Refuse to change an adjustment that is void. Raises AdjustmentVoided."""
    if adjustment.status == VOID:
        raise AdjustmentVoided(number=adjustment.number)


def _booked_for(session: Session, meter: Meter, day: date) -> int:
    holder = holder_on(session, meter.id, day)
    if holder is None:
        raise MeterUnassigned(number=meter.number, day=day)
    return holder
