"""`import accounts` and `journal`: accounts, created and updated by code; entries with their lines, posted at once.

The lines of an entry share its number. An entry with the number of a posted one must be identical, so the same
file again posts nothing; no file changes a posted entry.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Date,
    Numeric,
    Select,
    Table,
    Text,
    and_,
    func,
    insert,
    literal,
    null,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.dialects.postgresql import insert as insert_or_nothing
from sqlalchemy.orm import aliased

from ...base import N_, table_of
from ...base.refusals import Locked
from ...base.upserts import upsert
from ...book.queries import locked_until
from ...ledger.actions import hold_roles
from ...ledger.fields import CODE, ENTRY_DATE, LINE_MEMO, MEMO, NAME, NUMBER, ROLE, SOURCE, TYPE
from ...ledger.models import Account, JournalEntry, JournalLine
from ...ledger.posting.sources import is_document, is_known
from ...ledger.refusals import AccountInactive, NoOneSide, NotBalanced, RoleTaken, TypeInUse
from ...ledger.rules import (
    ASSET,
    CODE_LENGTH,
    EQUITY,
    EXPENSE,
    LIABILITY,
    POSTED,
    RETAINED_EARNINGS,
    REVENUE,
    TEXT_LENGTH,
)
from ..files import cells
from ..files.reading import ImportColumn
from ..files.stage import Stage
from ..report import Problem
from .base import Changes, ImportKind, creates, reads
from .field_columns import columns_of

NO_ACCOUNT = N_("There is no account %(value)s. Import the accounts first.")

OTHER_TYPES = {
    ASSET: "assets aset aktiva harta bank cash receivable accounts_receivable fixed_asset fixed_assets "
    "current_asset other_current_asset other_asset inventory",
    LIABILITY: "liabilities kewajiban liabilitas utang hutang payable accounts_payable credit_card "
    "current_liability other_current_liability long_term_liability",
    EQUITY: "ekuitas modal capital",
    REVENUE: "sales pendapatan penghasilan other_income",
    EXPENSE: "expenses beban biaya cost_of_goods_sold cogs cost_of_sales other_expense",
}
"""Type of account → its names in other programs."""

ODOO_TYPES = {
    ASSET: "asset_receivable asset_cash asset_current asset_non_current asset_prepayments asset_fixed",
    LIABILITY: "liability_payable liability_credit_card liability_current liability_non_current",
    EQUITY: "equity equity_unaffected",
    REVENUE: "income income_other",
    EXPENSE: "expense expense_other expense_depreciation expense_direct_cost",
}
"""Type of account → Odoo's own types, whole: `income_tax_payable` is none of them. `off_balance` has no type here."""

_KNOWN_TYPES = {
    name: of
    for types in (OTHER_TYPES, ODOO_TYPES)
    for of, names in types.items()
    for name in (of, *names.split())
}


_TYPE = cells.one_of(TYPE.words)


def _account_type(cell: str) -> str:
    """The type of an account, also by the names of other programs."""
    name = "_".join(re.findall(r"[a-z]+", cell.lower()))
    return _KNOWN_TYPES.get(name) or _TYPE(cell)


ACCOUNTS = (
    *columns_of((CODE, NAME)),
    ImportColumn("type", _account_type, TYPE.column.type),
    ImportColumn(
        "parent", cells.text(CODE_LENGTH), Text(), required=False, may_be_empty=True, empty=""
    ),
    ImportColumn("is_active", cells.yes_or_no, Boolean(), required=False),
    *columns_of((ROLE,)),
)  # fmt: skip

_above = aliased(Account)


def _check_accounts(stage: Stage) -> Iterator[Problem]:
    c = stage.c
    yield from stage.problems(
        stage.repeated("code"), "code", N_("This code stands in line %(first)s already.")
    )
    of_code = stage.at(Account.code.label("code")).join(Account, Account.code == c.code)
    is_used = select(JournalLine.id).where(JournalLine.account_id == Account.id).exists()
    yield from stage.problems(
        of_code.where(Account.type != c.type, is_used), "type", TypeInUse.sentence
    )
    if stage.has("parent"):
        other = stage.lines.alias()
        is_known = (
            select(Account.id).where(Account.code == c.parent).exists()
            | select(other.c.n).where(other.c.code == c.parent).exists()
        )
        parent = stage.at(c.parent.label("value")).where(c.parent != "")
        yield from stage.problems(parent.where(~is_known), "parent", NO_ACCOUNT)


