"""What holds for gas wherever it is entered: months, limits, words."""

from decimal import Decimal
from typing import Any

from sqlalchemy import Text, cast, extract, func

from ..base import N_

NOTE_LENGTH = 200

CHANGE_PRICES = "gas.change-prices"
"""The kind of run that gives customers new prices, and what its items are filed under."""

SHOWN = "shown"
"""In the scope of such a run what its user has seen on the screen, before and after; it changes nothing else."""

MOVED = N_(
    "The customer's prices or balance have changed since this was shown; it is left as it is. Look at it once more."
)
NO_PRICE = N_("No price is in force on that day.")
"""Why such a run leaves a customer alone."""

UNPRICED = "unpriced"
"""In the scope of such a run the customers without a price that could be changed."""

MAX_VOLUME = Decimal("999999.999")
MAX_FACTOR = Decimal("99.999999")
MAX_PRICE = Decimal("99999.9999")
"""At most so much per reading, so that no product is more than its column holds."""


def month_of(day: Any) -> Any:
    """The month of a day's column, as YYYY-MM. An index can be on it, for it depends on no setting."""
    month = func.lpad(cast(extract("month", day), Text), 2, "0")
    return cast(extract("year", day), Text) + "-" + month
