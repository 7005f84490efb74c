"""The figures of accounts: the sums of their posted lines, and the balance that follows from them.

A trigger adds to the sums when an entry is posted, by the app or any other program, with its accounts locked in the
order of their ids. Drafts are not counted.
"""

from typing import Any

from sqlalchemy import ColumnElement, Date, Interval, Text, cast, func, literal, or_, select

from ..base import N_
from ..book.models import Book
from ..figures import amounts, check, figure, total
from ..figures.declaring.checks import Side
from .models import Account, JournalEntry, JournalLine, Period
from .rules import CLOSED, POSTED


def _sum(side: Any) -> ColumnElement[Any]:
    """What was posted on that side of the account."""
    is_posted = JournalLine.posted_on.is_not(None)
    return func.coalesce(total(side, by=JournalLine.account_id, where=is_posted), 0)


account_sums = figure(
    {Account.debits: _sum(JournalLine.debit), Account.credits: _sum(JournalLine.credit)},
    name="accounts.sums",
    leading=Account.balance,
    title=N_("Debits and credits"),
    incremental=True,
    at_once=True,
    triggers={(JournalLine, "update"): "trg_auto_sync_balance_on_posting"},
    formulas={
        Account.debits: N_("The posted debits of the account"),
        Account.credits: N_("The posted credits of the account"),
    },
)

account_balance = figure(
    Account.balance,
    title=N_("Account balance"),
    formula=N_("Assets and expenses: debits − credits; all others: credits − debits"),
)

LEDGER_FIGURES = (account_sums, account_balance)
"""Every derived figure of accounts; the last one is an account's balance."""


def _of_entries(side: Any, *which: Any) -> Any:
    """The amounts on one side of these lines, each with the number of its entry."""
    lines = select(JournalEntry.number, side).join_from(JournalLine, JournalEntry)
    return lines.where(*which)


_is_posted = JournalEntry.status == POSTED
_on_its_day = JournalLine.posted_on == JournalEntry.entry_date

entries_balanced = check(
    "journal.balanced",
    amounts(
        N_("Debits of posted entries, on their days"),
        _of_entries(JournalLine.debit, _is_posted, _on_its_day),
    ),
    amounts(
        N_("Credits of posted entries, and of lines that count"),
        _of_entries(JournalLine.credit, or_(_is_posted, JournalLine.posted_on.is_not(None))),
    ),
    title=N_("Every posted entry is balanced, and counts on its day"),
)

trial_balanced = check(
    "accounts.trial",
    amounts(N_("Debits of all accounts"), select(literal(""), Account.debits)),
    amounts(N_("Credits of all accounts"), select(literal(""), Account.credits)),
    title=N_("The debits of all accounts are their credits"),
)


def _each(title: str, days: Any) -> Side:
    """A count of 1 for each of these days, by day."""
    day = days.subquery().c[0]
    return amounts(title, select(cast(day, Text), literal(1)).where(day.is_not(None)))


_is_closed = Period.status == CLOSED
_first, _last, _month = func.min(Period.month), func.max(Period.month), cast("1 month", Interval)
_through = cast(func.generate_series(_first, _last, _month), Date)
_last_day = cast(_last + _month - cast("1 day", Interval), Date)

months_in_order = check(
    "periods.closed",
    _each(N_("Closed months"), select(Period.month).where(_is_closed))
    + _each(N_("The last day of the last one"), select(_last_day).where(_is_closed)),
    _each(N_("Months from the first to the last of them"), select(_through).where(_is_closed))
    + _each(N_("The last closed day that the book says"), select(Book.closed_until)),
    title=N_("Closed months follow each other, up to the day that the book says"),
)
"""Triggers enforce this order; the check finds what was written past them. Its amounts are counts."""
