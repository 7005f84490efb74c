"""The form of a monthly repetition."""

from datetime import date
from typing import Any

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import SelectField
from wtforms.fields import SelectChoice

from ...web.formats import month_filter
from .months import month_of

MONTHS_AHEAD = 12
"""How many months the form offers as the first one."""


class RepeatForm(FlaskForm):
    """The day of the month, and the first month."""

    day = SelectField(_l("Day of the month"))
    month = SelectField(_l("First month"))

    def __init__(self, today: date, **options: Any) -> None:
        super().__init__(**options)
        self.day.choices = [SelectChoice(str(day), str(day)) for day in range(1, 32)]
        self.month.choices = [
            SelectChoice(month.isoformat(), month_filter(month)) for month in _months(today)
        ]


def _months(today: date) -> list[date]:
    first = month_of(today)
    months = (divmod(first.month - 1 + ahead, 12) for ahead in range(MONTHS_AHEAD))
    return [date(first.year + years, number + 1, 1) for years, number in months]
