"""The screens of reconciliation: a figure's control totals and differences, its files, and the kept reports."""

from collections.abc import Generator
from contextlib import closing
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, abort, flash, request, send_file, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from .. import figures, lists
from ..app.extensions import db
from ..base import periods
from ..drift import figure_status, wording
from ..lists import workbooks
from ..lists.csv_files import BYTE_ORDER_MARK, FLAVOURS
from ..lists.exporting import XLSX
from ..runs import actions as runs
from ..security.permissions import requires
from ..web import record_links as subjects
from ..web.claims import Claim
from ..web.formats import quantity_filter
from ..web.htmx import render, wants_partial
from ..web.idempotency import new_key
from . import keeping, queries
from .comparing import compared, corrections_of
from .files import columns_of, csv_of, footer, spoken, values_of
from .forms import Asked, form_of
from .listing import KEPT
from .models import Reconciliation
from .queries import snapshot
from .report import new_totals

bp = Blueprint("reconciliation", __name__, url_prefix="/reconciliation")


@bp.get("")
@requires("figures.read")
def index() -> Response:
    """A figure's control totals and largest differences; for a large figure the page loads them afterwards."""
    form = form_of(db.session(), request.args)
    comparison = None
    if form.asked is not None and _is_to_be_compared(form.asked):
        with snapshot(db.engine) as connection:
            comparison = compared(form.asked.report(connection))
    context: dict[str, Any] = {
        "form": form,
        "asked": form.asked,
        "comparison": comparison,
        "doubted": figure_status.doubted(db.session()),
        "all_figures": figures.registry.figures,
        "subjects": subjects,
        "wording": wording,
    }
    if form.asked is not None and comparison is not None:
        context["causes"] = corrections_of(db.session(), form.asked)
    if not wants_partial():
        context |= {"latest": queries.latest(db.session()), "idempotency_key": new_key()}
    status = 422 if form.error and wants_partial() else 200
    return render("reconciliation/index.html", "results", status=status, **context)


def _is_to_be_compared(asked: Asked) -> bool:
    """Whether to compare in this request, and not in a later one of the page."""
    is_asked = wants_partial() or "now" in request.args
    return is_asked or asked.owners is not None or not queries.is_large(db.session(), asked.figure)


@bp.get("/report.<flavour>")
@requires("figures.read")
@lists.limited
def report(flavour: str) -> AnyResponse:
    """Every row of the figure, with its stored and expected values, as a file."""
    form = form_of(db.session(), request.args)
    if form.asked is None or flavour not in (*FLAVOURS, "xlsx"):
        abort(404)
    if flavour == "xlsx":
        return _workbook(form.asked)
    return _csv(form.asked, flavour)


def _csv(asked: Asked, flavour: str) -> Response:
    blocks = _blocks(asked, flavour, current_user.name)
    next(blocks)  # so that an error of PostgreSQL becomes an error page and not a truncated file
    response = Response(blocks, mimetype="text/csv")
    response.headers.set("Content-Disposition", "attachment", filename=_file_name(asked, "csv"))
    response.call_on_close(blocks.close)  # also when the browser disconnects
    return response


def _blocks(asked: Asked, flavour: str, by: str) -> Generator[bytes]:
    """The file in blocks, after an empty block, which shows that it can be read."""
    about, language = asked.about(by), spoken(asked.figure)
    with snapshot(db.engine) as connection:
        found = asked.report(connection)
        file = csv_of(found, about, FLAVOURS[flavour], language, {})
        with closing(file):
            head = next(file)
            first = next(file)
            yield b""
            yield BYTE_ORDER_MARK + head + first
            yield from file


def _workbook(asked: Asked) -> Response:
    language, totals = spoken(asked.figure), new_totals(asked.figure)
    with snapshot(db.engine) as connection:
        found = asked.report(connection)
        pages = list(found.pages())
        for page in pages:
            for name, sums in found.totals(page).items():
                totals[name].add(sums)
        count = sum(total.rows for total in totals.values())
        if count > workbooks.MOST_ROWS:
            reported = {
                "count": quantity_filter(count),
                "most": quantity_filter(workbooks.MOST_ROWS),
            }
            raise workbooks.TooManyRows(**reported)
        statement = values_of(found, language)
        rows = (row for page in pages for row in connection.execute(statement, dict(page)))
        heads = [(column, column.label) for column in columns_of(found, language)]
        foot = footer(asked.figure, asked.about(current_user.name), language, totals)
        file = workbooks.workbook_of(_(asked.figure.title), heads, rows, foot)
    name = _file_name(asked, "xlsx")
    return send_file(file, mimetype=XLSX, as_attachment=True, download_name=name)


def _file_name(asked: Asked, ending: str) -> str:
    return f"reconciliation-{asked.figure.name}-{periods.today().isoformat()}.{ending}"


lists.add_list(
    bp, "/kept", "kept", "figures.read", lambda: KEPT, "reconciliation/kept.html",
    lambda: {"idempotency_key": new_key()},
)  # fmt: skip


@bp.post("/kept")
@requires("schedules.run")
def make() -> Response:
    """Request a run that makes a report of every figure now."""
    claim = Claim("reconciliation.make")
    run = runs.request(db.session(), "reconciliation.nightly", {})
    flash(
        _("The reports are being made; Reconciliation lists each as soon as it is done."), "success"
    )
    return claim.complete(url_for("runs.record", run_id=run.id))


@bp.get("/kept/<int:report_id>")
@requires("figures.read")
def kept_report(report_id: int) -> Response:
    """One kept report: its control totals, and its file."""
    found = _kept_or_404(report_id)
    return render(
        "reconciliation/report.html", report=found, doubted=figure_status.doubted(db.session()),
        subjects=subjects, wording=wording,
    )  # fmt: skip


@bp.get("/kept/<int:report_id>/file.<ending>")
@requires("figures.read")
@lists.limited
def download(report_id: int, ending: str) -> Response:
    """A kept report's file: `csv`, or compressed `csv.gz`."""
    found = _kept_or_404(report_id)
    if ending not in ("csv", "csv.gz"):
        abort(404)
    slices = keeping.stored(db.engine, found)
    body = slices if ending == "csv.gz" else keeping.unpacked(slices)
    response = Response(body, mimetype="application/gzip" if ending == "csv.gz" else "text/csv")
    name = f"reconciliation-{found.figure}-{_day(found.created_at)}.{ending}"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


def _day(moment: datetime) -> str:
    return periods.business_date(moment).isoformat()


def _kept_or_404(report_id: int) -> Reconciliation:
    return queries.kept(db.session(), report_id) or abort(404)
