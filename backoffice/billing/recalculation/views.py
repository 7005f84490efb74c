"""Recalculations in the browser: requested as a preview, reviewed as a report, then applied."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from flask import Response, abort, current_app, url_for
from sqlalchemy import func, select
from werkzeug.utils import redirect
from werkzeug.wrappers import Response as AnyResponse

from ... import lists
from ...app.extensions import db
from ...runs import actions
from ...runs.actions import Limits
from ...runs.forms import ApplyForm, about
from ...runs.models import Run
from ...security.permissions import requires
from ...web.claims import Claim
from ...web.htmx import render, wants_partial
from ...web.idempotency import new_key
from ..views import bp
from .chunks import customers
from .listing import RECALCULATIONS, calculation_url, changes_of
from .queries import uncorrected_by
from .report import AMOUNTS
from .runs import RECALCULATE
from .text import METRICS

MOST_WAITED_FOR = 1_000
"""The most customers for an unpaced preview: a user waits for it."""

MOST_SHOWN = 20
"""The most significant changes, and uncorrected records, on the report's own page."""

RECORD = "billing/recalculation.html"


lists.add_list(
    bp, "/recalculations", "recalculations", "billing.read", lambda: RECALCULATIONS,
    "billing/recalculations.html", lambda: {"idempotency_key": new_key(), "count": _count()},
)  # fmt: skip


@bp.post("/recalculations")
@requires("figures.heal")
def recalculate() -> Response:
    """Request a dry run of a recalculation of all customers."""
    claim = Claim("billing.recalculate")
    is_paced = _count() > MOST_WAITED_FOR
    number = actions.request_or_join(
        db.session(), RECALCULATE.name, {}, dry_run=True, is_paced=is_paced
    )
    return claim.complete(url_for("billing.recalculation", run_id=number))


@bp.get("/recalculations/<int:run_id>")
@requires("billing.read")
def recalculation(run_id: int) -> Response:
    """One recalculation: its progress; once it has ended its report, and the form to apply it."""
    return _page(_run_or_404(run_id), ApplyForm())


@bp.get("/recalculations/<int:run_id>/progress")
@requires("billing.read")
def recalculation_progress(run_id: int) -> AnyResponse:
    """The progress, polled every second; the report when it has ended."""
    if not wants_partial():
        return redirect(url_for("billing.recalculation", run_id=run_id), 303)
    return render(RECORD, "run", **_about(_run_or_404(run_id), ApplyForm()))


@bp.post("/recalculations/<int:run_id>/apply")
@requires("figures.heal")
def apply_recalculation(run_id: int) -> Response:
    """Request the application of exactly what the dry run has found."""
    run, form = _run_or_404(run_id), ApplyForm()
    claim = Claim("billing.apply_recalculation")
    if not form.validate():
        return _page(run, form, status=422)
    limits = Limits.of(current_app.config)
    asked = actions.apply(db.session(), run.id, reason=form.reason.data, limits=limits)
    return claim.complete(url_for("runs.record", run_id=asked.id))


@bp.get("/recalculations/<int:run_id>/changes")
@requires("billing.read")
def recalculation_changes(run_id: int) -> Response:
    """All customers that it changed, or would change."""
    run = _run_or_404(run_id)
    return lists.show(
        changes_of(run.id, _limit(run)), "billing/recalculation_changes.html", run=run
    )


@bp.get("/recalculations/<int:run_id>/changes.<flavour>")
@requires("billing.read")
@lists.limited
def export_recalculation(run_id: int, flavour: str) -> Response:
    """The changed customers as a file, with control totals."""
    run = _run_or_404(run_id)
    return lists.export(changes_of(run.id, _limit(run)), flavour)


def _run_or_404(run_id: int) -> Run:
    run = db.session.get(Run, run_id)
    return run if run is not None and run.kind == RECALCULATE.name else abort(404)


def _count() -> int:
    """How many customers there are to recalculate."""
    everyone = select(func.count()).select_from(customers({}).subquery())
    return db.session.scalar(everyone) or 0


def _limit(run: Run) -> Decimal:
    """The limit of significant differences, as it was when the run ended."""
    reported = run.result.get("significant", {}).get("above")
    return Decimal(reported or current_app.config["SIGNIFICANT_CHANGE"])


@dataclass(frozen=True)
class AmountChange:
    """An amount before and after; a significant change also has its customer and the URL of the calculation."""

    name: str
    before: Decimal
    after: Decimal
    difference: Decimal
    customer: Any = None
    calculation: str | None = None


def _totals(run: Run) -> list[AmountChange]:
    reported = run.result["totals"]
    return [AmountChange(name, **_amounts(reported[name])) for name in AMOUNTS]


def _amounts(reported: Mapping[str, str]) -> dict[str, Any]:
    return {name: Decimal(reported[name]) for name in ("before", "after", "difference")}


def _significant(run: Run) -> list[AmountChange]:
    return [
        AmountChange(
            reported["type"], **_amounts(reported), customer=reported,
            calculation=calculation_url(reported["customer_id"], reported["code"], reported["type"]),
        )
        for reported in run.result["significant"]["changes"][:MOST_SHOWN]
    ]  # fmt: skip


def _page(run: Run, form: ApplyForm, status: int = 200) -> Response:
    return render(RECORD, status=status, **_about(run, form))


def _about(run: Run, form: ApplyForm) -> dict[str, Any]:
    context = about(run, form)
    if run.result:
        context |= {
            "counts": {name: run.result["customers"][name] for _, name in METRICS},
            "totals": _totals(run),
            "significant": _significant(run),
            "above": _limit(run),
            "left": uncorrected_by(db.session(), run.id, MOST_SHOWN),
        }
    return context
