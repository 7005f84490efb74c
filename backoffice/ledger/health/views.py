"""Balance health for programs, as monitors and cron ask for it, and on screen: check, heal, report, maintain."""

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
"""How often one address may ask what a look at every line answers, and what writes."""


@bp.get("/admin/balance-health/check")
@limiter.limit(OFTEN)
@requires("figures.read", scope="health")
def check() -> Response:
    """Whether the balance sheet is valid: every line is looked at, or with ?stored=1 what is stored alone.

    With ?strict=1 the status says it too: 503 when it is not.
    """
    try:
        health = _known() if _asks("stored") else examining.examine(db.engine)
    except Busy as busy:
        return _refused(busy)
    return _answered(health)


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
    """Write what posted lines come to over balances that differ; with ?dry_run=1 only say what would be written.

    The status says it too: 500 where it failed, and with ?strict=1 503 where the balance sheet is not valid after it.
    """
    return _maintained(dry_run=_asks("dry_run"))


@bp.post("/admin/balance-health/scheduled-maintenance")
@limiter.limit(SELDOM)
@requires("figures.heal", scope="health")
def scheduled_maintenance() -> Response:
    """What the schedule does every six hours, for whoever has a cron of their own; the status as of `auto_heal`."""
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
    code = {RUNNING: 202, SUCCESS: 200, FAILED: 500}[status]
    return _answered(health, code, status, run=reported, items=done.items)


def _asks(option: str) -> bool:
    """Whether the address has it, but for an empty one and `=0`."""
    return request.args.get(option, "") not in ("", "0")


def _known() -> BalanceHealth:
    return examining.known(db.session.connection())


def _answered(
    health: BalanceHealth, code: int = 200, status: str = SUCCESS, **more: Any
) -> Response:
    """With ?strict=1 the status says how the balance sheet stands, too, where nothing worse is to be said."""
    if code < 500 and _asks("strict") and not health.is_valid:
        code = 503
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


TITLE = N_("Balance sheet")

KINDS = {
    "account": N_("Account"), "entry": N_("Entry"), "equation": N_("Equation"),
    "control": N_("Control account"), "period": N_("Period"), "tampered": N_("Tampered row"),
}  # fmt: skip
"""Kind of a problem → what it is called."""

SHOWN = 5
"""Runs of the maintenance that are shown."""


@bp.get("/health/balance-sheet")
@requires("figures.read")
def index() -> Response:
    """From what is stored, and from what was found: lines are looked at where one is known to be wrong."""
    session, health = db.session(), _known()
    connection, open_checks = session.connection(), {one.subject for one in health.problems}
    is_entry = any(problem.kind == "entry" for problem in health.problems)
    accounts = {problem.account for problem in health.problems if problem.account is not None}
    is_apart = name_of(ledger_tied) in open_checks
    newest = select(Run).where(Run.kind == MAINTAIN.name).order_by(Run.id.desc()).limit(SHOWN)
    return render(
        "ledger/health.html",
        health=health,
        sentence=standing_in_words(health),
        entries=wrong_entries(connection) if is_entry else (),
        held=quarantined(connection, accounts) if is_entry else (),
        diverging=report.first_diverging(connection, accounts),
        tied=[one for one in tie_out(connection) if one.difference] if is_apart else (),
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
    """Compare the accounts with their lines now, and everything that reads them."""
    return _asked("balance_health.verify", "figures.verify")


@bp.post("/health/balance-sheet/preview")
@requires("figures.heal")
def preview() -> Response:
    """Let a dry run show what a correction would write."""
    return _asked("balance_health.preview", "figures.heal", dry_run=True)


def _asked(action: str, kind: str, **how: Any) -> Response:
    """Lead to the run that does this: a new one, or the one that does it already."""
    claim, scope = Claim(action), {"figures": SCOPE["figures"]}
    number = runs.request_or_join(db.session(), kind, scope, is_paced=False, **how)
    return claim.complete(url_for("runs.record", run_id=number))


PAGES = ((TITLE, "balance_health.index"),)
