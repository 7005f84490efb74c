"""Periodic work that keeps the house clean; data in one list, and safe to do twice.

Until runs are scheduled by PostgreSQL this is all that the scheduler starts: the due times below
are each process's own, so two schedulers do it twice as often, to the same effect.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy import Delete, delete, func, select

from . import figures
from .extensions import db
from .imports.models import Import, ImportContent, ImportProblem
from .people.models import IdempotencyKey, WebSession

log = structlog.get_logger("backoffice.housekeeping")

KEYS_ARE_KEPT = timedelta(days=7)
"""How long the answer to a form is remembered for its repetitions."""

UPLOADS_ARE_KEPT = timedelta(days=90)
"""How long somebody may want to download the bad rows of a file."""


def delete_expired_sessions() -> None:
    """Forget browsers whose session has ended."""
    _delete(delete(WebSession).where(WebSession.expires_at < func.now()))


def delete_old_idempotency_keys() -> None:
    """Forget answers that no browser will ask for again."""
    _delete(delete(IdempotencyKey).where(IdempotencyKey.created_at < func.now() - KEYS_ARE_KEPT))


def delete_old_uploads() -> None:
    """Remove the bytes of files that were uploaded long ago, and what was wrong in them; who, when and what stays."""
    old = select(Import.id).where(Import.created_at < func.now() - UPLOADS_ARE_KEPT)
    for model in (ImportContent, ImportProblem):
        _delete(delete(model).where(model.import_id.in_(old)))


def report_noted_figures() -> None:
    """Say which figures an outside program may have left wrong, until somebody drains them."""
    noted = {figure.name: count for figure, count in figures.noted(db.session).items() if count}
    db.session.rollback()
    if noted:
        log.warning(
            "figures are noted by outside programs; drain them with: backoffice figures heal --noted",
            notes=noted,
        )


def _delete(statement: Delete) -> None:
    with db.engine.begin() as connection:
        count = connection.execute(statement).rowcount
    log.info("deleted", table=statement.table.description, count=count)


@dataclass(frozen=True)
class Chore:
    """A piece of periodic work."""

    work: Callable[[], None]
    every: timedelta


CHORES = {
    chore.work.__name__: chore
    for chore in (
        Chore(delete_expired_sessions, timedelta(hours=1)),
        Chore(delete_old_idempotency_keys, timedelta(days=1)),
        Chore(delete_old_uploads, timedelta(days=1)),
        Chore(report_noted_figures, timedelta(minutes=1)),
    )
}
"""Name → chore. The names are all that a worker executes."""
