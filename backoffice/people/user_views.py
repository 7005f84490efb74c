"""The administration of users: list, edit, set passwords, disable."""

from flask import Response, abort, flash, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse
from wtforms import Field

from ..app.extensions import db
from ..base.refusals import Refusal
from ..security.permissions import requires
from ..web.conflicts import Conflict
from ..web.htmx import hx_redirect, render
from ..web.paging import page_number
from . import actions, queries
from .forms import EditUserForm, NewUserForm, SetPasswordForm, UserForm
from .models import User
from .views import begin_session, blame, bp


@bp.get("/settings/users")
@requires("users.manage")
def users() -> AnyResponse:
    """All users, found by name, address, role or state."""
    found = queries.find_users(
        db.session,
        search=request.args.get("q", ""),
        role=request.args.get("role", ""),
        state=request.args.get("state", ""),
        page=page_number(request.args.get("page")),
    )
    return render("people/users.html", block="results", found=found)


@bp.get("/settings/users/new")
@requires("users.manage")
def user_new() -> AnyResponse:
    """An empty form for a user."""
    return render("people/user_new.html", form=NewUserForm(role="viewer"))


@bp.post("/settings/users/new")
@requires("users.manage")
def user_create() -> AnyResponse:
    """Create a user."""
    form = NewUserForm()
    if form.validate_on_submit():
        try:
            user = actions.create_user(
                db.session,
                email=form.email.data or "",
                name=form.name.data or "",
                role=form.role.data,
                password=form.password.data or "",
            )
        except Refusal as refusal:
            blame(_field_of(form, refusal), refusal)
        else:
            flash(_("%(name)s is now a user.", name=user.name), "success")
            return hx_redirect(url_for("people.user", user_id=user.id))
    return render("people/user_new.html", status=422, form=form)


@bp.get("/settings/users/<int:user_id>")
@requires("users.manage")
def user(user_id: int) -> AnyResponse:
    """One user."""
    person = _user_or_404(user_id)
    return _user_page(person, EditUserForm.over(person), SetPasswordForm())


@bp.post("/settings/users/<int:user_id>")
@requires("users.manage")
def user_edit(user_id: int) -> AnyResponse:
    """Save name, address and role, unless another administrator has saved others since the form was opened."""
    person, form = _user_or_404(user_id), EditUserForm()
    if form.validate_on_submit():
        try:
            with db.session.no_autoflush:
                actions.edit_user(
                    db.session,
                    person,
                    **form.facts(),
                    by=current_user,
                    opened=form.base_facts(),
                )
        except actions.UserChanged as late:
            db.session.rollback()
            form, conflict = form.merged(person)
            return _user_page(
                person, form, SetPasswordForm(formdata=None), late.status, conflict=conflict
            )
        except Refusal as refusal:
            db.session.rollback()
            blame(_field_of(form, refusal), refusal)
        else:
            flash(_("%(name)s is saved.", name=person.name), "success")
            return hx_redirect(url_for("people.user", user_id=user_id))
    return _user_page(person, form, SetPasswordForm(formdata=None), status=422)


@bp.post("/settings/users/<int:user_id>/password")
@requires("users.manage")
def user_password(user_id: int) -> AnyResponse:
    """Set a user's password and sign them out everywhere."""
    person, form = _user_or_404(user_id), SetPasswordForm()
    if form.validate_on_submit():
        try:
            actions.set_password(db.session, person, form.password.data or "")
        except Refusal as refusal:
            blame(form.password, refusal)
        else:
            if person.id == current_user.id:
                begin_session(person)
            flash(
                _("%(name)s has a new password, and is signed out everywhere.", name=person.name),
                "success",
            )
            return hx_redirect(url_for("people.user", user_id=user_id))
    return _user_page(person, EditUserForm.over(person), form, status=422)


@bp.post("/settings/users/<int:user_id>/disable")
@requires("users.manage")
def user_disable(user_id: int) -> AnyResponse:
    """Disable a user."""
    person = _user_or_404(user_id)
    try:
        actions.disable(db.session, person, by=current_user)
    except Refusal as refusal:
        flash(_(refusal.sentence, **refusal.values), "error")
    else:
        flash(_("%(name)s is disabled and signed out everywhere.", name=person.name), "success")
    return hx_redirect(url_for("people.user", user_id=user_id))


@bp.post("/settings/users/<int:user_id>/enable")
@requires("users.manage")
def user_enable(user_id: int) -> AnyResponse:
    """Enable a user."""
    person = _user_or_404(user_id)
    actions.enable(db.session, person)
    flash(_("%(name)s can sign in again.", name=person.name), "success")
    return hx_redirect(url_for("people.user", user_id=user_id))


@bp.post("/settings/users/<int:user_id>/end-sessions")
@requires("users.manage")
def user_end_sessions(user_id: int) -> AnyResponse:
    """Sign a user out of every browser."""
    person = _user_or_404(user_id)
    ended = actions.end_sessions(db.session, person)
    if person.id == current_user.id:
        begin_session(person)
    flash(
        _(
            "%(name)s is signed out everywhere (sessions ended: %(count)s).",
            name=person.name,
            count=ended,
        ),
        "success",
    )
    return hx_redirect(url_for("people.user", user_id=user_id))


def _user_or_404(user_id: int) -> User:
    return db.session.get(User, user_id) or abort(404)


def _user_page(
    person: User,
    form: EditUserForm,
    password_form: SetPasswordForm,
    status: int = 200,
    conflict: Conflict | None = None,
) -> Response:
    return render(
        "people/user.html",
        status=status,
        person=person,
        form=form,
        conflict=conflict,
        password_form=password_form,
        sessions=queries.live_sessions_of(db.session, person),
    )


def _field_of(form: UserForm, refusal: Refusal) -> Field:
    """The field that a refusal is about; the role if it is about no other."""
    if isinstance(refusal, actions.EmailTaken | actions.EmailMalformed):
        return form.email
    if isinstance(refusal, actions.NameMissing):
        return form.name
    if isinstance(refusal, actions.LastAdministrator | actions.OwnAccount):
        return form.role
    return getattr(form, "password", form.name)
