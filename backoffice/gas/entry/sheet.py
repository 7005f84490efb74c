"""The grid of readings as typed: a row per reading, with its errors and whether it is unusual."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from ...base import N_, money, periods
from ...base.matching import SEPARATOR
from ...base.periods import Month, read_day
from ...base.refusals import Locked, Refusal, StillToCome
from ...book.queries import locked_until
from ...customers import queries as customers
from ...customers.models import Customer
from ...web.form_markup import FormError
from ...web.formats import day_filter, in_words, month_filter, quantity_filter
from ...web.pasting import rows_of
from ...web.preferences import number_format
from ..models import GasPrice
from ..rules import MAX_VOLUME
from .actions import NewReading, is_unusual, metered_total, taken_of, usual_of

MOST = 2_000
"""Rows of one grid."""

OFFERED = 200
"""Customers that a new grid lists."""

COLUMNS = ("customer", "day", "volume")


class TooManyRows(Refusal):
    """A pasted block has more rows than a grid may have."""

    sentence = N_("Nothing is pasted: at most %(count)s rows at once. Paste a part of them.")


@dataclass
class ReadingRow:
    """One row: the typed texts, the reading that they mean, and errors by column. `note` is only a warning."""

    index: int
    texts: dict[str, str]
    customer: Customer | None = None
    reading: NewReading | None = None
    errors: dict[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def is_blank(self) -> bool:
        """Whether no volume is typed: such a row is left out."""
        return not self.texts["volume"].strip()

    def id(self, name: str) -> str:
        """The id of a cell's input."""
        return f"{name}-{self.index}"


@dataclass
class Sheet:
    """The grid of one month."""

    month: Month
    rows: list[ReadingRow]

    @property
    def readings(self) -> list[NewReading]:
        """The readings of the rows without errors."""
        return [row.reading for row in self.rows if row.reading is not None]

    @property
    def total(self) -> Decimal | None:
        """The total metered volume in m³; None while one volume cannot be parsed."""
        if any("volume" in row.errors for row in self.rows):
            return None
        return metered_total(self.readings)

    @property
    def unusual(self) -> list[ReadingRow]:
        """The rows with an unusual volume."""
        return [row for row in self.rows if row.note]

    @property
    def digest(self) -> str:
        """A digest that changes with the unusual readings."""
        return sha256(repr([row.reading for row in self.unusual]).encode()).hexdigest()

    @property
    def errors(self) -> list[FormError]:
        """All errors, cell by cell."""
        return [
            FormError(row.id(name), _("Row %(row)s", row=row.index + 1), message)
            for row in self.rows
            for name, message in row.errors.items()
        ]

    def show_taken(self, taken: Mapping[tuple[int, date], Decimal]) -> None:
        """Add an error to each row with a day that is taken."""
        for row in self.rows:
            if row.reading is not None and row.reading.place in taken:
                row.errors["day"] = _taken(row.reading, taken[row.reading.place])


def offered(search: str) -> Select[Customer]:
    """The customers with a price of gas, by code."""
    has_price = select(GasPrice.id).where(GasPrice.customer_id == Customer.id).exists()
    return customers.matching(search).where(has_price)


def opened(session: Session, month: Month, search: str = "") -> Sheet:
    """A new grid: a row for each offered customer, on the month's last day or today."""
    found = session.scalars(offered(search).limit(OFFERED))
    day = min(month.last, max(periods.today(), month.first)).isoformat()
    texts = [{"customer": customer.code, "day": day, "volume": ""} for customer in found]
    return read(session, month, texts or [dict.fromkeys(COLUMNS, "")])


def typed(session: Session, month: Month, form: Any) -> Sheet:
    """The grid as submitted; rows beyond `MOST` are an error of the last row."""
    texts = _texts(form)
    sheet = read(session, month, texts[:MOST])
    if len(texts) > MOST:
        sheet.rows[-1].errors["customer"] = _("At most %(count)s rows at once.", count=MOST)
    return sheet


def pasted(form: Any, block: str, row: int, name: str) -> list[dict[str, str]]:
    """The typed rows with a pasted block laid over them from a cell on; rows are added as needed.

    Raises TooManyRows, and pastes nothing, where that makes more than `MOST`.
    """
    rows, cells_of_rows = _texts(form), rows_of(block)
    if max(len(rows), row + len(cells_of_rows)) > MOST:
        raise TooManyRows(count=MOST)
    day = rows[-1]["day"] if rows else ""
    first = COLUMNS.index(name)
    for place, cells in enumerate(cells_of_rows, row):
        while place >= len(rows):
            rows.append({"customer": "", "day": day, "volume": ""})
        rows[place] |= dict(zip(COLUMNS[first:], cells, strict=False))
    return rows


def _texts(form: Any) -> list[dict[str, str]]:
    """The rows as submitted, up to one more than the limit."""
    columns = [form.getlist(name)[: MOST + 1] for name in COLUMNS]
    return [dict(zip(COLUMNS, cells, strict=True)) for cells in zip(*columns, strict=False)]


def read(session: Session, month: Month, texts: Sequence[Mapping[str, str]]) -> Sheet:
    """Parse the texts into a grid, with errors and notes."""
    rows = [ReadingRow(index, dict(each)) for index, each in enumerate(texts)]
    codes = [row.texts["customer"].partition(SEPARATOR)[0].strip() for row in rows]
    known = customers.booked_on(session, codes)
    for row, code in zip(rows, codes, strict=True):
        row.customer = known.get(code)
        if not row.is_blank:
            _read_row(row, month)
    sheet = Sheet(month, rows)
    _check(session, sheet)
    return sheet


def _read_row(row: ReadingRow, month: Month) -> None:
    """Set the reading of a row, or the error of every cell that cannot be parsed."""
    if row.customer is None:
        row.errors["customer"] = _("There is no customer of this code.")
    day = read_day(row.texts["day"].strip())
    if day is None:
        row.errors["day"] = _("This is not a date. Write it as year-month-day, like 2026-03-31.")
    elif Month.of(day) != month:
        row.errors["day"] = _("This day is not in %(month)s.", month=month_filter(month.first))
    elif periods.is_to_come(day):
        row.errors["day"] = in_words(StillToCome())
    try:
        volume = money.parse_quantity(row.texts["volume"], number_format(), maximum=MAX_VOLUME)
    except money.AmountError as refusal:
        row.errors["volume"] = _(refusal.message, **refusal.params)
        return
    if not row.errors and row.customer is not None and day is not None:
        row.reading = NewReading(row.customer.id, day, volume)


def _check(session: Session, sheet: Sheet) -> None:
    """Add errors of days that are locked or taken, stored or by a row above, and notes of unusual volumes."""
    sheet.show_taken(taken_of(session, sheet.readings))
    usual, until = usual_of(session, sheet.readings), locked_until(session)
    seen: dict[tuple[int, date], int] = {}
    for row in sheet.rows:
        new = row.reading
        if new is None:
            continue
        if until is not None and new.read_on <= until:
            row.errors["day"] = in_words(Locked(until=until.isoformat()))
        first = seen.setdefault(new.place, row.index)
        if first != row.index:
            row.errors["day"] = _("Row %(row)s is of the same customer and day.", row=first + 1)
        average = usual.get(new.place)
        if average is not None and is_unusual(new.metered_volume, average):
            row.note = _("Unusual: %(usual)s m³ on the average.", usual=quantity_filter(average))


def _taken(new: NewReading, volume: Decimal) -> str:
    return str(
        _(
            "There is already a reading on %(day)s: %(volume)s m³. Change that one.",
            day=day_filter(new.read_on),
            volume=quantity_filter(volume),
        )
    )
