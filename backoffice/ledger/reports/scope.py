"""Which days a report is of, which ones it is compared with, and what else is usual to compare."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from ...base import periods
from ...base.periods import Month, read_day

Given = Mapping[str, str]
"""Arguments of an address, each once."""


def year_before(day: date) -> date:
    """The same day a year earlier; the end of a month stays the end of its month."""
    month = Month.of(day) - 12
    return month.last if day == Month.of(day).last else date(month.year, month.month, day.day)


@dataclass(frozen=True)
class Period:
    """Days from `since` to `until`, both included; without a first one, from the beginning."""

    since: date | None
    until: date

    @property
    def previous(self) -> "Period | None":
        """As long a period right before it: whole months before whole months, else as many days."""
        if self.since is None or self.since <= periods.FIRST_DAY:
            return None
        until = self.since - timedelta(days=1)
        first, last = Month.of(self.since), Month.of(self.until)
        if (self.since, self.until) == (first.first, last.last):
            return Period((first - len(list(first.through(last)))).first, until)
        return Period(until - (self.until - self.since), until)

    @property
    def year_before(self) -> "Period":
        """The same days a year earlier."""
        return Period(
            None if self.since is None else year_before(self.since), year_before(self.until)
        )


@dataclass(frozen=True)
class Days:
    """What is asked of a balance sheet: a day, and the one that it is compared with."""

    day: date
    against: date | None = None

    @classmethod
    def asked(cls, given: Given) -> "Days":
        """The days of an address; today where it says none."""
        return cls(
            read_day(given.get("as_of", "")) or periods.today(), read_day(given.get("against", ""))
        )

    @property
    def all(self) -> list[date]:
        """The day, and the second one if there is one."""
        return [self.day, *([] if self.against is None else [self.against])]


@dataclass(frozen=True)
class Periods:
    """What is asked of an income statement: a period, and the one that it is compared with."""

    period: Period
    against: Period | None = None

    @classmethod
    def asked(cls, given: Given) -> "Periods":
        """The periods of an address; this year up to today where it says none that ends after it begins."""
        today = periods.today()
        usual = Period(date(today.year, 1, 1), today)
        return cls(
            _period(given, "since", "until") or usual,
            _period(given, "against_since", "against_until"),
        )

    @property
    def all(self) -> list[Period]:
        """The period, and the second one if there is one."""
        return [self.period, *([] if self.against is None else [self.against])]


def _period(given: Given, first: str, last: str) -> Period | None:
    since, until = (read_day(given.get(name, "")) for name in (first, last))
    if until is None and since is not None:
        until = max(since, periods.today())
    return None if until is None or (since and since > until) else Period(since, until)
