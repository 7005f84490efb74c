"""Balance health for programs, as monitors and cron ask for it: check, heal, report, maintain."""

from typing import Any

from flask import Blueprint, Response, make_response, request

from ...app.extensions import db
from ...app.protection import limiter
from ...base.refusals import Refusal
from ...runs.errors import AlreadyRunning
from ...security.permissions import requires
from ...web.formats import in_words
from . import examining, maintaining, report
from .examining import BalanceHealth, Busy
from .wording import as_data, written

bp = Blueprint("balance_health", __name__)

SUCCESS, BUSY, RUNNING, FAILED = "success", "busy", "running", "failed"

OFTEN, SELDOM = "120 per minute", "12 per minute"
"""How often one address may ask what a look at every line answers, and what writes."""


@bp.get("/admin/balance-health/check")
@limiter.limit(OFTEN)
@requires("figures.read", scope="health")
def check() -> Response:
    """Whether the balance sheet is valid: every line is looked at, or with ?stored=1 what is stored alone.

    With ?strict=1 the status says it too: 503 when it is not.
    """
    try:
        health = _known() if "stored" in request.args else examining.examine(db.engine)
    except Busy as busy:
        return _refused(busy)
    is_down = request.args.get("strict", "") not in ("", "0") and not health.is_valid
    return _answered(health, 503 if is_down else 200)


@bp.get("/admin/balance-health/detailed-report")
@limiter.limit(SELDOM)
@requires("figures.read", scope="health")
def detailed_report() -> Response:
    """Per account, per entry, per control account and month: what is right, and where it first goes wrong."""
    try:
        return _answer({"status": SUCCESS, **report.detailed(db.engine)})
    except Busy as busy:
        return _refused(busy)


@bp.post("/admin/balance-health/auto-heal")
@limiter.limit(SELDOM)
@requires("figures.heal", scope="health")
def auto_heal() -> Response:
    """Write what posted lines come to over balances that differ; with ?dry_run=1 only say what would be written."""
    return _maintained(dry_run=request.args.get("dry_run", "") not in ("", "0"))


@bp.post("/admin/balance-health/scheduled-maintenance")
@limiter.limit(SELDOM)
@requires("figures.heal", scope="health")
def scheduled_maintenance() -> Response:
    """What the schedule does every six hours, for whoever has a cron of their own."""
    return _maintained()


def _maintained(*, dry_run: bool = False) -> Response:
    db.session.rollback()  # gives back the connection by which we know who asks
    try:
        done = maintaining.maintain(db.engine, dry_run=dry_run)
    except AlreadyRunning as same:
        return _refused(same, run=same.run_id)
    run, health = done.run, _known()
    status = RUNNING if run.is_live else SUCCESS if run.status == "done" else FAILED
    reported = {
        "id": run.id, "status": run.status, "dry_run": run.dry_run, "changed": run.changed,
        "left_alone": run.skipped, "failed": run.failed,
    }  # fmt: skip
    return _answered(health, 202 if run.is_live else 200, status, run=reported, items=done.items)


def _known() -> BalanceHealth:
    return examining.known(db.session.connection())


def _answered(health: BalanceHealth, code: int, status: str = SUCCESS, **more: Any) -> Response:
    body = {"status": status, "balance_status": health.is_valid, "data": as_data(health), **more}
    return _answer(body, code)


def _refused(refusal: Refusal, **more: Any) -> Response:
    """One at a time: whoever comes second is told so, and asks again."""
    answer = _answer({"status": BUSY, "message": in_words(refusal), **more}, 409)
    answer.headers["Retry-After"] = "5"
    return answer


def _answer(body: dict[str, Any], code: int = 200) -> Response:
    answer = make_response(written(body), code)
    answer.mimetype = "application/json"
    return answer
