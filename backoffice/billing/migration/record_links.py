"""What the rows are called that the migration speaks of beside figures, and where they are shown."""

from collections.abc import Callable
from typing import Any

from flask import url_for
from sqlalchemy import select

from ...web.record_links import Place, Subject
from ..models import Meter, MeterAdjustment, MeterAssignment, Payment


def _payment(place: Place) -> str:
    return url_for("billing.payment", reference=place.name)


def _adjustment(place: Place) -> str:
    return url_for("billing.adjustment", number=place.name)


def _meter(place: Place) -> str:
    return url_for("billing.meter", number=place.name)


def _meter_number(owner: Any, _key: Any) -> Any:
    numbered = select(Meter.number).join(MeterAssignment, MeterAssignment.meter_id == Meter.id)
    return numbered.where(MeterAssignment.id == owner).scalar_subquery()


def _name_in(column: Any, key: Any) -> Callable[[Any, Any], Any]:
    return lambda owner, _key: select(column).where(key == owner).scalar_subquery()


def _shown_at(record: Callable[[Place], str]) -> Callable[[Place, str], str]:
    return lambda place, _column: record(place)


SUBJECTS = tuple(
    Subject(model.__tablename__, name, record, _shown_at(record))
    for model, name, record in (
        (Payment, _name_in(Payment.reference, Payment.id), _payment),
        (MeterAdjustment, _name_in(MeterAdjustment.number, MeterAdjustment.id), _adjustment),
        (MeterAssignment, _meter_number, _meter),
    )
)
"""None of these tables holds a figure."""
