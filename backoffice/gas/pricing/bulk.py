"""The form that changes the prices of many customers: by percent, to a price or factor, or by lines of a file."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from sqlalchemy.orm import Session
from wtforms import TextAreaField, ValidationError

from ...app.extensions import db
from ...base import money, periods
from ...base.periods import read_day
from ...book.queries import refusal_of
from ...customers import queries as customers
from ...customers.models import Customer
from ...web.formats import in_words
from ...web.forms import Required
from ...web.pasting import rows_of
from ...web.preferences import number_format
from ...web.typed_fields import DayField, FactorField, QuantityField, UnitPriceField
from ..models import GasPrice
from ..queries import prices_on
from ..rules import MAX_FACTOR, MAX_PRICE
from .actions import MOST, PriceChange
from .effects import NewPrice

COLUMNS = ("customer_code", "price_per_sm3", "correction_factor")
"""The columns of lines without a header; a header of an import file may name them in any order."""


class BulkForm(FlaskForm):
    """A change of prices from a day on: the same for all chosen customers, or a line for each."""

    effective_from = DayField(_l("Valid from"), [Required(_l("Enter the day."))])
    percent = QuantityField(_l("Percent more"), minimum=Decimal(-100), maximum=Decimal(1000))
    price_per_sm3 = UnitPriceField(_l("Price per Sm³"), maximum=MAX_PRICE)
    correction_factor = FactorField(_l("Correction factor"), maximum=MAX_FACTOR)
    lines = TextAreaField(_l("Prices by customer"), render_kw={"rows": 6, "spellcheck": "false"})
    file = FileField(_l("or a CSV file"))

    @classmethod
    def empty(cls) -> "BulkForm":
        """A new form, dated today."""
        return cls(formdata=None, data={"effective_from": periods.today()})

    def validate_effective_from(self, field: DayField) -> None:
        """The day must not be locked."""
        refusal = refusal_of(db.session(), field.data) if field.data else None
        if refusal is not None:
            raise ValidationError(in_words(refusal))

    def validate_percent(self, field: QuantityField) -> None:
        """Either a percentage, or a price, or only a factor."""
        if field.process_errors:
            return
        given = [field.data, self.price_per_sm3.data]
        if None not in given:
            raise ValidationError(_("Enter a percentage or a price, not both."))
        if not self.has_lines() and given == [None, None] and self.correction_factor.data is None:
            raise ValidationError(_("Enter a percentage, a price or a factor."))

    def validate_lines(self, field: TextAreaField) -> None:
        """Only one kind of change is entered, and the separator is not the user's decimal mark."""
        alike = (self.percent.data, self.price_per_sm3.data, self.correction_factor.data)
        text = (field.data or "").strip()
        if sum((alike != (None, None, None), bool(text), bool(self.file.data))) > 1:
            raise ValidationError(
                _("Enter the same change for all, or lines, or choose a file: only one of them.")
            )
        first = text.partition("\n")[0]
        if "," in first and not any(mark in first for mark in self.separators):
            raise ValidationError(
                _("The comma is your decimal mark: put a tab or a semicolon between the columns.")
            )

    @property
    def separators(self) -> str:
        """The characters that may separate the cells of typed lines."""
        return "\t;" if money.NUMBER_FORMATS[number_format()].point == "," else "\t;,"

    def has_lines(self) -> bool:
        """Whether each customer has a line of its own."""
        return bool((self.lines.data or "").strip() or self.file.data)

    @property
    def first_day(self) -> date:
        """The day from which the prices are valid; call it on a valid form only."""
        assert self.effective_from.data is not None
        return self.effective_from.data

    def change(self) -> PriceChange:
        """The change of each price."""
        return PriceChange(self.percent.data, self.price_per_sm3.data, self.correction_factor.data)

    def prices(self, session: Session) -> list[NewPrice]:
        """The prices of the lines: a customer's code, its price, and its factor where that changes too.

        Every line that cannot be parsed is an error of the field; then there are none.
        """
        rows = self._rows()
        codes = {cells.get("customer_code", "") for _number, cells in rows}
        known = customers.booked_on(session, codes)
        held = prices_on(session, [customer.id for customer in known.values()], self.first_day)
        found: dict[int, NewPrice] = {}
        errors = [_("At most %(count)s lines.", count=MOST)] if len(rows) > MOST else []
        for number, cells in rows:
            try:
                new = self._price(cells, known, held)
                if new.customer_id in found:
                    raise ValueError(_("This customer has a line already."))
                found[new.customer_id] = new
            except ValueError as wrong:
                errors.append(_("Line %(line)s: %(problem)s", line=number, problem=str(wrong)))
        self.lines.errors = errors[:10]
        return [] if errors else list(found.values())

    def _rows(self) -> list[tuple[int, dict[str, str]]]:
        """The lines that are not blank, numbered: cells by column; the key "" holds any further cells."""
        text, separators = self.lines.data or "", self.separators
        if self.file.data:
            text, separators = self.file.data.read().decode("utf-8-sig", "replace"), "\t;,"
        first = text.lstrip().partition("\n")[0]
        delimiter = next((mark for mark in separators if mark in first), separators[-1])
        rows = [row for row in enumerate(rows_of(text, delimiter), 1) if any(row[1])]
        names = [name.casefold() for name in rows[0][1]] if rows else []
        if COLUMNS[0] in names:
            del rows[0]
        else:
            names = list(COLUMNS)
        return [
            (number, dict(zip(names, cells, strict=False)) | {"": "".join(cells[len(names) :])})
            for number, cells in rows
        ]

    def _price(
        self, cells: Mapping[str, str], known: Mapping[str, Customer], held: Mapping[int, GasPrice]
    ) -> NewPrice:
        code, price, given, day = (cells.get(name, "") for name in (*COLUMNS, "effective_from"))
        if cells.get(""):
            raise ValueError(_("There are more cells than columns."))
        if day and read_day(day) != self.first_day:
            raise ValueError(
                _("%(day)s is not the day from which these prices are valid.", day=day)
            )
        if code not in known:
            raise ValueError(_("There is no customer %(code)s.", code=code))
        customer_id = known[code].id
        style = "plain" if self.file.data else number_format()
        try:
            new = money.parse_unit_price(price, style)
            factor = money.parse_factor(given, style) if given else None
        except money.AmountError as refusal:
            raise ValueError(_(refusal.message, **refusal.params)) from refusal
        if factor is None:
            if customer_id not in held:
                raise ValueError(_("%(code)s has no price yet: say its factor too.", code=code))
            factor = held[customer_id].correction_factor
        return NewPrice(customer_id, self.first_day, new, factor)
