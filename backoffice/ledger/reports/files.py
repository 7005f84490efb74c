"""Exports of the chart and the posted journal: CSV as `import accounts` and `import journal` read it, and beancount."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, aliased

from ...lists.csv_files import FLAVOURS, line_of
from ..models import Account, JournalEntry, JournalLine
from . import beancount

MOST_AT_ONCE = 1_000
"""Rows fetched at a time."""


def accounts_file(session: Session) -> Iterator[bytes]:
    """The chart of accounts, by code."""
    parent = aliased(Account)
    rows = (
        select(
            Account.code, Account.name, Account.type, func.coalesce(parent.code, "").label("parent"),
            Account.is_active, Account.role,
        )
        .outerjoin(parent, parent.id == Account.parent_id)
        .order_by(Account.code)
    )  # fmt: skip
    yield from _lines(session, rows)


def journal_file(session: Session) -> Iterator[bytes]:
    """The lines of posted entries, in the order in which the entries are dated and were posted."""
    line, entry = JournalLine, JournalEntry
    rows = _posted(
        entry.number.label("entry_number"), entry.entry_date.label("date"), entry.memo,
        Account.code.label("account_code"), line.debit, line.credit, line.memo.label("line_memo"), entry.source,
        entry.document, entry.document_date,
    ).join(Account, Account.id == line.account_id)  # fmt: skip
    yield from _lines(session, rows)


def beancount_file(session: Session) -> Iterator[bytes]:
    """The posted journal and the balances that are stored, for beancount."""
    days = select(func.min(JournalLine.posted_on), func.max(JournalLine.posted_on))
    begun, ended = session.execute(days).one()
    a, line, entry = Account, JournalLine, JournalEntry
    accounts = select(a.id, a.code, a.name, a.type, a.debits, a.credits).order_by(a.code)
    rows = _posted(
        entry.number, entry.entry_date, entry.memo, line.account_id, line.debit, line.credit
    )
    found = session.execute(rows.execution_options(yield_per=MOST_AT_ONCE))
    for text in beancount.written(session.execute(accounts), found, begun, ended):
        yield text.encode()


FILES = {"accounts": accounts_file, "journal": journal_file, "beancount": beancount_file}
"""Name of an export → the function that writes it."""


def _posted(*columns: Any) -> Select[Any]:
    line, entry = JournalLine, JournalEntry
    order = entry.entry_date, entry.posting_number, entry.id, line.position, line.id
    lines = select(*columns).select_from(line).join(entry, entry.id == line.entry_id)
    return lines.where(line.posted_on.is_not(None)).order_by(*order)


def _lines(session: Session, rows: Any) -> Iterator[bytes]:
    flavour = FLAVOURS["csv"]
    yield line_of(rows.selected_columns.keys(), flavour)
    for row in session.execute(rows.execution_options(yield_per=MOST_AT_ONCE)):
        yield line_of([_cell(value) for value in row], flavour)


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return {True: "yes", False: "no", None: ""}[value]
    return value.isoformat() if hasattr(value, "isoformat") else value
