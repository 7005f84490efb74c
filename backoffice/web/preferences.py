"""Language, number format and theme: the user's own, else this browser's, else the deployment's.

An error page during an outage is rendered without the database: it uses the user's choices if they were read before,
else the browser's preferred language.

The number format is separate from the language: switching the language never changes how a typed amount is read. The
theme belongs to the browser, so it is stored in a cookie only; the cookies are set by the server and hold nothing but
a word of these lists.
"""

from typing import Any

from babel import Locale
from flask import Flask, current_app, g, has_app_context, has_request_context, request
from flask.globals import app_ctx, request_ctx
from flask_babel import get_locale
from flask_login import current_user
from werkzeug.wrappers import Response

from ..app.extensions import babel
from ..base import N_

LANGUAGES = {"en": "English", "id": "Bahasa Indonesia"}
"""Language → its own name for itself."""

_LOCALES = {language: Locale.parse(language) for language in LANGUAGES}
"""Parsed once: Babel would otherwise parse the language for every request."""

NUMBER_FORMATS = {"en": "1,000.50", "id": "1.000,50", "plain": "1000.50"}
"""Number format → an example."""

THEMES = {"auto": N_("Like this device"), "light": N_("Light"), "dark": N_("Dark")}

_YEAR = 365 * 24 * 3600


def language() -> str:
    """The language of this request."""
    chosen = _choice("language", LANGUAGES)
    if not chosen and (_is_without_database() or is_of_a_program()):
        chosen = request.accept_languages.best_match(tuple(LANGUAGES)) or ""
    return chosen or str(current_app.config["LANGUAGE_DEFAULT"])


def _locale() -> Locale:
    return _LOCALES[language()]


def spoken() -> Locale | None:
    """Flask-Babel's `get_locale`, which asks for its own notes of the request four times, at the cost of one."""
    noted = getattr(app_ctx.g, "_flask_babel", None) if has_app_context() else None
    return getattr(noted, "babel_locale", None) or get_locale()


def input_format() -> str:
    """The number format to read amounts in: a program's point is always a decimal point, also in 1.500."""
    return "plain" if has_request_context() and is_of_a_program() else number_format()


def number_format() -> str:
    """The number format to write amounts in, and to read what a person types; programs use a decimal point.

    Asked for every amount of a page: so it is noted, for as long as user and choice are the same.
    """
    if not has_request_context():
        return _usual_number_format()
    notes = vars(g)
    if notes.get("program") is not None:
        return "en"
    user = _user_in(notes)
    asked = (user, getattr(user, "number_format", ""))
    noted: tuple[Any, str] | None = notes.get("number_format")
    if noted is None or noted[0] != asked:
        chosen = _choice("number_format", NUMBER_FORMATS) or _usual_number_format()
        noted = notes["number_format"] = (asked, chosen)
    return noted[1]


def _usual_number_format() -> str:
    return "id" if current_app.config["LANGUAGE_DEFAULT"] == "id" else "en"


def is_of_a_program() -> bool:
    """Whether the request comes from a program signed in with a token."""
    return has_request_context() and vars(g).get("program") is not None


def theme() -> str:
    """`light`, `dark`, or `auto`: the device's preference."""
    chosen = request.cookies.get("theme", "") if has_request_context() else ""
    return chosen if chosen in THEMES else "auto"


def remember(response: Response, name: str, value: str) -> None:
    """Store one choice in this browser, so that the sign-in page uses it."""
    secure = request.is_secure or current_app.config["SESSION_COOKIE_SECURE"]
    response.set_cookie(name, value, max_age=_YEAR, httponly=True, samesite="Lax", secure=secure)


def _choice(name: str, choices: dict[str, str]) -> str:
    """The user's own choice, else this browser's; empty where there is neither, and outside of a request."""
    if not has_request_context():
        return ""
    chosen = getattr(_user_in(vars(g)), name, "")
    if not chosen and _is_without_database():
        chosen = request_ctx.session.choices.get(name, "")  # type: ignore[attr-defined]
    chosen = chosen or request_ctx.request.cookies.get(name, "")
    return chosen if chosen in choices else ""


def _user_in(notes: dict[str, Any]) -> Any:
    """The user as Flask-Login has noted them for this request, else as it finds them now."""
    return notes.get("_login_user") or current_user._get_current_object()


def _is_without_database() -> bool:
    return has_request_context() and getattr(request_ctx.session, "is_given_up", False)


def _for_templates() -> dict[str, Any]:
    return {"language": language(), "number_format": number_format(), "theme": theme()}


def init_app(app: Flask) -> None:
    """Bind Flask-Babel, which calls `language` on every request, and list the choices in templates."""
    babel.init_app(
        app,
        default_locale=app.config["LANGUAGE_DEFAULT"],
        default_timezone=app.config["BUSINESS_TIMEZONE"],
        locale_selector=_locale,
    )
    app.context_processor(_for_templates)
    app.jinja_env.globals.update(LANGUAGES=LANGUAGES, NUMBER_FORMATS=NUMBER_FORMATS, THEMES=THEMES)
