"""Files that are processed line by line, in the browser: progress, the file of results, monthly repetition."""

from datetime import date

from flask import Response, abort, flash, redirect, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import select
from werkzeug.wrappers import Response as AnyResponse

from ... import lists
from ...app.extensions import db
from ...base import periods
from ...security.permissions import requires
from ...web.formats import day_filter
from ...web.htmx import hx_redirect, render, wants_partial
from .. import actions
from ..models import Import
from ..refusals import BadLines
from ..views import RECORD, bp, checks_seen, upload_or_404
from .forms import RepeatForm
from .months import next_due
from .pages import run_context
from .queries import by_line_or_refused
from .reports import results_file


@bp.get("/<int:import_id>/progress")
@requires("imports.run")
def progress(import_id: int) -> AnyResponse:
    """The progress of its run, polled every second; a redirect to the whole page when it has ended."""
    upload = by_line_or_refused(upload_or_404(import_id))
    here = url_for("imports.record", import_id=import_id)
    if not wants_partial():
        return redirect(here, 303)
    shown = run_context(db.session(), upload)
    if not shown["run"].is_live:
        return hx_redirect(here)
    return render(RECORD, "run", upload=upload, **shown)


@bp.get("/<int:import_id>/results.csv")
@requires("imports.run")
@lists.limited
def results(import_id: int) -> AnyResponse:
    """The file of results."""
    upload = by_line_or_refused(upload_or_404(import_id))
    return results_file(db.session(), upload)


@bp.get("/of-run/<int:run_id>")
@requires("imports.run")
def of_run(run_id: int) -> AnyResponse:
    """A redirect to the upload of a run, or to the list of several."""
    chosen = select(Import.id).where(Import.run_id == run_id).order_by(Import.id).limit(2)
    found = db.session.scalars(chosen).all()
    if not found:
        abort(404)
    if len(found) == 1:
        return redirect(url_for("imports.record", import_id=found[0]), 303)
    return redirect(url_for("imports.index", run=run_id), 303)


@bp.post("/<int:import_id>/repeat")
@requires("imports.run")
def repeat(import_id: int) -> Response:
    """Repeat what the dry run showed every month, from a month on."""
    upload = upload_or_404(import_id)
    form = RepeatForm(periods.today())
    if not form.validate():
        raise BadLines()
    if upload.bad_lines and "good_lines_only" not in request.form:
        raise BadLines()
    actions.repeat(
        db.session(), import_id, user_id=current_user.id, checks=checks_seen(),
        day=int(form.day.data), month=date.fromisoformat(form.month.data),
    )  # fmt: skip
    due = day_filter(next_due(db.session(), upload, periods.today()))
    flash(
        _("%(name)s is charged every month, on %(day)s first.", name=upload.name, day=due),
        "success",
    )
    return hx_redirect(url_for("imports.record", import_id=import_id))


@bp.post("/<int:import_id>/end")
@requires("imports.run")
def end_repeating(import_id: int) -> Response:
    """End the monthly repetition."""
    upload_or_404(import_id)
    upload = actions.end_repeating(db.session(), import_id, user_id=current_user.id)
    flash(_("%(name)s is not charged any more.", name=upload.name), "success")
    return hx_redirect(url_for("imports.record", import_id=import_id))
