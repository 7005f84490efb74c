"""The actions on meters and their assignments. Nothing here commits: every verb works in the caller's transaction.

An assignment is changed under the lock of its meter, so that the second of two concurrent changes
sees the first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import select
from sqlalchemy.exc import DataError
from sqlalchemy.orm import Session, joinedload

from ... import figures
from ...base import periods
from ...base.periods import is_to_come
from ...customers.queries import label
from ...records.actions import bump_version
from ...records.actions import locked as lock
from ..models import Meter, MeterAssignment
from ..rules import counts_ahead
from .refusals import (
    AssignmentChanged,
    AssignmentGone,
    BeginsLater,
    DaysOverlap,
    DaysReversed,
    DayToCome,
    EndsLater,
    MeterAssigned,
    MeterChanged,
    NotAssigned,
    ReassignedTooEarly,
    SameCustomer,
    TooMuchOwed,
)

_OUT_OF_RANGE = "22003"
"""PostgreSQL's code of a number that does not fit its column."""


@dataclass(frozen=True)
class Days:
    """The first and the last day of an assignment; None: unbounded."""

    first: date | None = None
    last: date | None = None

    @classmethod
    def of(cls, assignment: MeterAssignment) -> "Days":
        """The days of a stored assignment."""
        return cls(assignment.assigned_from, assignment.assigned_to)

    @property
    def are_reversed(self) -> bool:
        """Whether the last day comes before the first."""
        return self.first is not None and self.last is not None and self.last < self.first

    def overlap(self, other: "Days") -> bool:
        """Whether the two share a day."""
        return _begins_by(self.first, other.last) and _begins_by(other.first, self.last)

    def __str__(self) -> str:
        first, last = (day.isoformat() if day else "…" for day in (self.first, self.last))
        return f"{first} – {last}"


def assign(
    session: Session,
    meter_id: int,
    customer_id: int,
    days: Days,
    *,
    is_active: bool = True,
    version: int | None = None,
) -> MeterAssignment:
    """Assign a meter to a customer for these days; its balance is the customer's if it `is_active`.

    `version` is that of the meter as the user saw it; None: no user did.

    Raises:
        RecordGone, MeterChanged: the meter was removed, or has another version.
        MeterAssigned: another assignment of the meter is active, and this is to be active too.
        BeginsLater: it would be active before its first day.
        DaysReversed, DaysOverlap: the days are not possible.
    """
    meter = locked(session, meter_id)
    if version not in (None, meter.version):
        raise MeterChanged(number=meter.number)
    assignments = assignments_of(session, meter_id)
    if is_active:
        _refuse_if_assigned(meter, assignments)
    _refuse_ahead(days, is_active=is_active)
    _refuse_impossible(meter, days, assignments)
    return _added(session, meter, customer_id, days, is_active=is_active)


def reassign(
    session: Session, assignment_id: int, version: int, customer_id: int, since: date
) -> MeterAssignment:
    """Assign the meter of an active assignment to another customer from `since` on.

    The present assignment ends the day before and is no longer active; the new one begins. The
    balances of both customers follow in the same transaction.

    Raises:
        AssignmentGone, AssignmentChanged: another user was faster.
        DayToCome: `since` is after today.
        NotAssigned, SameCustomer, ReassignedTooEarly: there is nothing to reassign.
        DaysOverlap: another customer has the meter on some of the days.
    """
    present = _locked_assignment(session, assignment_id, version)
    meter = present.meter
    if not present.is_active:
        raise NotAssigned(number=meter.number)
    if present.customer_id == customer_id:
        raise SameCustomer(number=meter.number, customer=label(present.customer))
    refuse_day_to_come(since)
    last = since - timedelta(days=1)
    ended = Days(present.assigned_from, min(last, present.assigned_to or last))
    if ended.are_reversed:
        raise ReassignedTooEarly(
            number=meter.number, customer=label(present.customer), day=ended.first
        )
    _refuse_impossible(meter, Days(since), _others(session, present))
    _change(session, present, ended, is_active=False)
    return _added(session, meter, customer_id, Days(since), is_active=True)


def end(session: Session, assignment_id: int, version: int, last: date) -> MeterAssignment:
    """End an assignment with the day `last`; the meter's balance is no longer its customer's.

    Raises:
        AssignmentGone, AssignmentChanged: another user was faster.
        DayToCome: `last` is after today.
        DaysReversed, DaysOverlap: the days cannot be.
    """
    assignment = _locked_assignment(session, assignment_id, version)
    refuse_day_to_come(last)
    days = Days(assignment.assigned_from, last)
    _refuse_impossible(assignment.meter, days, _others(session, assignment))
    _change(session, assignment, days, is_active=False)
    return assignment


def deactivate(session: Session, assignment_id: int, version: int) -> MeterAssignment:
    """Deactivate an assignment: the meter no longer counts in the customer's balance; the days stay.

    Raises:
        AssignmentGone, AssignmentChanged: another user was faster.
        EndsLater: its last day is after today.
    """
    assignment = _locked_assignment(session, assignment_id, version)
    last = assignment.assigned_to
    if last is not None and is_to_come(last):
        raise EndsLater(number=assignment.meter.number, day=last)
    _change(session, assignment, Days.of(assignment), is_active=False)
    return assignment