def _apply_accounts(stage: Stage) -> Changes:
    """Create the accounts first, and then set their parents."""
    session, c = stage.session, stage.c
    is_there = select(Account.id).where(Account.code == c.code).exists()
    given = [name for name in ("name", "type", "is_active", "role") if stage.has(name)]
    changed = {"version": Account.version + 1, "updated_at": func.now()}
    rows = select(c.code, *(c[name] for name in given)).order_by(c.code)
    if not stage.has("parent"):
        return Changes(*upsert(session, Account, rows, "code", on_change=changed))
    above = select(_above.id).where(_above.code == c.parent).scalar_subquery().label("parent_id")
    created = upsert(session, Account, rows.where(~is_there), "code").created
    new = Account.version == 1, Account.created_at == func.now()
    beneath = update(Account).where(*new, Account.code == c.code, c.parent != "")
    session.execute(
        beneath.values(parent_id=above.element), execution_options={"synchronize_session": False}
    )
    updated = upsert(session, Account, rows.add_columns(above), "code", on_change=changed).updated
    return Changes(created, updated)


def _check_accounts_result(stage: Stage) -> Iterator[Problem]:
    yield from _circles(stage)
    yield from _roles_taken(stage)


def _roles_taken(stage: Stage) -> Iterator[Problem]:
    """Problems of accounts with a role that another active account has; see `refuse_role`."""
    hold_roles(stage.session)  # after the rows, as saving an account does
    other = aliased(Account)
    is_same = other.role == Account.role, other.is_active, other.id != Account.id
    code = select(func.min(other.code)).where(*is_same).scalar_subquery()
    rows = stage.at(code.label("code")).join(Account, Account.code == stage.c.code)
    rows = rows.where(
        Account.is_active, Account.role.not_in(("", RETAINED_EARNINGS)), Account.updated_at == func.now(),
        code.is_not(None),
    )  # fmt: skip
    yield from stage.problems(rows, "role" if stage.has("role") else "code", RoleTaken.sentence)


def _circles(stage: Stage) -> Iterator[Problem]:
    """Problems of accounts that would be their own ancestors."""
    own = select(Account.code.label("code"), Account.parent_id).where(
        Account.code.in_(select(stage.c.code)), Account.parent_id.is_not(None)
    )
    above = own.cte("above", recursive=True)
    further = select(above.c.code, _above.parent_id).join(_above, _above.id == above.c.parent_id)
    above = above.union(further)
    is_circle = above.join(Account, Account.id == above.c.parent_id)
    codes = select(above.c.code).select_from(is_circle).where(Account.code == above.c.code)
    yield from stage.problems(
        stage.at(stage.c.code.label("value")).where(stage.c.code.in_(codes)),
        "parent" if stage.has("parent") else "code",
        N_("Account %(value)s would stand beneath itself. Choose another parent."),
    )


NO_DOCUMENT = N_(
    "%(value)s is no document of this book. Leave the columns document and document_date out."
)


def _document(cell: str) -> str:
    if not is_document(cells.text(TEXT_LENGTH)(cell)):
        raise cells.CellError(NO_DOCUMENT, value=cell)
    return cell


_TEXTS = columns_of((MEMO, SOURCE))
_SIDE = (cells.amount, Numeric(15, 2), True, True, Decimal(0))

