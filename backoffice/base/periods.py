"""Months, and dates in the business time zone.

The business day, not UTC's, decides the month of a document: 00:30 on 1 March in Jakarta is still February in UTC.
Imports no Flask.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import total_ordering
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2199, 12, 31)
"""The days that a record can have."""

_zone = ZoneInfo("Asia/Jakarta")


def set_timezone(name: str) -> None:
    """Make `name` (IANA) the business time zone of this process. Raises ValueError if unknown."""
    global _zone
    try:
        _zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f"BUSINESS_TIMEZONE {name!r} is not a time zone; write it like Asia/Jakarta."
        ) from error


def timezone() -> ZoneInfo:
    """The business time zone."""
    return _zone


def business_date(moment: datetime) -> date:
    """The day of `moment` in the business time zone. Raises ValueError without a zone."""
    if moment.tzinfo is None:
        raise ValueError("A moment without a time zone falls on no certain day; give it one.")
    return moment.astimezone(_zone).date()


def today() -> date:
    """Today in the business time zone."""
    return business_date(datetime.now(UTC))


def is_to_come(day: date) -> bool:
    """Whether `day` is after today in the business time zone."""
    return day > today()


def read_day(text: str) -> date | None:
    """Parse an ISO date in the app's calendar; None for anything else."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if FIRST_DAY <= day <= LAST_DAY else None


def start_of(day: date) -> datetime:
    """The start of `day` in the business time zone, in UTC, for comparing with stored timestamps.

    Where midnight comes twice, the earlier one; where clocks skip it, the moment at which they do.
    """
    return datetime(day.year, day.month, day.day, tzinfo=_zone).astimezone(UTC)


def end_of(day: date) -> datetime:
    """The end of `day` (exclusive) in the business time zone, in UTC."""
    return start_of(day + timedelta(days=1))


def year_before(day: date) -> date:
    """The same day a year earlier; the end of a month stays the end of its month."""
    month = Month.of(day) - 12
    return month.last if day == Month.of(day).last else date(month.year, month.month, day.day)


@total_ordering
@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month, written YYYY-MM."""

    year: int
    month: int

    def __post_init__(self) -> None:
        """Raises ValueError unless it is a month of a year from 1 to 9999."""
        date(self.year, self.month, 1)

    @classmethod
    def of(cls, day: date) -> "Month":
        """The month in which `day` falls; a moment must be made a business date first."""
        if isinstance(day, datetime):
            raise TypeError("Give Month.of a date: business_date(moment) says which.")
        return cls(day.year, day.month)

    @classmethod
    def parse(cls, text: str) -> "Month":
        """The month that `text` names as YYYY-MM. Raises ValueError with a sentence."""
        if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", text, re.ASCII) or text.startswith("0000"):
            raise ValueError(f"{text[:20]!r} is not a month; write it as YYYY-MM, like 2026-03.")
        return cls(int(text[:4]), int(text[5:]))

    @classmethod
    def current(cls) -> "Month":
        """The current month in the business time zone."""
        return cls.of(today())

    @property
    def first(self) -> date:
        """Its first day."""
        return date(self.year, self.month, 1)

    @property
    def last(self) -> date:
        """Its last day."""
        if (self.year, self.month) == (9999, 12):
            return date.max
        return (self + 1).first - timedelta(days=1)

    @property
    def next(self) -> "Month":
        """The month after it."""
        return self + 1

    @property
    def previous(self) -> "Month":
        """The month before it."""
        return self - 1

    def through(self, last: "Month") -> Iterator["Month"]:
        """This month and every one up to and including `last`; none when `last` is earlier."""
        for months in range(last._index - self._index + 1):
            yield self + months

    def __contains__(self, day: date) -> bool:
        return Month.of(day) == self

    def __add__(self, months: int) -> "Month":
        year, month = divmod(self._index + months, 12)
        return Month(year, month + 1)

    def __sub__(self, months: int) -> "Month":
        return self + -months

    def __lt__(self, other: "Month") -> bool:
        return self._index < other._index

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"

    @property
    def _index(self) -> int:
        return self.year * 12 + self.month - 1
