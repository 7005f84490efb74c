"""Screens of readings, as declared, with the price of a reading on its page."""

from flask import Blueprint, url_for
from flask_babel import gettext as _
from sqlalchemy import select

from ..app.extensions import db
from ..base import N_
from ..base.periods import Month
from ..records.screens import Screens
from ..web.formats import money_filter, month_filter, unit_price_filter
from .models import Reading
from .queries import CALCULATIONS, price_on
from .records import READING
from .rules import NO_PRICE

bp = Blueprint("readings", __name__, url_prefix="/gas/readings")


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


screens = ReadingScreens(READING, "gas/readings.html")
screens.add_to(bp)
