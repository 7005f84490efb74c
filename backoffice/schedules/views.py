"""Schedules in the browser: the list with their states, and *Run now*."""

from datetime import UTC, datetime

from flask import Blueprint, Response, abort, flash, url_for
from flask_babel import gettext as _
from flask_login import current_user

from ..app.extensions import db
from ..base import periods
from ..runs import actions
from ..runs.errors import AlreadyRunning
from ..runs.kinds import kind_of
from ..runs.wording import STATUSES
from ..security.permissions import allowed, requires
from ..web.claims import Claim
from ..web.htmx import render
from ..web.idempotency import new_key
from . import queries, wording
from .catalog import schedule_of

bp = Blueprint("schedules", __name__, url_prefix="/schedules")


@bp.get("")
@requires("runs.read")
def index() -> Response:
    """Every schedule: its rule, its last run, and its next due time."""
    now = datetime.now(UTC)
    schedule_statuses = queries.schedule_statuses(db.session(), now)
    return render(
        "schedules/index.html",
        sections=[
            (_("The books"), [s for s in schedule_statuses if not s.is_quiet]),
            (_("Housekeeping"), [s for s in schedule_statuses if s.is_quiet]),
        ],
        attendance=queries.attendance(db.session(), now),
        zone=periods.timezone().key,
        may_run=allowed(current_user, "schedules.run"),
        new_key=new_key,
        wording=wording,
        STATUSES=STATUSES,
    )


@bp.post("/<name>/run")
@requires("schedules.run")
def run(name: str) -> Response:
    """Request the schedule's run now, outside its due times; what it would correct is previewed first."""
    schedule = schedule_of(name) or abort(404)
    if not allowed(current_user, kind_of(schedule.kind).permission):
        abort(403)
    claim = Claim("schedules.run")
    now = datetime.now(UTC)
    try:
        asked = actions.request_or_preview(
            db.session(), schedule.kind, schedule.scope(now), schedule=schedule.name
        ).id
    except AlreadyRunning as refusal:
        asked = refusal.run_id
        flash(
            _("Run %(run)s does the same at the moment; nothing further was started.", run=asked),
            "info",
        )
    return claim.complete(url_for("runs.record", run_id=asked))