JOURNAL = (
    ImportColumn("entry_number", columns_of((NUMBER,))[0].read, Text()),
    ImportColumn("date", columns_of((ENTRY_DATE,))[0].read, ENTRY_DATE.column.type),
    ImportColumn("memo", _TEXTS[0].read, Text(), may_be_empty=True, empty=""),
    ImportColumn("account_code", cells.text(CODE_LENGTH), Text()),
    ImportColumn("debit", *_SIDE),
    ImportColumn("credit", *_SIDE),
    ImportColumn("line_memo", columns_of((LINE_MEMO,))[0].read, Text(), False, True, ""),
    ImportColumn("source", _TEXTS[1].read, Text(), False, True, ""),
    ImportColumn("document", _document, Text(), False, True),
    ImportColumn("document_date", cells.day, Date(), False, True),
)
OF_ENTRY = {
    "date": JournalEntry.entry_date, "memo": JournalEntry.memo, "source": JournalEntry.source,
    "document": JournalEntry.document, "document_date": JournalEntry.document_date,
}  # fmt: skip
"""Column of the file → column of the entry; all lines of an entry have the same value, or none."""


def _check_journal(stage: Stage) -> Iterator[Problem]:
    c = stage.c
    yield from stage.problems(
        stage.unknown("account_code", Account.code.expression), "account_code", NO_ACCOUNT
    )
    is_one_side = and_(func.least(c.debit, c.credit) == 0, func.greatest(c.debit, c.credit) > 0)
    yield from stage.problems(stage.at().where(~is_one_side), "debit", NoOneSide.sentence)
    for name in filter(stage.has, OF_ENTRY):
        yield from stage.problems(
            stage.contradicting(name, "entry_number"),
            name,
            N_("Another line of this entry has %(first)s."),
        )
    document, day = (
        c[name] if stage.has(name) else null() for name in ("document", "document_date")
    )
    incomplete = stage.at().where(document.is_(None) != day.is_(None))
    yield from stage.problems(
        incomplete, "document", N_("Give document and document_date together.")
    )
    if stage.has("document"):
        named = stage.at(document.label("value")).where(document.is_not(None))
        yield from stage.problems(named.where(~is_known(document)), "document", NO_DOCUMENT)
    yield from _unbalanced(stage)
    stored = stage.lay_out(_entries(stage)).c
    lines = stage.at(stored.number.label("number")).join(stage.wanted, stored.n == c.n)
    yield from stage.problems(
        lines.where(stored.is_stored, ~stored.is_same),
        "entry_number",
        N_(
            "There is another entry %(number)s already. Choose another number, or reverse that one."
        ),
    )
    is_new = ~stored.is_stored
    inactive = stage.at(Account.code.label("code")).join(Account, Account.code == c.account_code)
    new = select(stored.number).where(is_new)
    yield from stage.problems(
        inactive.where(~Account.is_active, c.entry_number.in_(new)),
        "account_code",
        AccountInactive.sentence,
    )
    if (until := locked_until(stage.session)) is not None:
        late = lines.add_columns(literal(until.isoformat(), Text).label("until"))
        yield from stage.problems(late.where(is_new, c.date <= until), "date", Locked.sentence)


def _unbalanced(stage: Stage) -> Iterator[Problem]:
    """Problems of unbalanced entries, at the first line of each."""
    c = stage.c
    sums = (
        select(
            func.min(c.n).label("n"), c.entry_number.label("number"),
            func.sum(c.debit).label("debits"), func.sum(c.credit).label("credits"),
        )
        .group_by(c.entry_number)
        .having(func.sum(c.debit) != func.sum(c.credit))
        .subquery()
    )  # fmt: skip
    lines = stage.at(sums.c.number, sums.c.debits, sums.c.credits).join(sums, sums.c.n == c.n)
    yield from stage.problems(lines, "entry_number", NotBalanced.sentence)


def _entries(stage: Stage) -> Select[Any]:
    """The entries of the files, each at its first line: whether one is stored, and whether it is identical."""
    c, e, line = stage.c, JournalEntry, JournalLine
    says_memo = stage.has("line_memo")
    own = (c.debit, c.credit, *([c.line_memo] if says_memo else []))
    said = _content(Account.id, *own, order=(c.n,))
    theirs = (line.debit, line.credit, *([line.memo] if says_memo else []))
    held = _content(line.account_id, *theirs, order=(line.position, line.id))
    stored = select(held).where(line.entry_id == e.id).scalar_subquery()
    head = [func.min(c[n]).is_not_distinct_from(OF_ENTRY[n]) for n in OF_ENTRY if stage.has(n)]
    return (
        select(
            func.min(c.n).label("n"), c.entry_number.label("number"), e.id.is_not(None).label("is_stored"),
            func.coalesce(and_(e.status == POSTED, said == stored, *head), False).label("is_same"),
        )
        .select_from(stage.lines)
        .outerjoin(Account, Account.code == c.account_code)
        .outerjoin(e, e.number == c.entry_number)
        .group_by(c.entry_number, e.id)
    )  # fmt: skip


