"""The lists of accounts and of the journal, the running statement of an account, and the trial balance."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any

from flask import url_for
from sqlalchemy import ColumnElement, Select, and_, case, exists, or_, select, true
from sqlalchemy.orm import aliased

from ..base import N_, counted
from ..base.identifiers import whole_number
from ..base.periods import FIRST_DAY, LAST_DAY, today
from ..base.spelling import looks_like
from ..lists import AsOf, Choice, Column, Days, List, Search, containing
from ..records.listing import column_of
from .fields import CODE, ENTRY_DATE, IS_ACTIVE, MEMO, NAME, NUMBER, ROLE, SOURCE, TYPE
from .figures import account_sums
from .models import Account, JournalEntry, JournalLine
from .queries import closes_year_of, closing_entries, held_on, of_entry, running_lines
from .rules import DRAFT, POSTED, REVERSED, ROLES, STANDINGS, TONES, TYPES

_parent = aliased(Account)

AS_OF = AsOf("as_of", N_("As of"), today)
"""The trial balance is taken at the end of this day."""


def _account(row: Any) -> str:
    return url_for("accounts.record", code=row.code)


def _sum(name: str) -> Column:
    """A figure of an account, with the way to how it was calculated."""
    held = getattr(Account, name)

    def calculation(row: Any) -> str | None:
        at = "accounts.calculation_of"
        return url_for(at, code=row.code, column=name) if getattr(row, name) else None

    classes = "cell-total cell-lead" if name == "balance" else "cell-total cell-part"
    return Column(name, held.info["label"], held, kind="money", link=calculation, classes=classes)


_NO_CLOSING = Choice(
    "closing",
    N_("Closing entries"),
    {"without": (N_("left out"), true())},
    any_label=N_("included"),
)
"""Shows the trial balance before the year's closing entry; `trial_balance_of` applies it to the rows."""

_OF_TYPE = Choice.of("type", N_("Type"), Account.type, TYPES)

ACCOUNTS = List(
    "accounts",
    N_("Accounts"),
    "accounts.index",
    export="accounts.export",
    rows=lambda _user: select().select_from(Account).outerjoin(_parent, _parent.id == Account.parent_id),
    key=Account.id,
    columns=(
        column_of(CODE, link=_account, classes="cell-key"),
        column_of(NAME, classes="cell-name"),
        column_of(TYPE, classes="cell-word"),
        Column("parent", N_("Parent account"), _parent.code),
        column_of(IS_ACTIVE, is_shown=False),
        replace(_sum("debits"), total=True),
        replace(_sum("credits"), total=True),
        _sum("balance"),
    ),
    filters=(
        Search(
            "q", N_("Search"), containing(Account.code, Account.name),
            placeholder=N_("Code or name"),
        ),
        _OF_TYPE,
        Choice.of("role", ROLE.label, Account.role, {name: word for name, word in ROLES.items() if name}),
        Choice(
            "state", N_("Status"),
            {"active": (N_("Active"), and_(Account.is_active)), "inactive": (N_("Not active"), ~Account.is_active)},
        ),
    ),
    default_sort="code",
    counted=counted("%(num)s account", "%(num)s accounts"),
    new=("accounts.new", N_("New account")),
    nothing_yet=(N_("No accounts yet"), N_("A chart of accounts comes first, then entries.")),
    nothing_fits=(
        N_("No account fits that"),
        N_("Take something out of the filter, or search for a part of the name."),
    ),
    classes="accounts-table compact",
)  # fmt: skip

_reversal = aliased(JournalEntry)
_is_reversed = exists().where(_reversal.reverses_entry_id == JournalEntry.id)
_standing = case((_is_reversed, REVERSED), else_=JournalEntry.status)


def _entry(row: Any) -> str:
    return url_for("entries.record", number=row.number)


def _names_account(text: str) -> ColumnElement[bool]:
    """Entries with a line of the account with a code that looks so, or of those with the text in their name."""
    lines = select(JournalLine.entry_id).join(JournalLine.account)
    is_meant = or_(looks_like(Account.code, text), containing(Account.name)(text))
    return JournalEntry.id.in_(lines.where(is_meant))


