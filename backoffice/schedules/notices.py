"""Notices of schedules on Today: last night's runs, and whether a scheduler is running."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import g, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy.orm import Session

from ..app.attention import Notice, Source, Weight
from ..runs.models import DONE, DONE_WITH_FAILURES, FAILED, Run
from ..runs.wording import STATUSES
from ..web.formats import moment_filter
from . import queries, wording
from .queries import ScheduleStatus

NIGHT = timedelta(hours=24)
"""How long Today shows a run that was started by a schedule."""


def _schedule_statuses(session: Session) -> Sequence[ScheduleStatus]:
    """The state of each schedule; read once, for all notices of this module."""
    if "schedules" not in g:
        g.schedules = queries.schedule_statuses(session, datetime.now(UTC))
    found: Sequence[ScheduleStatus] = g.schedules
    return found


def _alerts(session: Session, _user: Any) -> Iterator[Notice]:
    now = datetime.now(UTC)
    here = url_for("schedules.index")
    found = queries.attendance(session, now)
    if not found.at_work:
        yield Notice(_absent(found.looked_at), here, "danger")
    late = [status for status in _schedule_statuses(session) if status.needs_attention]
    if late:
        sentence = ngettext(
            "%(num)d schedule was not started when it was due.",
            "%(num)d schedules were not started when they were due.",
            len(late),
        )
        yield Notice(sentence, here, "warning", len(late))


def _absent(looked_at: datetime | None) -> str:
    if looked_at is None:
        return str(_("No scheduler is at work, so nothing is done by itself."))
    return str(
        _("No scheduler has looked what is due since %(moment)s.", moment=moment_filter(looked_at))
    )


def _nights(session: Session, _user: Any) -> Iterator[Notice]:
    now = datetime.now(UTC)
    for status in _schedule_statuses(session):
        run = status.run
        if run is None or status.is_quiet or now - run.created_at > NIGHT:
            continue
        yield Notice(
            _reported(status, run), url_for("runs.record", run_id=run.id), _weight(run.status)
        )


def _reported(status: ScheduleStatus, run: Run) -> str:
    title = _(status.schedule.title)
    if run.status == DONE and run.kind == "summary.daily":
        return f"{title}: {wording.summary_in_words(run.result)}"
    word = _(STATUSES[run.status].word)
    if run.status == DONE and run.kind.startswith("figures."):
        wrong = run.result.get("found", run.changed)
        word = _("%(status)s, %(num)s found wrong", status=word, num=wrong)
    return f"{title}: {word} ({moment_filter(run.created_at)})"


def _weight(status: str) -> Weight:
    if status == FAILED:
        return "danger"
    return "warning" if status == DONE_WITH_FAILURES else "info"


NOTICES = (
    Source("schedules", "attention", "runs.read", _alerts),
    Source("nights", "nights", "runs.read", _nights),
)
