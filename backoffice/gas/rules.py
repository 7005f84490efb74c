"""Constants and rules of gas: months, limits, and names of runs."""

from decimal import Decimal
from typing import Any

from sqlalchemy import Text, cast, extract, func

from ..base import N_

NOTE_LENGTH = 200

CHANGE_PRICES = "gas.change-prices"
"""The kind of run that gives customers new prices, and the subject of its items."""

SHOWN = "shown"
"""Key in the scope of such a run: the values before and after that its user saw; it applies only to those."""

MOVED = N_(
    "The customer's prices or balance have changed since this was shown; it is left as it is. Look at it once more."
)
NO_PRICE = N_("No price is in force on that day.")
"""Why such a run skips a customer."""

UNPRICED = "unpriced"
"""Key in the scope of such a run: the customers without a price to change."""

MAX_VOLUME = Decimal("999999.999")
MAX_FACTOR = Decimal("99.999999")
MAX_PRICE = Decimal("99999.9999")
"""Limits per reading, so that no product exceeds its column."""


def month_of(day: Any) -> Any:
    """The month of a date column as YYYY-MM, by an immutable expression that can be indexed."""
    month = func.lpad(cast(extract("month", day), Text), 2, "0")
    return cast(extract("year", day), Text) + "-" + month
