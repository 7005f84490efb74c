"""Reads of the ledger: totals of entries, balances of accounts at the end of a day, and running balances."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, and_, case, func, or_, select, true
from sqlalchemy.orm import Session

from ..base import periods
from ..book.queries import locked_until
from .models import Account, JournalEntry, JournalLine, Period
from .rules import balance_of, net_of


def posting_day(session: Session, day: Any) -> Any:
    """The day on which what happened on `day` is posted, in a statement: that day, or today where it is locked."""
    until = locked_until(session)
    return day if until is None else case((day <= until, periods.today()), else_=day)


def sums_on(day: date, *left_out: ColumnElement[bool]) -> Subquery:
    """`account_id, debits, credits` at the end of the day: the stored sums less what is posted to later days.

    Lines that meet one of the conditions in `left_out` are subtracted too.
    """
    later = _posted_to_account(or_(JournalLine.posted_on > day, *left_out))
    return (
        select(
            Account.id.label("account_id"),
            net_of(Account.debits, later.c.debits).label("debits"),
            net_of(Account.credits, later.c.credits).label("credits"),
        )
        .join(later, true())
        .subquery()
    )


def closing_entries() -> Select[int | None]:
    """The ids of the entries that close years: they transfer earnings to equity, and are no revenue or expense."""
    return select(Period.closing_entry_id).where(Period.closing_entry_id.is_not(None))


def closes_year_of(day: date, lines: Any = JournalLine) -> ColumnElement[bool]:
    """Whether a line belongs to the entry that closes the year of that day, or a later one; not an earlier year."""
    is_of_year = lines.posted_on >= date(day.year, 1, 1)
    return and_(is_of_year, lines.entry_id.in_(closing_entries()))


def sums_between(since: date, until: date) -> Subquery:
    """`account_id, debits, credits` of what was posted to these days.

    Year-end closing entries are left out.
    """
    is_closing = JournalLine.entry_id.in_(closing_entries())
    posted = _posted_to_account(JournalLine.posted_on.between(since, until), ~is_closing)
    return (
        select(Account.id.label("account_id"), posted.c.debits, posted.c.credits)
        .join(posted, true())
        .subquery()
    )


def _posted_to_account(*conditions: ColumnElement[bool]) -> Any:
    """`debits, credits` of the lines of an account that fulfil these conditions on their day, by its index."""
    line = JournalLine
    debits, credited = (func.coalesce(func.sum(side), 0) for side in (line.debit, line.credit))
    lines = select(debits.label("debits"), credited.label("credits"))
    return lines.where(line.account_id == Account.id, *conditions).correlate(Account).lateral()


def held_on(day: date, *left_out: ColumnElement[bool]) -> Subquery:
    """`account_id, debit, credit` of accounts with postings by then: the net balance, on its side."""
    sums = sums_on(day, *left_out)
    net = net_of(sums.c.debits, sums.c.credits)
    return (
        select(
            sums.c.account_id, func.greatest(net, 0).label("debit"), func.greatest(-net, 0).label("credit")
        )
        .where((sums.c.debits != 0) | (sums.c.credits != 0))
        .subquery("held")
    )  # fmt: skip


def brought_forward(session: Session, account: Account, since: date) -> Decimal:
    """The balance of an account before that day."""
    sums = sums_on(since - timedelta(days=1))
    balance = balance_of(account.type, sums.c.debits, sums.c.credits)
    held: Decimal = session.scalars(select(balance).where(sums.c.account_id == account.id)).one()
    return held


def running_lines(account: Account) -> Subquery:
    """The lines that were posted to an account, each with the running balance after it."""
    line = JournalLine
    debited, credited = (
        func.sum(side).over(order_by=(line.posted_on, line.id))
        for side in (line.debit, line.credit)
    )
    running = balance_of(account.type, debited, credited)
    words = func.coalesce(func.nullif(line.memo, ""), JournalEntry.memo)
    return (
        select(
            line.id, line.entry_id, line.posted_on, JournalEntry.number, words.label("memo"), line.debit, line.credit,
            running.label("balance"),
        )
        .join_from(line, JournalEntry)
        .where(line.account_id == account.id, line.posted_on.is_not(None))
        .subquery("statement")
    )  # fmt: skip


def of_entry(side: Any) -> Any:
    """The total of an entry's lines on that side, as a column; both sides of a posted entry are equal."""
    sums = select(func.coalesce(func.sum(side), 0)).where(JournalLine.entry_id == JournalEntry.id)
    return sums.correlate(JournalEntry).scalar_subquery()
