"""Notices of runs on Today: failed runs, waiting runs, and the user's own dry runs that are not applied."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from flask import url_for
from flask_babel import ngettext
from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session, aliased

from ..app.attention import Notice, Source
from ..base import periods
from ..web.formats import quantity_filter
from .actions import may_approve
from .kinds import kind_of, kinds
from .models import AWAITING_APPROVAL, COMPLETED, QUEUED, Run, ready_at
from .queries import is_unmended
from .wording import kind_title

LATELY = timedelta(days=7)
"""How long Today shows a run that failed, and a dry run that has not been applied."""

PATIENCE = timedelta(minutes=1)
"""How long a run may wait for a worker before users are notified."""

MOST_REPORTED = 5
"""The maximum of dry runs that are listed, one notice each."""


def _runs(session: Session, user: Any) -> Iterator[Notice]:
    since, is_mine = periods.today() - LATELY, Run.requested_by == f"user:{user.id}"
    approvable = [name for name in kinds() if may_approve(user, name)]
    is_late = ready_at() < datetime.now(UTC) - PATIENCE
    failed, own, others, waiting = session.execute(
        select(
            func.count().filter(is_unmended(), Run.created_at >= periods.start_of(since)),
            func.count().filter(Run.status == AWAITING_APPROVAL, is_mine),
            func.count().filter(
                Run.status == AWAITING_APPROVAL, ~is_mine, Run.kind.in_(approvable)
            ),
            func.count().filter(Run.status == QUEUED, is_late),
        )
    ).one()
    if others:
        sentence = ngettext(
            "%(num)d run waits for your approval.", "%(num)d runs wait for your approval.", others
        )
        yield Notice(sentence, url_for("runs.index", status="awaiting-approval"), "warning", others)
    if own:
        sentence = ngettext(
            "%(num)d run of yours waits for another user's approval.",
            "%(num)d runs of yours wait for another user's approval.",
            own,
        )
        here = url_for("runs.index", status="awaiting-approval", mine="1")
        yield Notice(sentence, here, "info", own)
    if failed:
        sentence = ngettext(
            "%(num)d run failed, or finished with failures, in the last seven days.",
            "%(num)d runs failed, or finished with failures, in the last seven days.",
            failed,
        )
        here = url_for("runs.index", status="unmended", since=since, quiet="1")
        yield Notice(sentence, here, "danger", failed)
    if waiting:
        sentence = ngettext(
            "%(num)d run has waited for a worker for more than a minute.",
            "%(num)d runs have waited for a worker for more than a minute.",
            waiting,
        )
        yield Notice(sentence, url_for("runs.index", status="queued", quiet="1"), "danger", waiting)


def _not_applied(session: Session, user: Any) -> Iterator[Notice]:
    """The user's own dry runs that found something and have been neither applied nor repeated."""
    later, applicable = aliased(Run), [name for name, kind in kinds().items() if kind.apply_as]
    is_past = exists().where(
        (later.follows == Run.id) | ((later.kind == Run.kind) & (later.scope_key == Run.scope_key)),
        later.id > Run.id,
    )
    mine = (
        select(Run)
        .where(
            Run.requested_by == f"user:{user.id}",
            Run.kind.in_(applicable),
            Run.dry_run,
            Run.changed > 0,
            Run.status.in_(COMPLETED),
            Run.finished_at > datetime.now(UTC) - LATELY,
            ~is_past,
        )
        .order_by(Run.id.desc())
    )
    whole = (run for run in session.scalars(mine) if not kind_of(run.kind).is_part(run.scope))
    for run in islice(whole, MOST_REPORTED):
        sentence = ngettext(
            "Dry run %(run)s (%(kind)s) found %(count)s row that is wrong, and is not applied.",
            "Dry run %(run)s (%(kind)s) found %(count)s rows that are wrong, and is not applied.",
            run.changed,
            run=run.id,
            kind=kind_title(run.kind),
            count=quantity_filter(run.changed),
        )
        yield Notice(sentence, url_for("runs.record", run_id=run.id), "info", run.changed)


NOTICES = (
    Source("runs", "attention", "runs.read", _runs),
    Source("dry runs", "unfinished", "runs.read", _not_applied),
)
