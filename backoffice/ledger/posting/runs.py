"""The run that posts what is open of documents: a chunk for each kind of document and month with anything open."""

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
from .actions import lock_posting, reconcile
from .queries import EVERYTHING, Scope, open_documents, roles_without_account


def _plan(connection: Connection, _asked: Asked) -> Iterator[Chunk]:
    """A chunk for each kind of document and month with something open."""
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
            lock_posting(session)
        rows = session.execute(open_documents(scope)).all()
        outcome = _preview(session, scope) if work.asked.dry_run else _post(session, scope)
        for row in rows:
            _record(step, work.asked.kind, row, outcome)


def _preview(session: Session, scope: Scope) -> str:
    """The outcome of a dry run: failed where a role has no account, because nothing would be posted."""
    return ITEM_FAILED if roles_without_account(session, scope) else FOUND


def _post(session: Session, scope: Scope) -> str:
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
"""What items are called: a posting of a document and day; a month that the maintenance closed."""

REASONS = (Reason(UNNAMED, "accounts.index"),)
