"""The form of a year's targets, twelve months at once."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeVar

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import Field, HiddenField, SelectChoice, SelectField

from ..base import money
from ..base.periods import Month
from ..web.formats import month_filter
from ..web.preferences import number_format
from ..web.typed_fields import AmountField, QuantityField
from .actions import Entry
from .figures import year_target
from .models import AccountManagerTarget

MOST_PERCENT = Decimal(1000)
LEAST_PERCENT = Decimal(-100)

SOURCES = {"target": _l("last year's targets"), "achieved": _l("what was achieved last year")}
"""The sources that a year's targets can be copied from → their name on screen."""

Stored = Mapping[Month, AccountManagerTarget]


def _plain(target: Decimal | None) -> str:
    return "" if target is None else money.format_amount(target, "plain")


def _opened(text: Any) -> Decimal | None:
    """The target that a form was opened with; None for anything that cannot be read."""
    try:
        return money.parse_amount(str(text), "plain") if text else None
    except money.AmountError:
        return None


Form = TypeVar("Form", bound=FlaskForm)


def _with_months(form: type[Form]) -> type[Form]:
    """Add to a form the inputs of twelve months, and hidden fields with their targets when it was opened."""
    for number in range(1, 13):
        setattr(form, f"target_{number}", AmountField())
        setattr(form, f"base_{number}", HiddenField())
    return form


@_with_months
class YearForm(FlaskForm):
    """A year's targets: `target_1` is January's, `base_1` what it was when the form was opened.

    `amount`, `growth` and `source` are the inputs of its buttons.
    """

    amount = AmountField(_l("Amount"))
    growth = QuantityField(_l("Percent more"), minimum=LEAST_PERCENT, maximum=MOST_PERCENT)
    source = SelectField(
        _l("Copy from"),
        choices=[SelectChoice(value, words) for value, words in SOURCES.items()],
        validate_choice=False,
    )

    def __init__(self, year: int, **options: Any) -> None:
        """A form for the targets of `year`."""
        super().__init__(**options)
        self.months = list(Month(year, 1).through(Month(year, 12)))
        for month in self.months:
            self.target_of(month).label.text = month_filter(month.first)

    @classmethod
    def opened(cls, year: int, rows: Stored) -> "YearForm":
        """The stored targets for editing."""
        stored = {month.month: row.target for month, row in rows.items() if month.year == year}
        data: dict[str, Any] = {f"target_{number}": target for number, target in stored.items()}
        data |= {f"base_{number}": _plain(target) for number, target in stored.items()}
        return cls(year, formdata=None, data=data)

    def target_of(self, month: Month) -> Field:
        """The input of a month."""
        return self[f"target_{month.month}"]

    def base_of(self, month: Month) -> Field:
        """The month's target when the form was opened."""
        return self[f"base_{month.month}"]

    @property
    def total(self) -> Decimal | None:
        """The total of the typed targets; None while one of them cannot be read."""
        fields = [self.target_of(month) for month in self.months]
        if any(field.process_errors for field in fields):
            return None
        return year_target(field.data for field in fields)

    def entries(self) -> dict[Month, Entry]:
        """The targets as entered; call it on a valid form only."""
        return {
            month: Entry(_opened(self.base_of(month).data), self.target_of(month).data)
            for month in self.months
        }

    def rebase(self, theirs: Mapping[Month, AccountManagerTarget | None]) -> None:
        """Treat what another user has stored as what the form was opened with, so that saving again replaces it."""
        for month, row in theirs.items():
            self.base_of(month).data = _plain(row.target if row else None)

    # The buttons; nothing is saved

    def fill(self, targets: Mapping[Month, Decimal]) -> None:
        """Write these targets into the months, replacing what is typed there."""
        for month, target in targets.items():
            self._write(month, money.format_amount(target, number_format()))

    def paste(self, first: Month, cells: list[str]) -> list[str]:
        """Paste copied cells into the months from `first` on; returns the cells beyond December."""
        months = self.months[first.month - 1 :]
        for month, text in zip(months, cells, strict=False):
            self._write(month, text)
        return cells[len(months) :]

    def _write(self, month: Month, text: str) -> None:
        field = self.target_of(month)
        field.process_errors = []
        field.raw_data = [text]
        try:
            field.process_formdata([text])
        except ValueError as refusal:
            field.process_errors = [str(refusal)]
        field.errors = list(field.process_errors)
