"""Signing in and out, one's own profile, and the administration of users."""

import hashlib
import hmac

from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    flash,
    g,
    jsonify,
    redirect,
    request,
    session,
    url_for,
)
from flask_babel import gettext as _
from flask_babel import refresh as refresh_language
from flask_limiter.util import get_remote_address
from flask_login import current_user, login_user, logout_user
from flask_wtf.csrf import generate_csrf
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wrappers import Response as AnyResponse
from wtforms import Field
from wtforms.fields import SelectChoice

from ..app.extensions import db
from ..app.navigation import home
from ..app.protection import limiter
from ..base.refusals import Refusal
from ..security.permissions import public, requires
from ..web import preferences
from ..web.htmx import hx_redirect, render
from ..web.paging import page_number
from ..web.safe_next import safe_next
from . import actions, queries
from .forms import (
    NewUserForm,
    OwnPasswordForm,
    ProfileForm,
    SetPasswordForm,
    SignInForm,
    UserForm,
)
from .models import User

bp = Blueprint("people", __name__)


def _typed_email() -> str:
    """What stands for the typed address in the limiter's counts and log, which are no place for it.

    Raises nothing: the limiter takes every error for the loss of its storage.
    """
    try:
        email = request.form.get("email", "").strip().lower()[:254]
    except RequestEntityTooLarge:
        email = ""
    key = str(current_app.secret_key).encode()
    return hmac.new(key, email.encode(), hashlib.sha256).hexdigest()[:16]


def _email_from_here() -> str:
    return f"{get_remote_address()} {_typed_email()}"


def _failed(response: Response) -> bool:
    return response.status_code == 422


@bp.get("/login")
@public
def login() -> AnyResponse:
    """The sign-in page."""
    if current_user.is_authenticated:
        return redirect(safe_next(request.args.get("next")) or home())
    return render("people/login.html", form=SignInForm())


@bp.post("/login")
@public
@limiter.limit("30 per minute; 300 per hour")
@limiter.limit("5 per minute; 20 per hour", key_func=_email_from_here, deduct_when=_failed)
@limiter.limit("100 per hour", key_func=_typed_email, deduct_when=_failed)
def login_post() -> AnyResponse:
    """Sign in. One answer for a wrong address, a wrong password and a disabled user."""
    form = SignInForm()
    if form.validate_on_submit():
        user = actions.authenticate(db.session, form.email.data or "", form.password.data or "")
        if user is not None:
            actions.forget_expired_sessions(db.session)
            _begin_session(user)
            response = redirect(safe_next(request.args.get("next")) or url_for("people.start"), 303)
            if user.language:  # known then without the database, too
                preferences.remember(response, "language", user.language)
            return response
        form.form_errors = [_("E-mail or password is not right. Check both and try again.")]
    return render("people/login.html", status=422, form=form)


@bp.post("/logout")
@public
def logout() -> AnyResponse:
    """Sign out: the session is deleted, so a copy of its cookie opens nothing."""
    logout_user()
    session.clear()
    return hx_redirect(url_for("people.login"))


@bp.get("/")
@requires("profile.own")
def start() -> AnyResponse:
    """The first screen that this user may see."""
    return redirect(home())


@bp.get("/signed-in")
@requires("profile.own")
def signed_in() -> AnyResponse:
    """Where one signs in again for a page that is open in another window."""
    return render("people/signed_in.html")


@bp.get("/session")
@requires("profile.own")
def who() -> AnyResponse:
    """Who is signed in, and the token of their forms: for a page that was open before they were."""
    return jsonify(user=current_user.get_id(), name=current_user.name, token=generate_csrf())


@bp.post("/preferences")
@public
def preferences_post() -> AnyResponse:
    """Language, number format or theme, chosen in the top bar."""
    response = redirect(safe_next(request.form.get("next")) or url_for("people.start"), 303)
    for name, choices in _CHOICES.items():
        chosen = request.form.get(name, "")
        if chosen in choices:
            preferences.remember(response, name, chosen)
            if current_user.is_authenticated and name != "theme":
                actions.choose(current_user, **{name: chosen})
    return response


_CHOICES = {
    "language": preferences.LANGUAGES,
    "number_format": preferences.NUMBER_FORMATS,
    "theme": preferences.THEMES,
}


@bp.get("/profile")
@requires("profile.own")
def profile() -> AnyResponse:
    """One's own settings."""
    return _profile_page(_profile_form(), OwnPasswordForm())


@bp.post("/profile")
@requires("profile.own")
def profile_post() -> AnyResponse:
    """Save language and number format."""
    form = _profile_form()
    if not form.validate_on_submit():
        return _profile_page(form, OwnPasswordForm(formdata=None), status=422)
    actions.choose(current_user, language=form.language.data, number_format=form.number_format.data)
    refresh_language()
    flash(_("Your settings are saved."), "success")
    response = hx_redirect(url_for("people.profile"))
    preferences.remember(response, "language", form.language.data)
    return response


