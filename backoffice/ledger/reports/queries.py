"""The date ranges of a report, and the balances of accounts in them."""

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
"""The query arguments of an address."""

UNCLOSED = "unclosed"
"""The argument that makes an income statement cover all that no closing entry has moved yet."""


@dataclass(frozen=True)
class DateRange:
    """Days from `since` to `until`, both inclusive; without `since`, from the beginning."""

    since: date | None
    until: date

    @property
    def previous(self) -> "DateRange | None":
        """The range of the same length right before it: whole months before whole months, else as many days."""
        if self.since is None or self.since <= periods.FIRST_DAY:
            return None
        until = self.since - timedelta(days=1)
        first, last = Month.of(self.since), Month.of(self.until)
        if (self.since, self.until) == (first.first, last.last):
            return DateRange((first - len(list(first.through(last)))).first, until)
        return DateRange(until - (self.until - self.since), until)

    @property
    def year_before(self) -> "DateRange":
        """The same days a year earlier."""
        return DateRange(
            None if self.since is None else year_before(self.since), year_before(self.until)
        )


def balance_sheet_ranges(given: Given) -> list[DateRange]:
    """The date of a balance sheet from the query arguments, today without one, and the date compared with, if any."""
    day, against = (read_day(given.get(name, "")) for name in ("as_of", "against"))
    days = [day or periods.today(), *([against] if against else [])]
    return [DateRange(None, one) for one in days]


def income_statement_ranges(given: Given) -> list[DateRange]:
    """The range of an income statement from the query arguments, by default this year up to today, and the other one.

    Without a first day a range begins with its year; with `unclosed`, from the beginning.
    """
    today = periods.today()
    usual = DateRange(date(today.year, 1, 1), today)
    against = _period(given, "against_since", "against_until")
    return [_period(given, "since", "until") or usual, *([against] if against else [])]


def _period(given: Given, first: str, last: str) -> DateRange | None:
    since, until = (read_day(given.get(name, "")) for name in (first, last))
    if until is None and since is not None:
        until = max(since, periods.today())
    if until is None or (since and since > until):
        return None
    if since is None and not given.get(UNCLOSED):
        since = date(until.year, 1, 1)
    return DateRange(since, until)


def balance_sheet_of(session: Session, days: Sequence[date]) -> Report:
    """The balance sheet at the end of a day, compared with that of the second one if there is one."""
    return balance_sheet(_holdings(session, [DateRange(None, day) for day in days]), len(days))


def income_statement_of(session: Session, periods: Sequence[DateRange]) -> Report:
    """The income statement of a period, compared with that of the second one if there is one."""
    is_income = Account.type.in_((REVENUE, EXPENSE))
    return income_statement(_holdings(session, periods, is_income), len(periods))


def _holdings(session: Session, periods: Sequence[DateRange], *conditions: Any) -> list[Holding]:
    """The accounts by code, each with its balance in these date ranges, in one statement."""
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


def _sums_of(period: DateRange) -> Subquery:
    """The sums of a date range; from the beginning, the stored sums less what was posted later."""
    if period.since is None:
        return sums_on(period.until)
    return sums_between(period.since, period.until)
