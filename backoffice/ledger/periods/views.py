"""The screen of periods: which months are closed, the checklist of the next one, and closing and reopening."""

from typing import Any

from flask import Response, flash, request, url_for
from flask_babel import gettext as _

from ...app.extensions import db
from ...app.navigation import may_open
from ...approvals.screens import carry_out
from ...approvals.verbs import Payload, Verb
from ...base import N_
from ...base.periods import Month
from ...base.refusals import Refusal
from ...people.actors import Actors
from ...security.permissions import requires
from ...web.claims import Claim
from ...web.formats import in_words, month_filter
from ...web.forms import month_or_404
from ...web.htmx import render
from ...web.idempotency import new_key
from ..reports.views import bp
from . import actions, approved_verbs, queries
from .approved_verbs import CLOSE, REOPEN

TITLE = N_("Periods")
REASON_LENGTH = 200


@bp.get("/periods")
@requires("ledger.read")
def periods() -> Response:
    """Every month, and the checklist of the requested one, or else the next one to close."""
    return _render_page()


@bp.post("/periods/<month>/close")
@requires("ledger.close")
def close_period(month: str) -> Response:
    """Close a month if its checklist is in order."""
    asked = month_or_404(month)
    message = _("%(month)s is closed.", month=month_filter(asked.first))
    return _carry_out(CLOSE, {"month": str(asked)}, message)


@bp.post("/periods/<month>/reopen")
@requires("ledger.close")
def reopen_period(month: str) -> Response:
    """Reopen the last closed month, with a reason."""
    asked, reason = month_or_404(month), request.form.get("reason", "").strip()[:REASON_LENGTH]
    message = _("%(month)s is open again.", month=month_filter(asked.first))
    return _carry_out(REOPEN, {"month": str(asked), "reason": reason}, message)


def _carry_out(verb: Verb, payload: Payload, message: str) -> Response:
    """Carry the verb out, or show what it would change; above the limits another user has to approve it."""
    claim, back = Claim(verb.name), url_for("ledger.periods")

    def done(_shown: Any) -> Response:
        flash(message, "success")
        return claim.complete(back)

    try:
        return carry_out(verb, payload, claim, done, back=back)
    except Refusal as refusal:
        db.session.rollback()
        return _render_page(refusal)


def _render_page(refusal: Refusal | None = None) -> Response:
    session = db.session()
    statuses = queries.month_statuses(session)
    asked = request.args.get("month", "")[:7]
    month = month_or_404(asked) if asked else queries.next_to_close(session)
    found = [(c, *c.check.page(month)) for c in queries.checklist(session, month)]
    waiting = approved_verbs.waiting(session)
    acted = {
        a for s in statuses if (p := s.period) for a in (p.closed_by, p.reopened_by, p.approved_by)
    }
    return render(
        "ledger/periods.html",
        status=200 if refusal is None else refusal.status,
        statuses=statuses,
        month=month,
        last=queries.last_closed(session),
        found=found,
        obstacle=_obstacle(month),
        is_possible=not any(checked.forbids for checked, *_place in found),
        complaint="" if refusal is None else in_words(refusal),
        waiting=waiting,
        names=Actors(session, acted - {""} | {run.requested_by for run in waiting}),
        may_open=may_open,
        key=new_key(),
        reason=request.form.get("reason", ""),
        REASON_LENGTH=REASON_LENGTH,
    )


def _obstacle(month: Month) -> str:
    """Why the month cannot be closed now, whatever its checklist; empty where nothing prevents it."""
    try:
        actions.refuse_close(db.session(), month)
    except Refusal as refusal:
        return in_words(refusal)
    return ""


PAGES = ((TITLE, "ledger.periods"),)
