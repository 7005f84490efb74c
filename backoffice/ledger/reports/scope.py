"""Which days a report is of, which ones it is compared with, and what else is usual to compare."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from ...base import periods
from ...base.periods import Month, read_day, year_before

Given = Mapping[str, str]
"""Arguments of an address, each once."""


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
class Asked:
    """The days that a report is of, and those that it is compared with, if any."""

    period: Period
    against: Period | None = None

    @property
    def all(self) -> list[Period]:
        """The period, and the second one if there is one."""
        return [self.period, *([] if self.against is None else [self.against])]


def asked_days(given: Given) -> Asked:
    """The ends of days of which an address asks for a balance sheet; today where it says none."""
    day, against = (read_day(given.get(name, "")) for name in ("as_of", "against"))
    then = None if against is None else Period(None, against)
    return Asked(Period(None, day or periods.today()), then)


def asked_periods(given: Given) -> Asked:
    """The periods of an address; this year up to today where it says none that ends after it begins."""
    today = periods.today()
    usual = Period(date(today.year, 1, 1), today)
    against = _period(given, "against_since", "against_until")
    return Asked(_period(given, "since", "until") or usual, against)


def _period(given: Given, first: str, last: str) -> Period | None:
    since, until = (read_day(given.get(name, "")) for name in (first, last))
    if until is None and since is not None:
        until = max(since, periods.today())
    return None if until is None or (since and since > until) else Period(since, until)
