"""Reads of one meter: an assignment, and its figures."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...figures import Figure
from ..figures import meter_balance, meter_totals
from ..models import Meter, MeterAssignment


def assignment_of(session: Session, meter: Meter, assignment_id: int) -> MeterAssignment | None:
    """The assignment of that id, if it is one of this meter."""
    return session.scalar(
        select(MeterAssignment).where(
            MeterAssignment.id == assignment_id, MeterAssignment.meter_id == meter.id
        )
    )


def figures_of(meter_ids: Sequence[int]) -> dict[Figure, Sequence[int]]:
    """The meters' own figures, each with the meters as its owners."""
    return {meter_totals: meter_ids, meter_balance: meter_ids}
