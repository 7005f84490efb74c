"""The form of a new adjustment, which shows the meter's present balance."""

from typing import Any

from ...app.extensions import db
from ...records.forms import OfRecord
from ..meters.actions import assignments_of
from ..models import Meter


class AdjustmentForm(OfRecord):
    """`customer` and `number` may stay empty: they default to the meter's customer and the next number."""

    inputs_page = "billing/adjustment_inputs.html"

    def beside(self) -> dict[str, Any]:
        """The meter, once one is chosen, and the assignment that is active."""
        key = self["meter"].data
        meter = db.session.get(Meter, key) if key else None
        found = assignments_of(db.session(), meter.id) if meter else ()
        return {"meter": meter, "active": next((each for each in found if each.is_active), None)}
