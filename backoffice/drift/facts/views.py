"""The screen on which a person accepts a fact that differs from the audit trail."""

from flask import Response, abort, flash, url_for
from flask_babel import gettext as _

from ...app.extensions import db
from ...base.refusals import Stale
from ...security.permissions import requires
from ...web.claims import Claim
from ...web.formats import in_words
from ...web.htmx import render
from .. import queries, wording
from ..models import ACCEPTED
from ..verification import looking
from ..views import bp
from .deciding import decide, stamp
from .findings import facts_named
from .forms import DecisionForm
from .refusals import CannotRestore
from .wording import differences_of

__all__ = ["bp"]


@bp.get("/<int:finding_id>/accept")
@requires("facts.decide")
def accept(finding_id: int) -> Response:
    """Ask for the reason to accept the row, beside its values and those of the trail."""
    return _page(finding_id)


@bp.post("/<int:finding_id>/accept")
@requires("facts.decide")
def accept_post(finding_id: int) -> Response:
    """Accept the row, if it is still as shown."""
    claim = Claim(f"drift.accept:{finding_id}")
    form = DecisionForm()
    if not form.validate():
        db.session.rollback()
        return _page(finding_id, form, 422)
    try:
        reason, seen = form.reason.data or "", form.seen.data or ""
        decide(db.session(), finding_id, ACCEPTED, reason, seen=seen)
    except (Stale, CannotRestore) as refusal:
        db.session.rollback()
        return _page(finding_id, form, refusal.status, in_words(refusal))
    flash(_("The row is accepted as it is. What builds on it can be corrected now."), "success")
    return claim.complete(url_for("drift.record", finding_id=finding_id))


def _page(
    finding_id: int,
    form: DecisionForm | None = None,
    status: int = 200,
    refused: str = "",
) -> Response:
    looking.look_at_finding(db.session(), finding_id)
    finding, called = queries.finding_of(db.session(), finding_id) or abort(404)
    facts = facts_named(finding.figure)
    if facts is None:
        abort(404)
    seen = stamp(finding.stored, finding.expected)
    if form is None:
        form = DecisionForm.over(seen)
    elif refused:  # what was typed now applies to what is shown
        form.seen.data = seen
    return render(
        "drift/decide.html",
        status=status,
        finding=finding,
        called=called or f"#{finding.key['id']}",
        changes=differences_of(db.session(), finding),
        form=form,
        refused=refused,
        wording=wording,
    )
