"""The screens of saved views: save, rename, replace, delete; each user's own only."""

from flask import Blueprint, Response, abort, flash, request, url_for
from flask_babel import gettext as _
from flask_login import current_user

from ..app.extensions import db
from ..base.refusals import Refusal
from ..security.permissions import requires
from ..web.htmx import hx_redirect, render
from ..web.safe_next import safe_next
from . import actions
from .forms import ChangedViewForm, ViewForm
from .models import SavedView

bp = Blueprint("lists", __name__, url_prefix="/lists")


@bp.post("/views")
@requires("profile.own")
def create() -> Response:
    """Save the list as shown under a name."""
    form = ViewForm()
    if not form.validate_on_submit():
        return _page(form, None, 422)
    try:
        view = actions.save_view(
            db.session(),
            current_user.id,
            form.listing.data,
            form.name.data,
            form.query.data,
            is_default=form.is_default.data,
        )
    except Refusal as refusal:
        return _blamed(form, None, refusal)
    flash(_("The view %(name)s is saved.", name=view.name), "success")
    return _shown(view)


@bp.get("/views/<int:view_id>")
@requires("profile.own")
def view(view_id: int) -> Response:
    """One view: its name, whether it is the default, and whether to replace its query."""
    found = _own(view_id)
    shown_now = {"query": request.args.get("query", ""), "next": _back()}
    kept = {"name": found.name, "is_default": found.is_default}
    return _page(ChangedViewForm(formdata=None, data=kept | shown_now), found, 200)


@bp.post("/views/<int:view_id>")
@requires("profile.own")
def update(view_id: int) -> Response:
    """Rename it, make it the default, or replace its query by the last shown list."""
    found, form = _own(view_id), ChangedViewForm()
    if not form.validate_on_submit():
        return _page(form, found, 422)
    query = form.query.data if form.is_replaced.data else found.query
    try:
        actions.change_view(
            db.session(), found, form.name.data, query, is_default=form.is_default.data
        )
    except Refusal as refusal:
        return _blamed(form, found, refusal)
    flash(_("The view %(name)s is saved.", name=found.name), "success")
    return _shown(found)


@bp.post("/views/<int:view_id>/delete")
@requires("profile.own")
def delete(view_id: int) -> Response:
    """Delete it; the list stays as it is."""
    found = _own(view_id)
    db.session.delete(found)
    flash(_("The view %(name)s is deleted.", name=found.name), "success")
    return hx_redirect(_back() or url_for("people.start"))


def _own(view_id: int) -> SavedView:
    return actions.view_of(db.session(), current_user.id, view_id) or abort(404)


def _back() -> str:
    """The list's own address, from the form."""
    return safe_next(request.values.get("next")) or ""


def _shown(view: SavedView) -> Response:
    """Redirect to the list as the view shows it."""
    back = _back()
    if not back:
        return hx_redirect(url_for("people.start"))
    return hx_redirect(f"{back.partition('?')[0]}?{view.query or 'all=1'}")


def _blamed(form: ViewForm, view: SavedView | None, refusal: Refusal) -> Response:
    db.session.rollback()
    form.name.errors = [_(refusal.sentence, **refusal.values)]
    return _page(form, view, 422)


def _page(form: ViewForm, view: SavedView | None, status: int) -> Response:
    return render("lists/view.html", status=status, form=form, view=view, back=_back())
