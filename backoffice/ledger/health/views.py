"""Balance health: the API for monitors and cron jobs, and the screen."""

from typing import Any

from flask import Blueprint, Response, make_response, request, url_for
from sqlalchemy import select

from ...app.extensions import db
from ...app.protection import limiter
from ...base import N_
from ...base.refusals import Refusal
from ...drift import wording
from ...drift.verification.checks import name_of
from ...runs import actions as runs
from ...runs.errors import AlreadyRunning
from ...runs.models import Run
from ...runs.wording import STATUSES
from ...security.permissions import requires
from ...web.claims import Claim
from ...web.formats import in_words
from ...web.htmx import render
from ..notices import in_words as standing_in_words
from ..periods.queries import last_closed, over_and_open
from ..posting.tie_out import ledger_tied, tie_out
from . import examining, maintaining, report
from .entries import WHY, quarantined, wrong_entries
from .examining import BalanceHealth, Busy, ledger_checks
from .runs import MAINTAIN, SCOPE
from .wording import as_data, written

bp = Blueprint("balance_health", __name__)

SUCCESS, BUSY, RUNNING, FAILED = "success", "busy", "running", "failed"

OFTEN, SELDOM = "120 per minute", "12 per minute"
"""Rate limits per client address: of the check, and of the report and whatever writes."""


@bp.get("/admin/balance-health/check")
@limiter.limit(OFTEN)
@requires("figures.read", scope="health")
def check() -> Response:
    """Whether the balance sheet is valid, by examining every line, or with ?stored=1 from stored totals alone.

    With ?strict=1 the HTTP status is 503 when it is not. While others examine every line, it waits and shares their
    result; after 20 seconds it returns the stored one, with the status "busy".
    """
    if _has_option("stored"):
        return _answered(_stored())
    db.session.rollback()  # gives back the connection that authentication has used
    try:
        return _answered(examining.examine(db.engine))
    except Busy:
        return _answered(_stored(), status=BUSY)


@bp.get("/admin/balance-health/detailed-report")
@limiter.limit(SELDOM)
@requires("figures.read", scope="health")
def detailed_report() -> Response:
    """The report by account, entry, control account and month, with the entry at which each account diverges."""
    db.session.rollback()  # gives back the connection that authentication has used
    try:
        return _answer({"status": SUCCESS, **report.detailed(db.engine)})
    except Busy as busy:
        return _refused(busy, busy.status)


@bp.post("/admin/balance-health/auto-heal")
@limiter.limit(SELDOM)
@requires("figures.heal", scope="health")
def auto_heal() -> Response:
    """Write what posted lines come to over balances that differ; with ?dry_run=1 only say what would be written.

    The HTTP status is 500 where it failed, and with ?strict=1 503 where the balance sheet is not valid afterwards.
    """
    return _maintain(dry_run=_has_option("dry_run"))


@bp.post("/admin/balance-health/scheduled-maintenance")
@limiter.limit(SELDOM)
@requires("figures.heal", scope="health")
def scheduled_maintenance() -> Response:
    """Run the scheduled maintenance now, for deployments with their own cron; HTTP statuses as of `auto_heal`."""
    return _maintain()


def _maintain(*, dry_run: bool = False) -> Response:
    db.session.rollback()  # gives back the connection that authentication has used
    try:
        done = maintaining.maintain(db.engine, dry_run=dry_run)
    except AlreadyRunning as same:
        return _refused(same, 409, run=same.run_id)
    run, health = done.run, _stored()
    status = RUNNING if run.is_live else SUCCESS if run.status == "done" else FAILED
    reported = {
        "id": run.id, "status": run.status, "dry_run": run.dry_run, "changed": run.changed,
        "left_alone": run.skipped, "failed": run.failed,
    }  # fmt: skip
    code = {RUNNING: 202, SUCCESS: 200, FAILED: 500}[status]
    return _answered(health, code, status, run=reported, items=done.items)


def _has_option(option: str) -> bool:
    """Whether the address has this option, other than empty or `0`."""
    return request.args.get(option, "") not in ("", "0")


def _stored() -> BalanceHealth:
    return examining.stored_health(db.session.connection())


def _answered(
    health: BalanceHealth, code: int = 200, status: str = SUCCESS, **more: Any
) -> Response:
    """The answer; with ?strict=1 its status is 503 where the balance sheet is not valid, unless it failed anyway."""
    if code < 500 and _has_option("strict") and not health.is_valid:
        code = 503
    body = {"status": status, "balance_status": health.is_valid, "data": as_data(health), **more}
    return _answer(body, code)


def _refused(refusal: Refusal, code: int, **more: Any) -> Response:
    """The refusal of a second concurrent request, with Retry-After; the balance status is the stored one."""
    body = {"status": BUSY, "message": in_words(refusal), "balance_status": _stored().is_valid}
    answer = _answer({**body, **more}, code)
    answer.headers["Retry-After"] = "5"
    return answer


def _answer(body: dict[str, Any], code: int = 200) -> Response:
    answer = make_response(written(body), code)
    answer.mimetype = "application/json"
    return answer


TITLE = N_("Balance sheet")

KINDS = {
    "account": N_("Account"), "entry": N_("Entry"), "equation": N_("Equation"),
    "control": N_("Control account"), "period": N_("Period"), "tampered": N_("Tampered row"),
}  # fmt: skip
"""Kind of a problem → its title."""

SHOWN = 5
"""Runs of the maintenance that are shown."""


@bp.get("/health/balance-sheet")
@requires("figures.read")
def index() -> Response:
    """The balance health from stored totals and findings; lines are read only where one is known to be wrong."""
    session, health = db.session(), _stored()
    connection, open_checks = session.connection(), {one.finding.figure for one in health.problems}
    is_entry = any(problem.kind == "entry" for problem in health.problems)
    accounts = {problem.account for problem in health.problems if problem.account is not None}
    is_untied = name_of(ledger_tied) in open_checks
    newest = select(Run).where(Run.kind == MAINTAIN.name).order_by(Run.id.desc()).limit(SHOWN)
    return render(
        "ledger/health.html",
        health=health,
        sentence=standing_in_words(health),
        entries=wrong_entries(connection) if is_entry else (),
        held=quarantined(connection, accounts) if is_entry else (),
        diverging=report.first_diverging(connection, accounts),
        tied=[one for one in tie_out(connection) if one.difference] if is_untied else (),
        closed=last_closed(session),
        still_open=len(over_and_open(session)),
        open_checks=open_checks,
        checks=[(one, name_of(one)) for one in ledger_checks()],
        maintained=db.session.scalars(newest).all(),
        wording=wording,
        KINDS=KINDS,
        WHY=WHY,
        STATUSES=STATUSES,
    )


@bp.post("/health/balance-sheet/verify")
@requires("figures.heal")
def verify() -> Response:
    """Start a run that compares the accounts with their lines."""
    return _request_run("balance_health.verify", "figures.verify")


@bp.post("/health/balance-sheet/preview")
@requires("figures.heal")
def preview() -> Response:
    """Start a dry run that shows what a correction would write."""
    return _request_run("balance_health.preview", "figures.heal", dry_run=True)


def _request_run(action: str, kind: str, **how: Any) -> Response:
    """Redirect to the run that does this: a new one, or the one already live."""
    claim, scope = Claim(action), {"figures": SCOPE["figures"]}
    number = runs.request_or_join(db.session(), kind, scope, is_paced=False, **how)
    return claim.complete(url_for("runs.record", run_id=number))


PAGES = ((TITLE, "balance_health.index"),)
