"""Screens of readings, with the price of each, and of calculated readings and months.

Rows computed on read are shown and explained like stored ones.
"""

from typing import Any

from flask import abort, url_for
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import aliased, joinedload

from ..app.extensions import db
from ..base import N_, table_of
from ..base.identifiers import whole_number
from ..base.periods import Month
from ..customers.models import Customer
from ..records.calculations import Calculations
from ..records.listing import row_named
from ..records.screens import Screens
from ..web.formats import money_filter, month_filter, unit_price_filter
from .listing import MOVEMENT, TONES
from .models import Reading
from .queries import CALCULATIONS, as_if_stored, price_on
from .records import MONTH
from .rules import NO_PRICE


class ReadingScreens(Screens):
    """The screens of readings."""

    def facts_of(self, row: Reading) -> list[tuple[str, str, str]]:
        """The entered facts, the month, and the price with the total."""
        month, code = Month.of(row.read_on), row.customer.code
        at = url_for("gas.month", code=code, month=month)
        return [*super().facts_of(row), (N_("Month"), month_filter(month.first), at), *_priced(row)]


def _priced(row: Reading) -> list[tuple[str, str, str]]:
    price = price_on(db.session(), row.customer_id, row.read_on)
    if price is None:
        return [(N_("Price used"), _(NO_PRICE), "")]
    at = url_for("gas_prices.record", id=price.id)
    used = (N_("Price used"), unit_price_filter(price.price_per_sm3), at)
    c = CALCULATIONS.c
    price_of_row = c.customer_id == row.customer_id, c.reading_id == row.id
    total = db.session.scalar(select(c.total_price).where(*price_of_row))
    if total is None:
        return [used]
    how = url_for("gas_calculations.calculation", reading_id=row.id)
    return [used, (N_("Total price"), money_filter(total), how)]


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

    def statuses_of(self, row: Any) -> list[dict[str, str]]:
        """Whether a month is incomplete; of one row, while its list derives the months of everybody."""
        details = row.calculation_details if self.record is MONTH else None
        if not (details and details.get("unpriced")):
            return []
        word, tone = MOVEMENT["incomplete"], TONES["incomplete"]
        return [{"status": _(word), "tone": tone}]

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