def activate(session: Session, assignment_id: int, version: int) -> MeterAssignment:
    """Activate an assignment: the meter counts in the customer's balance again; the days stay.

    Raises:
        AssignmentGone, AssignmentChanged: another user was faster.
        MeterAssigned: another assignment of the meter is active.
        BeginsLater: its first day is after today.
    """
    assignment = _locked_assignment(session, assignment_id, version)
    _refuse_if_assigned(assignment.meter, _others(session, assignment))
    _refuse_ahead(Days.of(assignment), is_active=True)
    _change(session, assignment, Days.of(assignment), is_active=True)
    return assignment


def correct_days(session: Session, assignment_id: int, version: int, days: Days) -> MeterAssignment:
    """Correct the days of an assignment.

    Raises:
        AssignmentGone, AssignmentChanged: another user was faster.
        BeginsLater: it is active, and would be before its first day.
        DaysReversed, DaysOverlap: the days cannot be.
    """
    assignment = _locked_assignment(session, assignment_id, version)
    _refuse_ahead(days, is_active=assignment.is_active)
    _refuse_impossible(assignment.meter, days, _others(session, assignment))
    _change(session, assignment, days, is_active=assignment.is_active)
    return assignment


def remove(session: Session, assignment_id: int, version: int) -> None:
    """Delete an assignment that was entered by mistake. The audit trail keeps it.

    Raises AssignmentGone, AssignmentChanged.
    """
    assignment = _locked_assignment(session, assignment_id, version)
    session.delete(assignment)
    session.flush()


def locked(session: Session, meter_id: int) -> Meter:
    """The meter as it is now, locked against changes of it and of its assignments. Raises RecordGone."""
    meter: Meter = lock(session, Meter, [meter_id], key_share=True)[meter_id]
    return meter


def settle(session: Session) -> None:
    """Flush the changes and settle the figures that follow. Raises TooMuchOwed."""
    try:
        figures.settle(session)
    except DataError as error:
        if getattr(error.orig, "sqlstate", None) == _OUT_OF_RANGE:
            raise TooMuchOwed() from error
        raise


def assignments_of(session: Session, meter_id: int) -> Sequence[MeterAssignment]:
    """All assignments of the meter, the active one and then the latest first."""
    return session.scalars(
        select(MeterAssignment)
        .where(MeterAssignment.meter_id == meter_id)
        .options(joinedload(MeterAssignment.customer))
        .order_by(
            MeterAssignment.is_active.desc(),
            MeterAssignment.assigned_from.desc().nulls_last(),
            MeterAssignment.id.desc(),
        )
        .execution_options(populate_existing=True)
    ).all()


def _locked_assignment(session: Session, assignment_id: int, version: int) -> MeterAssignment:
    """The assignment as it is now, its meter locked before it, if it is still at `version`."""
    of_meter = select(MeterAssignment.meter_id).where(MeterAssignment.id == assignment_id)
    meter_id = session.scalar(of_meter)
    if meter_id is None:
        raise AssignmentGone()
    meter = locked(session, meter_id)
    assignment = session.get(MeterAssignment, assignment_id, populate_existing=True)
    if assignment is None:
        raise AssignmentGone()
    if assignment.version != version:
        raise AssignmentChanged(number=meter.number)
    return assignment


def _others(session: Session, assignment: MeterAssignment) -> list[MeterAssignment]:
    found = assignments_of(session, assignment.meter_id)
    return [other for other in found if other.id != assignment.id]


def _refuse_if_assigned(meter: Meter, assignments: Sequence[MeterAssignment]) -> None:
    for other in assignments:
        if other.is_active:
            raise MeterAssigned(number=meter.number, customer=label(other.customer))


def refuse_day_to_come(day: date) -> None:
    """Refuse a change of assignment that is dated after today: it takes effect at once. Raises DayToCome."""
    if is_to_come(day):
        raise DayToCome(day=day)


def _refuse_ahead(days: Days, *, is_active: bool) -> None:
    if days.first is not None and counts_ahead(is_active, days.first, periods.today()):
        raise BeginsLater(day=days.first)


def _refuse_impossible(meter: Meter, days: Days, others: Sequence[MeterAssignment]) -> None:
    if days.are_reversed:
        raise DaysReversed(days=days)
    for other in others:
        theirs = Days.of(other)
        if days.overlap(theirs):
            raise DaysOverlap(number=meter.number, customer=label(other.customer), days=theirs)


def _added(
    session: Session, meter: Meter, customer_id: int, days: Days, *, is_active: bool
) -> MeterAssignment:
    assignment = MeterAssignment(
        meter_id=meter.id,
        customer_id=customer_id,
        assigned_from=days.first,
        assigned_to=days.last,
        is_active=is_active,
    )
    session.add(assignment)
    settle(session)
    session.refresh(
        assignment
    )  # if the customer was merged meanwhile, a trigger has put the survivor in their place
    return assignment


def _change(session: Session, assignment: MeterAssignment, days: Days, *, is_active: bool) -> None:
    assignment.assigned_from, assignment.assigned_to = days.first, days.last
    assignment.is_active = is_active
    bump_version(session, assignment)
    settle(session)


def _begins_by(first: date | None, last: date | None) -> bool:
    return first is None or last is None or first <= last