def _content(*values: Any, order: Any) -> ColumnElement[Any]:
    """Lines in order, as JSON, in which amounts are compared as numbers."""
    return func.jsonb_agg(aggregate_order_by(func.jsonb_build_array(*values), *order))


def _apply_journal(stage: Stage) -> Changes:
    """Draft every entry that is not stored, with its lines, and post them."""
    session, c = stage.session, stage.c
    new = select(stage.wanted.c.number).where(~stage.wanted.c.is_stored)
    said = [name for name in OF_ENTRY if stage.has(name)]
    heads = (
        select(c.entry_number, *(func.min(c[name]) for name in said))
        .where(c.entry_number.in_(new))
        .group_by(c.entry_number)
        .order_by(func.min(c.date), func.min(c.n))
    )
    columns = ["number", *(OF_ENTRY[name].key for name in said)]
    made = insert_or_nothing(JournalEntry).from_select(columns, heads)
    made = made.on_conflict_do_nothing(index_elements=[JournalEntry.number])
    entries = made.returning(JournalEntry.id, JournalEntry.number).cte("entries")
    place = func.row_number().over(partition_by=entries.c.id, order_by=c.n) - 1
    memo = c.line_memo if stage.has("line_memo") else literal("")
    lines = (
        select(entries.c.id, place, Account.id, c.debit, c.credit, memo)
        .select_from(stage.lines)
        .join(entries, entries.c.number == c.entry_number)
        .join(Account, Account.code == c.account_code)
        .order_by(entries.c.id, c.n)
    )
    columns = ["entry_id", "position", "account_id", "debit", "credit", "memo"]
    written = insert(JournalLine).from_select(columns, lines).returning(JournalLine.entry_id)
    ids = list(session.scalars(written))
    session.execute(
        update(JournalEntry).where(JournalEntry.id.in_(set(ids))).values(status=POSTED),
        execution_options={"synchronize_session": False},
    )
    return Changes(len(ids), 0)


def _check_concurrent(stage: Stage) -> Iterator[Problem]:
    """Problems of entries with a number that another user has used meanwhile."""
    stored = _entries(stage).subquery()
    lines = stage.at(stored.c.number).join(stored, stored.c.n == stage.c.n)
    yield from stage.problems(
        lines.where(~stored.c.is_same),
        "entry_number",
        N_("Another user has entered %(number)s in the meantime. Import the file again."),
    )


def _accounts(stage: Stage) -> Iterator[tuple[Table, int]]:
    """The accounts with new postings."""
    c, new = stage.c, select(stage.wanted.c.number).where(~stage.wanted.c.is_stored)
    named = select(Account.id).join(stage.lines, Account.code == c.account_code)
    posted = named.where(c.entry_number.in_(new)).distinct()
    return ((table_of(Account), key) for key in stage.session.scalars(posted).all())


def _totals(stage: Stage) -> Mapping[str, ColumnElement[Any]]:
    return {N_("Debits"): func.sum(stage.c.debit), N_("Credits"): func.sum(stage.c.credit)}


KINDS = (
    ImportKind(
        "accounts", ACCOUNTS, _check_accounts, _apply_accounts, _check_accounts_result, creates=creates("code", CODE),
        reads=(reads("code", Account.code, is_locked_here=True), reads("parent", Account.code)),
    ),
    ImportKind(
        "journal", JOURNAL, _check_journal, _apply_journal, _check_concurrent,
        together="entry_number", totals=_totals, moved_at_once=_accounts, creates=creates("entry_number", NUMBER),
        reads=(reads("entry_number", JournalEntry.number), reads("account_code", Account.code)),
    ),
)  # fmt: skip
"""In the order in which a company's files are imported."""
