"""The action by which a person accepts a fact that differs from the audit trail, on its finding's page."""

from flask import Response, flash, url_for
from flask_babel import gettext as _

from ...app.extensions import db
from ...base.refusals import Stale
from ...security.permissions import requires
from ...web.claims import Claim
from ...web.formats import in_words
from ...web.htmx import hx_redirect
from ..models import ACCEPTED
from ..views import bp, page_of
from .deciding import decide
from .forms import DecisionForm
from .refusals import CannotRestore

__all__ = ["bp"]


@bp.get("/<int:finding_id>/accept")
@requires("facts.decide")
def accept(finding_id: int) -> Response:
    """Lead to the finding's page, which has the form."""
    return hx_redirect(url_for("drift.record", finding_id=finding_id))


@bp.post("/<int:finding_id>/accept")
@requires("facts.decide")
def accept_post(finding_id: int) -> Response:
    """Accept the row, if it is still as shown."""
    claim = Claim(f"drift.accept:{finding_id}")
    form = DecisionForm()
    if not form.validate():
        db.session.rollback()
        return page_of(finding_id, form, 422)
    try:
        reason, seen = form.reason.data or "", form.seen.data or ""
        decide(db.session(), finding_id, ACCEPTED, reason, seen=seen)
    except (Stale, CannotRestore) as refusal:
        db.session.rollback()
        return page_of(finding_id, form, refusal.status, in_words(refusal))
    flash(_("The row is accepted as it is. What builds on it can be corrected now."), "success")
    return claim.complete(url_for("drift.record", finding_id=finding_id))
