"""The run that posts what is open of documents: a chunk for each kind of document and month in which anything is."""

from collections.abc import Iterator
from datetime import date
from typing import Any

from sqlalchemy import Connection, Date, cast, func, select
from sqlalchemy.orm import Session

from ... import figures
from ...base import N_
from ...base.periods import Month
from ...runs.kinds import RunKind
from ...runs.models import APPLIED, FOUND, ITEM_FAILED
from ...runs.wording import Reason
from ...runs.work import Asked, Chunk, Step, Work
from ...web.record_links import Word
from ..periods.approved_verbs import CLOSE
from ..refusals import UNNAMED, AccountsNotNamed
from .actions import hold, reconcile
from .queries import EVERYTHING, Scope, open_documents, roles_without_account


def _plan(connection: Connection, _asked: Asked) -> Iterator[Chunk]:
    """The kinds of documents and months of which something is open."""
    rows = open_documents(EVERYTHING).subquery()
    month = cast(func.date_trunc("month", rows.c.day), Date)
    parts = select(rows.c.source, month.label("month"), func.count()).group_by(rows.c.source, month)
    for source, first, count in connection.execute(parts.order_by(month, rows.c.source)):
        yield Chunk({"source": source, "month": first.isoformat()}, count)


def _work(work: Work) -> None:
    """Post what is open of the chunk, or in a dry run list it."""
    month = Month.of(date.fromisoformat(work.payload["month"]))
    scope = Scope((work.payload["source"],), month.first, month.last)
    with work.transaction(is_last=True) as step, figures.session_over(step.connection) as session:
        if not work.asked.dry_run:
            hold(session)
        rows = session.execute(open_documents(scope)).all()
        outcome = _found(session, scope) if work.asked.dry_run else _posted(session, scope)
        for row in rows:
            _record(step, work.asked.kind, row, outcome)


def _found(session: Session, scope: Scope) -> str:
    """A dry run lists as failed what no account is named for: nothing of that is posted."""
    return ITEM_FAILED if roles_without_account(session, scope) else FOUND


def _posted(session: Session, scope: Scope) -> str:
    try:
        reconcile(session, scope)
    except AccountsNotNamed:
        return ITEM_FAILED
    return APPLIED


def _record(step: Step, kind: str, row: Any, outcome: str) -> None:
    step.tally.checked += 1
    is_failed = outcome == ITEM_FAILED
    step.tally.failed += is_failed
    step.tally.changed += not is_failed
    step.item(
        kind, outcome, key={"document": row.number or row.document, "day": row.day.isoformat()},
        error=UNNAMED if is_failed else "", amounts={"amount": row.amount, "gross": row.amount},
    )  # fmt: skip


POST = RunKind("ledger.post", N_("Post documents to the journal"), "ledger.write", _plan, _work)
KINDS = (POST,)

WORDS = (Word(POST.name, N_("Posting")), Word(CLOSE.name, N_("Month")))
"""What an item is of: a document on a day; a month that the maintenance closes."""

REASONS = (Reason(UNNAMED, "accounts.index"),)
