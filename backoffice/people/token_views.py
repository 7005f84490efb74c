"""The screens of programs' tokens: list, create, revoke."""

from datetime import UTC, datetime, timedelta

from flask import Response, abort, flash, url_for
from flask_babel import gettext as _

from ..app.extensions import db
from ..base import N_
from ..base.refusals import Refusal
from ..security.permissions import requires
from ..web.htmx import hx_redirect, render
from . import tokens
from .actors import names_of
from .forms import NewTokenForm
from .models import ApiToken
from .views import blame, bp

STATES = {
    "active": (N_("Active"), "good"),
    "expired": (N_("Expired"), "warning"),
    "revoked": (N_("Revoked"), "neutral"),
}
"""State → its label and tone."""


@bp.get("/settings/tokens")
@requires("tokens.manage")
def tokens_index() -> Response:
    """All tokens."""
    found = tokens.all_tokens(db.session)
    makers = names_of(db.session, {token.created_by for token in found})
    return render(
        "people/tokens.html", found=found, makers=makers, state_of=tokens.state_of, STATES=STATES
    )


@bp.get("/settings/tokens/new")
@requires("tokens.manage")
def token_new() -> Response:
    """An empty form for a token."""
    return render("people/token_new.html", form=NewTokenForm())


@bp.post("/settings/tokens/new")
@requires("tokens.manage")
def token_create() -> Response:
    """Create a token and show its secret in this response only: it is stored nowhere and cannot be shown again."""
    form = NewTokenForm()
    if form.validate_on_submit():
        days = int(form.days.data)
        ends = datetime.now(UTC) + timedelta(days=days) if days else None
        try:
            issued = tokens.create(
                db.session, name=form.name.data or "", scope=form.scope.data, expires_at=ends
            )
        except Refusal as refusal:
            blame(form.name, refusal)
        else:
            return render("people/token_made.html", issued=issued)
    return render("people/token_new.html", status=422, form=form)


@bp.post("/settings/tokens/<int:token_id>/revoke")
@requires("tokens.manage")
def token_revoke(token_id: int) -> Response:
    """Revoke a token."""
    token = db.session.get(ApiToken, token_id) or abort(404)
    tokens.revoke(db.session, token)
    flash(
        _("The token %(name)s is revoked and opens nothing any more.", name=token.name), "success"
    )
    return hx_redirect(url_for("people.tokens_index"))
