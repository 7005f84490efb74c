"""The card: what a verb will change, a field for the reason, and whether another user has to approve it.

A view passes its verb; the response is the card as long as confirmation is needed, and afterwards a redirect. The
card posts the original form again, with the reason and a digest of what was shown.
"""

from collections.abc import Callable, Iterator
from typing import Any

from flask import Response, current_app, flash, request, url_for
from flask_babel import gettext as _
from flask_login import current_user

from ..app.extensions import db
from ..app.navigation import may_open
from ..base.refusals import Refusal
from ..drift.healing.moved import Item
from ..runs.actions import Limits
from ..runs.errors import AlreadyRunning, ReasonMissing
from ..runs.forms import REASON_LENGTH
from ..runs.models import AWAITING_APPROVAL
from ..runs.queries import place_of
from ..runs.wording import columns_in_words
from ..web import record_links as subjects
from ..web.claims import Claim
from ..web.formats import in_words
from ..web.htmx import render
from ..web.idempotency import new_key
from . import actions
from .changes import Outlook
from .refusals import OutlookChanged
from .verbs import Payload, Verb

SHOWN = 50
"""Items on the card itself; the page of a pending run lists all."""

Done = Callable[[Any], Response]
"""Makes the response from the verb's return value, once it is done."""

REASON, SEEN = "card_reason", "card_seen"
_OWN = {REASON, SEEN, "csrf_token", "idempotency_key"}


def carry_out(verb: Verb, payload: Payload, claim: Claim, done: Done, *, back: str) -> Response:
    """Apply what the payload asks, or first show what it would change; `done` makes the response once it is done.

    `back` is where cancelling the card leads. Raises the verb's refusals.
    """
    session, user = db.session(), current_user._get_current_object()
    limits = Limits.of(current_app.config)
    if SEEN in request.form:
        return _confirmed(verb, payload, claim, done, back)
    if verb.is_always_shown:
        outlook = actions.look(session, verb, user, payload)
        return _card(verb, outlook, back) if outlook.items else done(outlook.result)
    outlook, is_done = actions.attempt(session, verb, user, payload, limits)
    return done(outlook.result) if is_done else _card(verb, outlook, back)


def _confirmed(verb: Verb, payload: Payload, claim: Claim, done: Done, back: str) -> Response:
    session, user = db.session(), current_user._get_current_object()
    reason = request.form.get(REASON, "").strip()[:REASON_LENGTH]
    limits = Limits.of(current_app.config)
    try:
        run, outlook = actions.carry_out(
            session, verb, user, payload,
            reason=reason, seen=request.form[SEEN], limits=limits,
        )  # fmt: skip
    except AlreadyRunning as same:
        flash(_("Run %(run)s waits with the same request already.", **same.values), "info")
        return claim.complete(_way_on(same.run_id, back))
    except (OutlookChanged, ReasonMissing) as refusal:
        return _card(verb, actions.look(session, verb, user, payload), back, refusal)
    if run.status == AWAITING_APPROVAL:
        flash(_("Nothing is changed yet: it waits for another user's approval."), "info")
        return claim.complete(_way_on(run.id, back))
    return done(outlook.result)


def _way_on(run_id: int, back: str) -> str:
    """The address of the pending run; for users who may not see runs, `back`."""
    return url_for("runs.record", run_id=run_id) if may_open("runs.record") else back


def _card(verb: Verb, outlook: Outlook, back: str, refusal: Refusal | None = None) -> Response:
    """The card of changes, with the submitted form; the request's changes are rolled back."""
    db.session.rollback()
    limits = Limits.of(current_app.config)
    found = outlook.found
    answer = render(
        "approvals/card.html",
        block="form",
        status=200 if refusal is None else refusal.status,
        verb=verb,
        found=found,
        digest=verb.digest(outlook),
        limits=limits,
        needs_approval=limits.are_exceeded_by(found.count, found.gross),
        items=list(_reported(outlook.items[:SHOWN])),
        more=max(found.count - SHOWN, 0),
        complaint="" if refusal is None else in_words(refusal),
        reason=request.form.get(REASON, request.form.get("reason", "")),
        sent=[(n, v) for n, v in request.form.items(multi=True) if n not in _OWN],
        address=request.full_path.rstrip("?"),
        back=back,
        key=new_key(),
        REASON_LENGTH=REASON_LENGTH,
    )
    db.session.rollback()
    return answer


def _reported(items: tuple[Item, ...]) -> Iterator[dict[str, Any]]:
    """Each item as displayed on the card."""
    for item in items:
        subject, owner = item["subject"], item["owner"]
        place = None if owner is None else place_of(db.session(), subject, owner, item["key"])
        yield {
            **item["amounts"],
            "title": _(subjects.title_of(subject)),
            "name": _("new") if place is None else place.name or f"#{owner}",
            "href": place and subjects.record_url(subject, place),
            "by_column": columns_in_words(
                subject,
                item["before"],
                item["after"],
                is_plain=item["amounts"].get("amount") is not None,
            ),
        }
