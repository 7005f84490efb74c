"""Maintenance that a caller waits for: the run is executed at once, and left to the workers where it takes long."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from ...runs import actions
from ...runs.models import Run, RunItem
from ...runs.queries import run_of
from ...runs.working import perform
from ..models import Account
from .runs import MAINTAIN, SCOPE

SECONDS = 10.0
"""How long a caller waits."""

MOST_ITEMS = 1_000


class Maintained(NamedTuple):
    """A run, ended or not, with its items: what it changed, would change or left alone."""

    run: Run
    items: Sequence[dict[str, Any]]


def maintain(engine: Engine, *, dry_run: bool = False, seconds: float = SECONDS) -> Maintained:
    """Compare and heal; with `dry_run`, or for a user in a browser, only list what would be written.

    Raises AlreadyRunning: one maintenance runs at a time.
    """
    with Session(engine) as session:
        kind, scope = (MAINTAIN.preview(SCOPE) if dry_run else None) or (MAINTAIN.name, SCOPE)
        run_id = actions.request_or_preview(
            session, kind, scope, dry_run=dry_run, is_paced=False
        ).id
        session.commit()
    perform(engine, run_id, seconds=seconds)
    with Session(engine, expire_on_commit=False) as session:
        run = run_of(session, run_id)
        return Maintained(run, _items(session, run_id))


def _items(session: Session, run_id: int) -> list[dict[str, Any]]:
    """The outcome of every account that differed."""
    wanted = (
        select(RunItem, Account.code)
        .outerjoin(Account, (Account.id == RunItem.owner) & RunItem.subject.startswith("accounts."))
        .where(RunItem.run_id == run_id)
        .order_by(RunItem.id)
        .limit(MOST_ITEMS)
    )
    return [
        {
            "subject": item.subject, "account": code, "outcome": item.outcome, "before": item.before,
            "after": item.after, "reason": item.error,
        }
        for item, code in session.execute(wanted)
    ]  # fmt: skip
