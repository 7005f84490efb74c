"""The migration in the browser: six steps with their status, previewed one by one or all together."""

from typing import Any

from flask import Response, abort, current_app, flash, url_for
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import select
from werkzeug.utils import redirect
from werkzeug.wrappers import Response as AnyResponse

from ... import lists
from ...app.extensions import db
from ...runs.actions import Limits
from ...runs.errors import AlreadyRunning
from ...runs.models import Run, RunItem
from ...runs.wording import STATUSES, without_findings
from ...security.permissions import allowed, requires
from ...web import record_links as subjects
from ...web.claims import Claim
from ...web.htmx import render, wants_partial
from ...web.idempotency import new_key
from ..views import bp
from . import chain
from .lines import CASES, lines_of, totals_of, word_of
from .listing import item_list, summary_of
from .report import INFO, SEVERITIES
from .step_status import STATES, check_statuses, step_statuses, whole_previewed
from .steps import STEP_NAMED, STEP_OF, MigrationStep

PAGE = "billing/migration.html"
ALL = "all"
PREVIEW, RUN = "preview", "run"


@bp.get("/migration")
@requires("billing.read")
def migration() -> Response:
    """The six steps with their status, their last reports, and buttons to preview or run them."""
    return render(PAGE, "steps", **_about())


@bp.get("/migration/progress")
@requires("billing.read")
def migration_progress() -> AnyResponse:
    """The progress, polled every second while anything is under way."""
    if not wants_partial():
        return redirect(url_for("billing.migration"), 303)
    return render(PAGE, "steps", **_about())


@bp.post("/migration/<name>/<verb>")
@requires("figures.heal")
def migrate(name: str, verb: str) -> Response:
    """Request a preview of one step or all of them, or the run of one that only checks.

    A preview is applied from its own page, with a reason, under the limits.
    """
    step = STEP_NAMED.get(name)
    if verb not in (PREVIEW, RUN) or name not in (ALL, *STEP_NAMED):
        abort(404)
    if verb == RUN and (step is None or not step.only_looks):
        abort(404)
    claim = Claim(f"billing.migrate:{name}:{verb}")
    try:
        _ask(step, dry_run=verb == PREVIEW)
    except AlreadyRunning as same:
        flash(
            _(
                "Run %(run)s does the same at the moment; nothing further was started.",
                **same.values,
            ),
            "info",
        )
    return claim.complete(url_for("billing.migration"))


def _ask(step: MigrationStep | None, *, dry_run: bool) -> Run:
    """Request the step, or all of them. Raises AlreadyRunning."""
    if step is None:
        return chain.request_all(db.session(), dry_run=dry_run)
    return chain.request_step(db.session(), step, dry_run=dry_run)


@bp.get("/migration/runs/<int:run_id>")
@requires("billing.read")
def migration_report(run_id: int) -> Response:
    """The report of one run of a step."""
    run = _run_or_404(run_id)
    rows = select(RunItem.subject).where(RunItem.run_id == run.id).distinct()
    return render(
        "billing/migration_report.html",
        run=run, step=STEP_OF[run.kind], look=STATUSES[run.status],
        lines=[line for line in lines_of(run) if line.rows],
        with_items={(run.id, name) for name in db.session.scalars(rows)},
        totals=totals_of(run), word_of=word_of, without_findings=without_findings,
    )  # fmt: skip


@bp.get("/migration/runs/<int:run_id>/<name>")
@requires("billing.read")
def migration_items(run_id: int, name: str) -> Response:
    """The items behind one line of a step's report, with why, and what to do."""
    run = _run_or_404(run_id)
    if name not in set(subjects.names()):
        abort(404)
    case = CASES.get(name)
    is_grave = case is not None and (case.cure or case.severity == INFO)
    return lists.show(
        item_list(run, name, summary_of(db.session(), run.id, name)), "billing/migration_items.html",
        run=run, step=STEP_OF[run.kind], case=case,
        severity=SEVERITIES[case.severity] if case and is_grave else None,
    )  # fmt: skip


@bp.get("/migration/runs/<int:run_id>/<name>/export.<flavour>")
@requires("billing.read")
@lists.limited
def export_migration_items(run_id: int, name: str, flavour: str) -> Response:
    """The items of one line as a file."""
    run = _run_or_404(run_id)
    if name not in set(subjects.names()):
        abort(404)
    return lists.export(item_list(run, name, summary_of(db.session(), run.id, name)), flavour)


def _run_or_404(run_id: int) -> Run:
    run = db.session.get(Run, run_id)
    return run if run is not None and run.kind in STEP_OF else abort(404)


def _about() -> dict[str, Any]:
    session = db.session()
    steps = step_statuses(session)
    proved, looked = steps[-1].last, steps[2]
    listed = [run.id for step in steps for run in (step.last, step.preview) if run is not None]
    rows = select(RunItem.run_id, RunItem.subject).where(RunItem.run_id.in_(listed)).distinct()
    is_whole_live = any(
        chain.under_way(session, dry_run=dry_run) is not None for dry_run in (True, False)
    )
    return {
        "steps": steps,
        "whole": whole_previewed(session),
        "limits": Limits.of(current_app.config),
        "is_live": is_whole_live or any(step.live for step in steps),
        "is_whole_live": is_whole_live,
        "with_items": {tuple(row) for row in session.execute(rows)},
        "totals": [] if proved is None else totals_of(proved),
        "proved": proved,
        "looked": looked.newest,
        "checked": check_statuses(looked),
        "may_run": allowed(current_user, "figures.heal"),
        "new_key": new_key,
        "word_of": word_of,
        "without_findings": without_findings,
        "STATES": STATES,
        "STATUSES": STATUSES,
        "SEVERITIES": SEVERITIES,
    }
