"""Health → Balance sheet: whether it is valid, what speaks against it, and the way to a check and a correction."""

from typing import Any

from flask import Response, url_for
from sqlalchemy import select

from ...app.extensions import db
from ...base import N_
from ...drift import wording
from ...drift.verification.checks import name_of
from ...runs import actions as runs
from ...runs.models import Run
from ...runs.wording import STATUSES
from ...security.permissions import requires
from ...web.claims import Claim
from ...web.htmx import render
from .entries import WHY, wrong_entries
from .examining import known, ledger_checks
from .runs import MAINTAIN, SCOPE
from .views import bp

TITLE = N_("Balance sheet")

KINDS = {
    "account": N_("Account"), "entry": N_("Entry"), "equation": N_("Equation"),
    "control": N_("Control account"), "tampered": N_("Tampered row"),
}  # fmt: skip
"""Kind of a problem → what it is called."""

SHOWN = 5
"""Runs of the maintenance that are shown."""


@bp.get("/health/balance-sheet")
@requires("figures.read")
def index() -> Response:
    """From what is stored, and from what was found: entries are looked at where one is known to be wrong."""
    connection = db.session.connection()
    health = known(connection)
    is_entry = any(problem.kind == "entry" for problem in health.problems)
    newest = select(Run).where(Run.kind == MAINTAIN.name).order_by(Run.id.desc()).limit(SHOWN)
    return render(
        "ledger/health.html",
        health=health,
        entries=wrong_entries(connection) if is_entry else (),
        open_checks={problem.subject for problem in health.problems},
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
