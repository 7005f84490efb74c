"""Files that are processed line by line, in the browser: progress, the file of results."""

from flask import abort, redirect, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response as AnyResponse

from ... import lists
from ...app.extensions import db
from ...security.permissions import requires
from ...web.htmx import hx_redirect, render, wants_partial
from ..models import Import
from ..views import RECORD, bp, upload_or_404
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
    """A redirect to the upload of a run."""
    found = db.session.scalar(select(Import.id).where(Import.run_id == run_id)) or abort(404)
    return redirect(url_for("imports.record", import_id=found), 303)
