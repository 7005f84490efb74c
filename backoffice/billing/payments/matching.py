"""Where a payment without a meter belongs: what is sure, and what is not, by the one rule of the house.

The rule. A payment belongs on the meter of the **invoice** that it names; one that names none belongs on
the one meter that was **assigned** to its customer on the day it was paid. Nothing else is sure:

- A void invoice is no evidence (it may be void because it stood on the wrong meter): a payment that names
  one is treated as one that names none.
- A posted invoice without a meter gets its own meter first; until then its payments wait. To give them
  one by their day would part them from the invoice that they pay.
- An assignment covers the days from `assigned_from` to `assigned_to`, both inclusive; an empty one is
  unbounded. One that is no longer active but has an end covers its days all the same: it was active then.
- An assignment that was deactivated while nobody said until when *may* have covered a day, and nobody
  knows. It makes nothing sure by itself, and it takes the sureness from another meter on that day.
- Meters are counted, not assignments: the same meter assigned twice over one day is one candidate.
- Whose the meter is besides, and whose the invoice is, doesn't matter: who pays for another names it.
"""

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, literal, null, or_, select

from ..models import Invoice, MeterAssignment, Payment
from ..rules import POSTED

INVOICE, ASSIGNMENT = "invoice", "assignment"
"""Why a match is sure: the payment names an invoice, or one meter was assigned on its day."""

NO_ASSIGNMENT, SEVERAL_ASSIGNMENTS = "no assignment", "several assignments"
INVOICE_WITHOUT_METER = "invoice without meter"
"""Why none is."""


def may_cover(day: Any) -> ColumnElement[bool]:
    """Whether an assignment's days leave room for `day`."""
    return and_(
        or_(MeterAssignment.assigned_from.is_(None), MeterAssignment.assigned_from <= day),
        or_(MeterAssignment.assigned_to.is_(None), MeterAssignment.assigned_to >= day),
    )


def is_known_to_end() -> ColumnElement[bool]:
    """Whether it is known until when an assignment held: it still does, or it has an end."""
    return or_(MeterAssignment.is_active, MeterAssignment.assigned_to.is_not(None))


def sure_meter() -> ColumnElement[Any]:
    """The meter where a payment of `_judged` surely belongs; NULL where that is not sure."""
    return case((Invoice.id.is_not(None), Invoice.meter_id), else_=assigned_meter())


def assigned_meter() -> ColumnElement[Any]:
    """The one meter that surely was the customer's, of a document's assignments that may cover its day."""
    is_sure = and_(_meters() == 1, func.bool_or(is_known_to_end()))
    return case((is_sure, func.min(MeterAssignment.meter_id)), else_=null())


def why_none_is_assigned() -> ColumnElement[str]:
    """Why that is not sure: several may have been, or none."""
    return case((_meters() > 1, literal(SEVERAL_ASSIGNMENTS)), else_=literal(NO_ASSIGNMENT))


def sure_matches() -> Select[Any]:
    """(payment_id, meter_id, why) of every unmatched payment of which it is sure where it belongs.

    `why` is "invoice" or "assignment". Narrow it by a condition on Payment: `.where(Payment.id.in_(…))`.
    """
    why = case((Invoice.id.is_not(None), literal(INVOICE)), else_=literal(ASSIGNMENT))
    return _judged(sure_meter().label("meter_id"), why.label("why")).having(
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
    return _judged(why.label("why")).having(sure_meter().is_(None))


def is_unmatched() -> ColumnElement[bool]:
    """The payments that wait for a user to say where they belong."""
    return and_(Payment.meter_id.is_(None), Payment.status == POSTED)


def _meters() -> ColumnElement[int]:
    """How many meters may have been the customer's on the day."""
    return func.count(MeterAssignment.meter_id.distinct())


def _judged(*columns: ColumnElement[Any]) -> Select[Any]:
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
