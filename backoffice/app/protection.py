"""The Flask extensions of the web alone: sign-in, CSRF, rate limits. Created once, bound in `create_app`."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from flask import Flask, Response, after_this_request, current_app, g, request, session
from flask.globals import request_ctx
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import LoginManager
from flask_wtf import CSRFProtect
from flask_wtf.csrf import generate_csrf
from itsdangerous import URLSafeTimedSerializer
from redis.backoff import NoBackoff
from redis.retry import Retry


class Forgery(CSRFProtect):  # type: ignore[misc]
    """Flask-WTF's CSRF protection; skipped for a program with an API token, which has no cookie to abuse."""

    def init_app(self, app: Flask) -> None:
        """Protect the app's forms, without the context processor that would hide this module's `csrf_token`."""
        super().init_app(app)
        _taken_back(app.template_context_processors, "flask_wtf")

    def protect(self, apply_exemptions: bool = False) -> None:
        """Refuse a request that changes something unless it comes from a page of this app."""
        if request.method in current_app.config["WTF_CSRF_METHODS"] and g.get("program") is None:
            super().protect(apply_exemptions)


class MarkedLimits(Limiter):
    """Rate limits that only decorated views check: other requests are spared the library's hooks."""

    _after: Callable[[Response], Any]
    """The library's hook that counts what depends on the response."""

    def init_app(self, app: Flask) -> None:
        """Connect to the app; of a request that is not limited there is nothing to check, count or release."""
        super().init_app(app)
        if not self.enabled:  # then the library has added none
            return
        _taken_back(app.before_request_funcs, "flask_limiter")
        self._after = _taken_back(app.after_request_funcs, "flask_limiter")
        _taken_back(app.teardown_request_funcs, "flask_limiter")

    def _check_request_limit(
        self, callable_name: str | None = None, in_middleware: bool = True
    ) -> None:
        of_request: Any = request_ctx
        if self.enabled and not hasattr(of_request, "is_limited"):
            of_request.is_limited = True
            after_this_request(self._after)
        super()._check_request_limit(callable_name, in_middleware)


class SessionLogin(LoginManager):  # type: ignore[misc]
    """Flask-Login for users that the session brings along.

    Its session protection and its "remember me" cookie are off: the session holds everything, and ends with its row.
    """

    def _load_user(self) -> None:
        user_id = session.get("_user_id")
        self._update_request_context_with_user(self._user_callback(user_id) if user_id else None)

    def _update_remember_cookie(self, response: Response) -> Response:
        return response


def _taken_back(hooks: dict[Any, list[Any]], library: str) -> Any:
    """The hook that a library has just added to the app's, or this module for it, removed from them; never another."""
    hook = hooks[None].pop()
    called = getattr(hook, "func", hook)
    module = called.__module__
    assert module.partition(".")[0] == library or module == __name__, f"{module} is not {library}"
    return hook


def csrf_token() -> str:
    """The CSRF token of this session, signed once for all of its pages: it is valid as long as the session."""
    token: str | None = g.get("csrf_token")
    if token is None:
        of_session = session.get("csrf_token")
        if not of_session:
            return str(generate_csrf())  # which creates the missing one
        token = g.csrf_token = _signed(str(current_app.secret_key), of_session)
    return token


@lru_cache(maxsize=1000)
def _signed(secret_key: str, of_session: str) -> str:
    return str(URLSafeTimedSerializer(secret_key, salt="wtf-csrf-token").dumps(of_session))


csrf = Forgery()
limiter = MarkedLimits(get_remote_address, in_memory_fallback_enabled=True, swallow_errors=True)
login_manager = SessionLogin()


def connect_csrf(app: Flask) -> None:
    """Protect the app's forms, and make the token available to templates."""
    csrf.init_app(app)
    app.jinja_env.globals["csrf_token"] = csrf_token


def connect_limiter(app: Flask) -> None:
    """Count attempts in Redis; without Redis in memory, so that no user is locked out."""
    url = app.config["REDIS_URL"]
    app.config["RATELIMIT_STORAGE_URI"] = f"redis+{url}" if url.startswith("unix://") else url
    # A frozen Redis delays a sign-in by this long, once.
    app.config["RATELIMIT_STORAGE_OPTIONS"] = {
        "socket_timeout": 0.3,
        "socket_connect_timeout": 0.3,
        "retry": Retry(NoBackoff(), 0),
    }
    limiter.init_app(app)
