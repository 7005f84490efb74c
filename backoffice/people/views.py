"""Signing in and out, and the user's own profile."""

import hashlib
import hmac

import structlog
from flask import (
    Blueprint,
    Response,
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
from ..web.safe_next import safe_next
from . import actions, known_browsers, queries
from .forms import OwnPasswordForm, ProfileForm, SignInForm
from .models import User

bp = Blueprint("people", __name__)

log = structlog.get_logger("backoffice.people")

ATTEMPTS = "30 per minute; 300 per hour"
"""The limit of sign-ins, of one sender or one known browser."""
FAILURES = "5 per minute; 20 per hour"
"""The limit of failed sign-ins with one address, of one sender or one known browser."""


def _typed_email() -> str:
    """A digest that represents the typed address in the limiter's counts and log, which must not contain it.

    Must not raise: the limiter treats every error as a failure of its storage.
    """
    key = str(current_app.secret_key).encode()
    return hmac.new(key, _typed().encode(), hashlib.sha256).hexdigest()[:16]


def _typed() -> str:
    try:
        return request.form.get("email", "").strip().lower()[:254]
    except RequestEntityTooLarge:
        return ""


def _email_from_here() -> str:
    return f"{get_remote_address()} {_typed_email()}"


def _email_in_known_browser() -> str:
    return f"{known_browsers.number_for(_typed())} {_typed_email()}"


def _known_browser() -> str:
    return f"browser {known_browsers.number_for(_typed())}"


def _is_known_browser() -> bool:
    return bool(known_browsers.number_for(_typed()))


def _is_unknown_browser() -> bool:
    return not _is_known_browser()


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
@limiter.limit(ATTEMPTS, exempt_when=_is_known_browser)
@limiter.limit(
    FAILURES,
    key_func=_email_from_here,
    deduct_when=_failed,
    exempt_when=_is_known_browser,
)
@limiter.limit(
    "100 per hour", key_func=_typed_email, deduct_when=_failed, exempt_when=_is_known_browser
)
@limiter.limit(
    FAILURES,
    key_func=_email_in_known_browser,
    deduct_when=_failed,
    exempt_when=_is_unknown_browser,
)
@limiter.limit(ATTEMPTS, key_func=_known_browser, exempt_when=_is_unknown_browser)
def login_post() -> AnyResponse:
    """Sign in. The response is the same for a wrong address, a wrong password and a disabled user.

    A browser in which the user has signed in before has limits of its own, so that no stranger locks a user out; they
    count its successes, too.
    """
    form = SignInForm()
    if form.validate_on_submit():
        user = actions.authenticate(db.session, form.email.data or "", form.password.data or "")
        if user is not None:
            actions.forget_expired_sessions(db.session)
            begin_session(user)
            log.info("signed in", actor=f"user:{user.id}")
            response = redirect(safe_next(request.args.get("next")) or url_for("people.start"), 303)
            known_browsers.remember(response, user.email)
            if user.language:  # so that it is known without the database, too
                preferences.remember(response, "language", user.language)
            return response
        known = queries.user_by_email(db.session, form.email.data or "")
        account = f"user:{known.id}" if known else _typed_email()
        log.warning("sign-in refused", account=account)
        form.form_errors = [_("E-mail or password is not right. Check both and try again.")]
    return render("people/login.html", status=422, form=form)


@bp.post("/logout")
@public
def logout() -> AnyResponse:
    """Sign out: the session is deleted, so a copied cookie grants nothing."""
    if current_user.is_authenticated:
        log.info("signed out")
    logout_user()
    session.clear()
    return hx_redirect(url_for("people.login"))


@bp.get("/")
@requires("profile.own")
def start() -> AnyResponse:
    """Redirect to the first screen that this user may see."""
    return redirect(home())


@bp.get("/signed-in")
@requires("profile.own")
def signed_in() -> AnyResponse:
    """Shown after signing in again for a page that is open in another window."""
    return render("people/signed_in.html")


@bp.get("/session")
@requires("profile.own")
def who() -> AnyResponse:
    """The signed-in user and the CSRF token, for a page that was open before they signed in."""
    return jsonify(user=current_user.get_id(), name=current_user.name, token=generate_csrf())


@bp.post("/preferences")
@public
def preferences_post() -> AnyResponse:
    """Save language, number format or theme, chosen in the top bar."""
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
    """The user's own settings."""
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
    """Change the user's own password and sign them out everywhere else."""
    form = OwnPasswordForm()
    if not form.validate_on_submit():
        return _profile_page(_profile_form(), form, status=422)
    try:
        actions.change_own_password(
            db.session, _me(), present=form.present.data or "", new=form.password.data or ""
        )
    except actions.WrongPassword as refusal:
        blame(form.present, refusal)
        return _profile_page(_profile_form(), form, status=422)
    except Refusal as refusal:
        blame(form.password, refusal)
        return _profile_page(_profile_form(), form, status=422)
    begin_session(_me())
    flash(_("Your password is changed. Every other browser has been signed out."), "success")
    return hx_redirect(url_for("people.profile"))


def begin_session(user: User) -> None:
    """Sign `user` in under a new session id and a new CSRF token, with nothing left of the old one."""
    session.clear()
    session.renew(user.password_hash)  # type: ignore[attr-defined]
    login_user(user)
    g.pop("csrf_token", None)
    generate_csrf()


def _me() -> User:
    """The signed-in User object rather than Flask-Login's proxy."""
    user: User = current_user._get_current_object()
    return user


def _profile_form() -> ProfileForm:
    form = ProfileForm(language=preferences.language(), number_format=preferences.number_format())
    form.language.choices = [SelectChoice(*choice) for choice in preferences.LANGUAGES.items()]
    form.number_format.choices = [
        SelectChoice(*choice) for choice in preferences.NUMBER_FORMATS.items()
    ]
    return form


def _profile_page(form: ProfileForm, password_form: OwnPasswordForm, status: int = 200) -> Response:
    return render("people/profile.html", status=status, form=form, password_form=password_form)


def blame(field: Field, refusal: Refusal) -> None:
    """Show a refusal as an error of a form's field."""
    field.errors = [*field.errors, _(refusal.sentence, **refusal.values)]
