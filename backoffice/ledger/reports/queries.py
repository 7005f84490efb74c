"""What accounts hold at the end of days, and what was posted to them in periods, side by side."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import Subquery, select
from sqlalchemy.orm import Session

from ..models import Account
from ..queries import sums_between, sums_on
from ..rules import EXPENSE, REVENUE, balance_of
from .scope import Period
from .sheets import Holding, Report, balance_sheet, income_statement


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