ENTRIES = List(
    "entries",
    N_("Journal"),
    "entries.index",
    export="entries.export",
    rows=lambda _user: select().select_from(JournalEntry),
    key=JournalEntry.id,
    columns=(
        column_of(NUMBER, link=_entry, classes="cell-key"),
        column_of(ENTRY_DATE, classes="cell-date"),
        Column(
            "posting_number", N_("Posting number"), JournalEntry.posting_number, kind="number",
            is_sortable=False, is_shown=False,
        ),
        column_of(MEMO, classes="cell-wide"),
        column_of(SOURCE),
        Column(
            "status", N_("Status"), _standing, words=STANDINGS, tones=TONES, is_sortable=False,
            classes="cell-word",
        ),
        Column(
            "total", N_("Debits"), of_entry(JournalLine.debit), kind="money", total=True, is_sortable=False,
            classes="cell-total cell-lead",
        ),
    ),
    filters=(
        Search(
            "q", N_("Search"),
            containing(JournalEntry.number, JournalEntry.memo, JournalEntry.source),
            placeholder=N_("Number, memo or source"),
        ),
        Choice(
            "status", N_("Status"),
            {
                DRAFT: (STANDINGS[DRAFT], JournalEntry.status == DRAFT),
                POSTED: (STANDINGS[POSTED], and_(JournalEntry.status == POSTED, ~_is_reversed)),
                REVERSED: (STANDINGS[REVERSED], _is_reversed),
            },
        ),
        Days("since", "until", N_("From"), N_("to"), JournalEntry.entry_date),
        Search("account", N_("Account"), _names_account, placeholder=N_("Code or name")),
    ),
    default_sort="-entry_date",
    counted=counted("%(num)s entry", "%(num)s entries"),
    new=("entries.new", N_("New entry")),
    nothing_yet=(N_("No entries yet"), N_("An entry is written as a draft, and then posted.")),
    nothing_fits=(
        N_("No entry fits that"),
        N_("Take something out of the filter, or search for a part of the memo."),
    ),
    classes="journal-table compact",
)  # fmt: skip


def _before_closing(lines: Any, year: str) -> ColumnElement[bool]:
    """Lines without the closing entry of that year; those of earlier years stay."""
    first = date(min(max(whole_number(year), FIRST_DAY.year), LAST_DAY.year), 1, 1)
    return ~closes_year_of(first, lines)


def statement_of(account: Account) -> List:
    """What was posted to one account, the newest first; running balances ignore the filters."""
    lines = running_lines(account)
    c = lines.c

    def rows(_user: Any) -> Select[Any]:
        return select().select_from(lines)

    sides = (
        Column(name, label, c[name], kind="money", total=True, is_sortable=False, classes="cell-entered cell-detail")
        for name, label in (("debit", N_("Debit")), ("credit", N_("Credit")))
    )  # fmt: skip
    return List(
        "account_statement",
        N_("Account statement"),
        "accounts.statement",
        export="accounts.export_statement",
        rows=rows,
        key=c.id,
        columns=(
            Column("posted_on", N_("Date"), c.posted_on, kind="day", classes="cell-date"),
            Column("number", N_("Entry"), c.number, link=_entry, is_sortable=False, classes="cell-key"),
            Column("memo", N_("Memo"), c.memo, is_sortable=False, classes="cell-wide"),
            *sides,
            Column(
                "balance", N_("Balance"), c.balance, kind="money", is_sortable=False,
                classes="cell-total cell-lead",
            ),
        ),
        filters=(
            Days("since", "until", N_("From"), N_("to"), c.posted_on),
            Search("q", N_("Search"), containing(c.number, c.memo), placeholder=N_("Entry or memo")),
            Choice(
                "closing", N_("Closing entries"), {"without": (N_("left out"), c.entry_id.not_in(closing_entries()))},
                is_quiet=True,
            ),
            Search("open_year", N_("Year before it is closed"), partial(_before_closing, c), is_quiet=True),
        ),
        default_sort="-posted_on",
        counted=counted("%(num)s line", "%(num)s lines"),
        nothing_yet=(N_("Nothing is posted yet"), N_("Lines of posted entries appear here.")),
        classes="statement-table compact",
    )  # fmt: skip


def trial_balance_of(given: Mapping[str, str]) -> List:
    """The trial balance that an address asks for: a row for each account to which anything was posted by then."""
    day = AS_OF.day(given)
    is_open = bool(dict(_NO_CLOSING.read(given)))
    closing: dict[str, Any] = {"open_year": day.year} if is_open else {}
    held = held_on(day, *([closes_year_of(day)] if is_open else ()))

    def statement(row: Any) -> str:
        return url_for("accounts.statement", code=row.code, until=day, **closing)

    def lines_of(side: str) -> Callable[[Any], str | None]:
        return lambda row: statement(row) if getattr(row, side) else None

    def rows(_user: Any) -> Select[Any]:
        return select().select_from(Account).join(held, held.c.account_id == Account.id)

    own = aliased(Account)
    stands_on = {account_sums.name: select(own.id).where(own.id == Account.id)}
    sides = (
        Column(
            name, label, held.c[name], kind="money", total=True, link=lines_of(name), classes="cell-total cell-detail",
            stands_on=stands_on,
        )
        for name, label in (("debit", N_("Debit")), ("credit", N_("Credit")))
    )  # fmt: skip
    return List(
        "trial_balance",
        N_("Trial balance"),
        "ledger.trial_balance",
        export="ledger.export_trial_balance",
        rows=rows,
        key=Account.id,
        columns=(
            column_of(CODE, link=statement, classes="cell-key"),
            column_of(NAME, classes="cell-name"),
            column_of(TYPE, classes="cell-word"),
            *sides,
        ),
        filters=(AS_OF, _OF_TYPE, _NO_CLOSING),
        default_sort="code",
        is_computed=True,
        counted=counted("%(num)s account", "%(num)s accounts"),
        nothing_yet=(N_("Nothing is posted yet"), N_("Lines of posted entries appear here.")),
        classes="trial-balance-table compact",
    )  # fmt: skip