@bp.post("/profile/password")
@requires("profile.own")
@limiter.limit("10 per hour", key_func=lambda: f"user {current_user.get_id()}", deduct_when=_failed)
def own_password() -> AnyResponse:
    """Change one's own password, and be signed out everywhere else."""
    form = OwnPasswordForm()
    if not form.validate_on_submit():
        return _profile_page(_profile_form(), form, status=422)
    try:
        actions.change_own_password(
            db.session, current_user, present=form.present.data or "", new=form.password.data or ""
        )
    except actions.WrongPassword as refusal:
        _blame(form.present, refusal)
        return _profile_page(_profile_form(), form, status=422)
    except Refusal as refusal:
        _blame(form.password, refusal)
        return _profile_page(_profile_form(), form, status=422)
    _begin_session(_me())
    flash(_("Your password is changed. Every other browser has been signed out."), "success")
    return hx_redirect(url_for("people.profile"))


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
            _blame(_field_of(form, refusal), refusal)
        else:
            flash(_("%(name)s is now a user.", name=user.name), "success")
            return hx_redirect(url_for("people.user", user_id=user.id))
    return render("people/user_new.html", status=422, form=form)


@bp.get("/settings/users/<int:user_id>")
@requires("users.manage")
def user(user_id: int) -> AnyResponse:
    """One user."""
    person = _user_or_404(user_id)
    return _user_page(person, UserForm(obj=person), SetPasswordForm())


@bp.post("/settings/users/<int:user_id>")
@requires("users.manage")
def user_edit(user_id: int) -> AnyResponse:
    """Save name, address and role."""
    person, form = _user_or_404(user_id), UserForm()
    if form.validate_on_submit():
        try:
            with db.session.no_autoflush:
                actions.edit_user(
                    db.session,
                    person,
                    email=form.email.data or "",
                    name=form.name.data or "",
                    role=form.role.data,
                    by=current_user,
                )
        except Refusal as refusal:
            db.session.rollback()
            _blame(_field_of(form, refusal), refusal)
        else:
            flash(_("%(name)s is saved.", name=person.name), "success")
            return hx_redirect(url_for("people.user", user_id=user_id))
    return _user_page(person, form, SetPasswordForm(formdata=None), status=422)


@bp.post("/settings/users/<int:user_id>/password")
@requires("users.manage")
def user_password(user_id: int) -> AnyResponse:
    """Set a password for a user, who is signed out everywhere."""
    person, form = _user_or_404(user_id), SetPasswordForm()
    if form.validate_on_submit():
        try:
            actions.set_password(db.session, person, form.password.data or "")
        except Refusal as refusal:
            _blame(form.password, refusal)
        else:
            if person.id == current_user.id:
                _begin_session(person)
            flash(
                _("%(name)s has a new password, and is signed out everywhere.", name=person.name),
                "success",
            )
            return hx_redirect(url_for("people.user", user_id=user_id))
    return _user_page(person, UserForm(formdata=None, obj=person), form, status=422)


@bp.post("/settings/users/<int:user_id>/disable")
@requires("users.manage")
def user_disable(user_id: int) -> AnyResponse:
    """Keep a user out."""
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
    """Let a user in again."""
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
        _begin_session(person)
    flash(
        _(
            "%(name)s is signed out everywhere (sessions ended: %(count)s).",
            name=person.name,
            count=ended,
        ),
        "success",
    )
    return hx_redirect(url_for("people.user", user_id=user_id))


def _begin_session(user: User) -> None:
    """Sign `user` in under a new session id and a new CSRF token, with nothing left of the old one."""
    session.clear()
    session.renew()  # type: ignore[attr-defined]
    login_user(user)
    g.pop("csrf_token", None)
    generate_csrf()


def _me() -> User:
    """The signed-in user themselves, not Flask-Login's stand-in for them."""
    user: User = current_user._get_current_object()
    return user


def _user_or_404(user_id: int) -> User:
    return db.session.get(User, user_id) or abort(404)


def _user_page(
    person: User, form: UserForm, password_form: SetPasswordForm, status: int = 200
) -> Response:
    return render(
        "people/user.html",
        status=status,
        person=person,
        form=form,
        password_form=password_form,
        sessions=queries.live_sessions_of(db.session, person),
    )


def _profile_form() -> ProfileForm:
    form = ProfileForm(language=preferences.language(), number_format=preferences.number_format())
    form.language.choices = [SelectChoice(*choice) for choice in preferences.LANGUAGES.items()]
    form.number_format.choices = [
        SelectChoice(*choice) for choice in preferences.NUMBER_FORMATS.items()
    ]
    return form


def _profile_page(form: ProfileForm, password_form: OwnPasswordForm, status: int = 200) -> Response:
    return render("people/profile.html", status=status, form=form, password_form=password_form)


def _field_of(form: UserForm, refusal: Refusal) -> Field:
    """The field that a refusal is about; what is about nothing else is about the role."""
    if isinstance(refusal, actions.EmailTaken | actions.EmailMalformed):
        return form.email
    if isinstance(refusal, actions.NameMissing):
        return form.name
    if isinstance(refusal, actions.LastAdministrator | actions.OwnAccount):
        return form.role
    return getattr(form, "password", form.name)


def _blame(field: Field, refusal: Refusal) -> None:
    field.errors = [*field.errors, _(refusal.sentence, **refusal.values)]
