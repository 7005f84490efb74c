"""Posts what is open of documents: one difference entry per document and day. Nothing here commits."""

from typing import Any

from sqlalchemy import CTE, Insert, Text, case, cast, func, insert, literal, select, update
from sqlalchemy.orm import Session

from ...base import periods
from ...base.spelling import look_of
from ...database.numbering import following
from ..models import JournalEntry, JournalLine
from ..queries import posting_day
from ..refusals import AccountsNotNamed
from ..rules import DRAFT, POSTED, ROLES, TEXT_LENGTH
from .queries import Scope, open_lines, roles_without_account
from .sources import SOURCES

HEAD = "AP-{year}-"
"""Numbers of entries that rules post: AP-2026-00001."""

CHANGE = "Change:"
"""Prefix of the memo of a later posting of a document: it was changed, voided, moved or deleted."""

SPARE = 1_000
"""Further candidate numbers, in case users have taken some of them."""


def lock_posting(session: Session) -> None:
    """Serialize postings by rules, by an advisory lock until this transaction ends."""
    session.execute(select(func.pg_advisory_xact_lock(func.hashtext("ledger reconcile"))))


def reconcile(session: Session, scope: Scope) -> int:
    """Post what is open in the scope; answers how many entries. Repeating it posts nothing.

    An entry has the date of its document, or today's where that day is locked. Concurrent postings wait for each
    other, and each recomputes what is open after waiting. Raises AccountsNotNamed.
    """
    if missing := roles_without_account(session, scope):
        raise AccountsNotNamed(roles=", ".join(ROLES[role] for role in missing))
    lock_posting(session)
    ids = sorted(set(session.scalars(_inserting(session, scope))))
    if ids:
        posting = update(JournalEntry).where(JournalEntry.id.in_(ids), JournalEntry.status == DRAFT)
        session.execute(
            posting.values(status=POSTED), execution_options={"synchronize_session": False}
        )
    return len(ids)


def _inserting(session: Session, scope: Scope) -> Insert:
    """The statement that inserts drafts of everything open, with their lines; it returns each line's entry id."""
    lines = open_lines(scope).cte("open_lines")
    entries = _entries(session, lines)
    rank = func.row_number().over(
        partition_by=entries.c.id, order_by=(lines.c.amount < 0, lines.c.account_id)
    )
    rows = select(
        entries.c.id, rank - 1, lines.c.account_id,
        func.greatest(lines.c.amount, 0), func.greatest(-lines.c.amount, 0),
    ).join_from(
        lines, entries,
        (entries.c.document == lines.c.document) & (entries.c.document_date == lines.c.day),
    )  # fmt: skip
    columns = ("entry_id", "position", "account_id", "debit", "credit")
    return (
        insert(JournalLine)
        .from_select(columns, rows, include_defaults=False)
        .returning(JournalLine.entry_id)
    )


def _entries(session: Session, lines: CTE) -> CTE:
    """A draft for each document and day of the lines."""
    key = (lines.c.source, lines.c.document, lines.c.day)
    rank = func.row_number().over(order_by=(lines.c.day, lines.c.source, lines.c.document))
    documents = (
        select(
            *key,
            func.max(lines.c.number).label("number"),
            func.bool_or(lines.c.is_change).label("is_change"),
            rank.label("rank"),
        )
        .group_by(*key)
        .cte("documents")
    )
    numbers = _free_numbers(session, select(func.count()).select_from(documents).scalar_subquery())
    day = posting_day(session, documents.c.day)
    words = case({source.name: source.memo for source in SOURCES}, value=documents.c.source)
    memo = func.concat_ws(" ", case((documents.c.is_change, CHANGE)), words, documents.c.number)
    texts = (func.left(text, TEXT_LENGTH) for text in (memo, func.coalesce(documents.c.number, "")))
    rows = select(
        numbers.c.number, day, *texts, documents.c.document, documents.c.day,
    ).join_from(documents, numbers, numbers.c.rank == documents.c.rank)  # fmt: skip
    columns = ("number", "entry_date", "memo", "source", "document", "document_date")
    made = insert(JournalEntry).from_select(columns, rows, include_defaults=False)
    e = JournalEntry
    return made.returning(e.id, e.document, e.document_date).cte("entries")


def _free_numbers(session: Session, count: Any) -> Any:
    """`number, rank`: at least `count` numbers that no entry has."""
    head = HEAD.format(year=periods.today().year)
    first = following(
        session, JournalEntry.number, head
    )  # no other posting runs: see `lock_posting`
    series = func.generate_series(first, first + count + SPARE).table_valued("n").render_derived()
    digits = cast(series.c.n, Text)
    padded = func.lpad(digits, func.greatest(func.length(digits), 5), "0")
    number = func.concat(literal(head, Text), padded)
    taken = select(JournalEntry.id).where(look_of(JournalEntry.number) == look_of(number)).exists()
    rank = func.row_number().over(order_by=series.c.n)
    return select(number.label("number"), rank.label("rank")).where(~taken).subquery("numbers")
