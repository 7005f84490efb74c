"""Matching of payments without a meter: which meter is sure, and why it is not, by one rule.

The rule. A payment belongs on the meter of the **invoice** that it names; one that names none belongs on
the one meter that was **assigned** to its customer on the day it was paid. Nothing else is sure:

- A void invoice is no evidence (it may be void because it stood on the wrong meter): a payment that names
  one is treated as one that names none.
- A posted invoice without a meter gets its own meter first; until then its payments wait. Matching them
  by their day could separate them from the invoice that they pay.
- An assignment covers the days from `assigned_from` to `assigned_to`, both inclusive; an empty one is
  unbounded. One that is no longer active but has an end covers its days all the same: it was active then.
- An assignment that was deactivated without a last day *may* have covered a day. It makes nothing sure by
  itself, and it makes another meter on that day unsure.
- Meters are counted, not assignments: the same meter assigned twice over one day is one candidate.
- The owners of the meter and of the invoice do not matter: who pays for another customer names the invoice.
"""

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, literal, null, or_, select

from ..models import Invoice, MeterAssignment, Payment
from ..rules import POSTED

INVOICE, ASSIGNMENT = "invoice", "assignment"
"""Why a match is sure: the payment names an invoice, or one meter was assigned on its day."""

NO_ASSIGNMENT, SEVERAL_ASSIGNMENTS = "no assignment", "several assignments"
INVOICE_WITHOUT_METER = "invoice without meter"
"""Why no match is sure."""


def may_cover(day: Any) -> ColumnElement[bool]:
    """Whether an assignment's days include `day`; NULL bounds are open."""
    return and_(
        or_(MeterAssignment.assigned_from.is_(None), MeterAssignment.assigned_from <= day),
        or_(MeterAssignment.assigned_to.is_(None), MeterAssignment.assigned_to >= day),
    )


def is_known_to_end() -> ColumnElement[bool]:
    """Whether the end of an assignment is known: it is still active, or has a last day."""
    return or_(MeterAssignment.is_active, MeterAssignment.assigned_to.is_not(None))


def sure_meter() -> ColumnElement[Any]:
    """The sure meter of a payment of `_with_candidates`; NULL where none is sure."""
    return case((Invoice.id.is_not(None), Invoice.meter_id), else_=assigned_meter())


def assigned_meter() -> ColumnElement[Any]:
    """The one meter that surely was the customer's, from the assignments that may cover the document's day."""
    is_sure = and_(_meters() == 1, func.bool_or(is_known_to_end()))
    return case((is_sure, func.min(MeterAssignment.meter_id)), else_=null())


def why_none_is_assigned() -> ColumnElement[str]:
    """Why no assigned meter is sure: several may have been assigned, or none."""
    return case((_meters() > 1, literal(SEVERAL_ASSIGNMENTS)), else_=literal(NO_ASSIGNMENT))


def sure_matches() -> Select[Any]:
    """(payment_id, meter_id, why) of every unmatched payment with a sure match.

    `why` is "invoice" or "assignment". Narrow it by a condition on Payment: `.where(Payment.id.in_(…))`.
    """
    why = case((Invoice.id.is_not(None), literal(INVOICE)), else_=literal(ASSIGNMENT))
    return _with_candidates(sure_meter().label("meter_id"), why.label("why")).having(
        sure_meter().is_not(None)
    )


def unsure_matches() -> Select[Any]:
    """(payment_id, why) of every other unmatched payment.

    `why` is "invoice without meter", "several assignments" or "no assignment": none that surely covers
    the day. Narrow it by a condition on Payment.
    """
    why = case(
        (Invoice.id.is_not(None), literal(INVOICE_WITHOUT_METER)), else_=why_none_is_assigned()
    )
    return _with_candidates(why.label("why")).having(sure_meter().is_(None))


def is_unmatched() -> ColumnElement[bool]:
    """The condition that a payment is posted and on no meter."""
    return and_(Payment.meter_id.is_(None), Payment.status == POSTED)


def _meters() -> ColumnElement[int]:
    """How many meters may have been assigned to the customer on the day."""
    return func.count(MeterAssignment.meter_id.distinct())


def _with_candidates(*columns: ColumnElement[Any]) -> Select[Any]:
    """Each unmatched payment with its posted invoice, or else with the assignments that may cover its day."""
    return (
        select(Payment.id.label("payment_id"), *columns)
        .select_from(Payment)
        .outerjoin(Invoice, and_(Invoice.id == Payment.invoice_id, Invoice.status == POSTED))
        .outerjoin(
            MeterAssignment,
            and_(
                Invoice.id.is_(None),
                MeterAssignment.customer_id == Payment.customer_id,
                may_cover(Payment.paid_on),
            ),
        )
        .where(is_unmatched())
        .group_by(Payment.id, Invoice.id, Invoice.meter_id)
    )
