"""Runs in the browser: the list, one run with its progress and its items, and the actions on it."""

from typing import Any

from flask import Blueprint, Response, abort, current_app, flash, redirect, url_for
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import select
from werkzeug.wrappers import Response as AnyResponse

from .. import lists
from ..app.extensions import db
from ..security.permissions import requires
from ..web.claims import Claim
from ..web.htmx import render, trigger, wants_partial
from . import actions, queries
from .actions import Limits, may_act, may_approve
from .forms import ApplyForm, about
from .items import items_of
from .kinds import kinds
from .listing import RUNS
from .models import Run, RunItem

bp = Blueprint("runs", __name__, url_prefix="/runs")


RECORD = "runs/record.html"


lists.add_list(bp, "", "index", "runs.read", lambda: RUNS, "runs/index.html")


@bp.get("/<int:run_id>")
@requires("runs.read")
def record(run_id: int) -> Response:
    """One run: its progress, its result, its items, and the actions offered."""
    return _page(queries.run_of(db.session(), run_id), ApplyForm())


@bp.get("/<int:run_id>/progress")
@requires("runs.read")
def progress(run_id: int) -> AnyResponse:
    """The run's progress, polled every second; when it has ended, the page's items are sent too."""
    if not wants_partial():
        return redirect(url_for("runs.record", run_id=run_id), 303)
    run = queries.run_of(db.session(), run_id)
    response = render(RECORD, "run", **_about(run, ApplyForm()))
    return response if run.is_live else trigger(response, "runEnded")


@bp.get("/<int:run_id>/items.<flavour>")
@requires("runs.read")
@lists.limited
def export_items(run_id: int, flavour: str) -> Response:
    """The items that match the filter, as a file."""
    run = queries.run_of(db.session(), run_id)
    return lists.export(items_of(queries.reporting_run(run)), flavour)


@bp.post("/<int:run_id>/cancel")
@requires("runs.read")
def cancel(run_id: int) -> Response:
    """Cancel the run; requires the permission of its kind."""
    run = _own_or_403(run_id)
    claim = Claim("runs.cancel")
    actions.cancel(db.session(), run.id)
    flash(_("Run %(run)s is stopped: nothing further of it is begun.", run=run.id), "success")
    return claim.complete(url_for("runs.record", run_id=run.id))


@bp.post("/<int:run_id>/retry")
@requires("runs.read")
def retry(run_id: int) -> Response:
    """Request a run of what this one left undone; requires the permission of its kind."""
    run = _own_or_403(run_id)
    claim = Claim("runs.retry")
    asked = actions.retry(db.session(), run.id)
    return claim.complete(url_for("runs.record", run_id=asked.id))


@bp.post("/<int:run_id>/approve")
@requires("runs.approve")
def approve(run_id: int) -> Response:
    """Approve a run that another user has requested."""
    run = queries.run_of(db.session(), run_id)
    if not may_approve(current_user, run.kind):
        abort(403)
    claim = Claim("runs.approve")
    actions.approve(db.session(), run.id)
    flash(_("Run %(run)s is approved.", run=run.id), "success")
    return claim.complete(url_for("runs.record", run_id=run.id))


@bp.post("/<int:run_id>/apply")
@requires("runs.read")
def apply(run_id: int) -> Response:
    """Request a run that applies exactly what the dry run has found; requires the permission of its kind."""
    run, form = _own_or_403(run_id), ApplyForm()
    claim = Claim("runs.apply")
    if not form.validate():
        response = _page(run, form)
        response.status_code = 422
        return response
    limits = Limits.of(current_app.config)
    asked = actions.apply(db.session(), run.id, reason=form.reason.data, limits=limits)
    return claim.complete(url_for("runs.record", run_id=asked.id))


def _own_or_403(run_id: int) -> Run:
    """The run, if the current user may act on its kind; else 403."""
    run = queries.run_of(db.session(), run_id)
    if not may_act(current_user, run):
        abort(403)
    return run


def _page(run: Run, form: ApplyForm) -> Response:
    reporting_run = queries.reporting_run(run)
    has_items = select(RunItem.id).where(RunItem.run_id == reporting_run).exists()
    about = {**_about(run, form), "has_items": db.session.scalar(select(has_items))}
    return lists.show(items_of(reporting_run), RECORD, **about)


def _about(run: Run, form: ApplyForm) -> dict[str, Any]:
    owner = queries.owner(db.session(), run)
    return {**about(run, form), "kind": kinds().get(run.kind), "owner": owner}
