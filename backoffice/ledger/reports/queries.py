"""Which days a report is of, and what accounts held at their end or were posted to in them, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Subquery, select
from sqlalchemy.orm import Session

from ...base import periods
from ...base.periods import Month, read_day, year_before
from ..models import Account
from ..queries import sums_between, sums_on
from ..rules import EXPENSE, REVENUE, balance_of
from .sheets import Holding, Report, balance_sheet, income_statement

Given = Mapping[str, str]
"""Arguments of an address, each once."""

UNCLOSED = "unclosed"
"""The argument by which an income statement is of what current earnings are."""


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
    """The periods of an address; this year up to today where it says none that ends after it begins.

    Without a first day they begin with the year; `unclosed` ones are all that no closing entry has moved yet.
    """
    today = periods.today()
    usual = Period(date(today.year, 1, 1), today)
    against = _period(given, "against_since", "against_until")
    return Asked(_period(given, "since", "until") or usual, against)


def _period(given: Given, first: str, last: str) -> Period | None:
    since, until = (read_day(given.get(name, "")) for name in (first, last))
    if until is None and since is not None:
        until = max(since, periods.today())
    if until is None or (since and since > until):
        return None
    if since is None and not given.get(UNCLOSED):
        since = date(until.year, 1, 1)
    return Period(since, until)


def balance_sheet_of(session: Session, days: Sequence[date]) -> Report:
    """The balance sheet at the end of a day, compared with that of the second one if there is one."""
    return balance_sheet(_holdings(session, [Period(None, day) for day in days]), len(days))


def income_statement_of(session: Session, periods: Sequence[Period]) -> Report:
    """The income statement of a period, compared with that of the second one if there is one."""
    is_income = Account.type.in_((REVENUE, EXPENSE))
    return income_statement(_holdings(session, periods, is_income), len(periods))


def _holdings(session: Session, periods: Sequence[Period], *conditions: Any) -> list[Holding]:
    """The accounts by code, each with what it came to in these periods, in one statement."""
    sums = [_sums_of(period) for period in periods]
    own = (Account.id, Account.code, Account.name, Account.type, Account.parent_id)
    balances = (balance_of(Account.type, each.c.debits, each.c.credits) for each in sums)
    rows = select(*own, *balances).where(*conditions).order_by(Account.code)
    for each in sums:
        rows = rows.join(each, each.c.account_id == Account.id)
    return [
        Holding(row.id, row.code, row.name, row.type, row.parent_id, tuple(row[len(own) :]))
        for row in session.execute(rows)
    ]


def _sums_of(period: Period) -> Subquery:
    """From the beginning on it is what is stored, less what came later."""
    if period.since is None:
        return sums_on(period.until)
    return sums_between(period.since, period.until)
