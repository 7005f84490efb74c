"""Screens of calculated readings and months; rows computed on read are shown and explained like stored ones."""

from typing import Any

from flask import Blueprint, abort
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import aliased, joinedload

from ..app.extensions import db
from ..base import table_of
from ..base.identifiers import whole_number
from ..customers.models import Customer
from ..records.calculations import Calculations
from ..records.listing import row_named
from ..records.screens import Screens
from .models import Reading
from .queries import as_if_stored
from .records import MONTH


class DerivedScreens(Screens):
    """Screens of rows that are stored, or computed on read."""

    def found(self, name: str) -> Any:
        """The row of that name: the stored one, else the computed one; else 404."""
        stored = row_named(db.session(), self.record, current_user, name)
        return stored or self._computed(name) or abort(404)

    def calculations_of(self, row: Any) -> Calculations:
        """How the figures of a row were calculated, stored or not."""
        is_stored = row.customer.use_realtime_calculation
        laid = None if is_stored else as_if_stored(row.customer_id)
        return Calculations(db.session(), self.record, row, self.rows_at, laid)

    def _computed(self, name: str) -> Any:
        session, model = db.session(), self.record.model
        number, _slash, month = name.partition("/")
        owner = whole_number(number)
        if self.record is not MONTH:
            reading = session.get(Reading, owner)
            owner = reading.customer_id if reading else owner
        customer = session.get(Customer, owner)
        if customer is None or customer.use_realtime_calculation:
            return None
        rows: Any = aliased(model, as_if_stored(owner)[table_of(model)], adapt_on_names=True)
        is_it = (
            rows.year_month == month
            if self.record is MONTH
            else rows.reading_id == whole_number(name)
        )
        row = session.scalar(select(rows).where(is_it).options(joinedload(rows.customer)))
        if row is not None:
            session.expunge(row)  # it is in no table, and its id is made up
        return row


bp = Blueprint("gas_months", __name__, url_prefix="/gas/months")

screens = DerivedScreens(MONTH, "gas/months.html")
screens.add_to(bp)
