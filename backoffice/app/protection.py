"""The Flask extensions of the web alone: sign-in, CSRF, rate limits. Created once, bound in `create_app`."""

from functools import lru_cache

from flask import Flask, current_app, g, session
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

    def protect(self, apply_exemptions: bool = False) -> None:
        """Refuse a request that changes something unless it comes from a page of this app."""
        if g.get("program") is None:
            super().protect(apply_exemptions)


class MarkedLimits(Limiter):
    """Rate limits that only decorated views check: the check before every request is skipped."""

    def _check_request_limit(
        self, callable_name: str | None = None, in_middleware: bool = True
    ) -> None:
        if not in_middleware:
            super()._check_request_limit(callable_name, in_middleware)


def csrf_token() -> str:
    """The CSRF token of this session, signed once for all of its pages: it is valid as long as the session."""
    of_session = session.get("csrf_token")
    if "csrf_token" not in g and of_session:
        g.csrf_token = _signed(str(current_app.secret_key), of_session)
    token: str = generate_csrf()  # which reads it there, and creates a missing one
    return token


@lru_cache(maxsize=1000)
def _signed(secret_key: str, of_session: str) -> str:
    return str(URLSafeTimedSerializer(secret_key, salt="wtf-csrf-token").dumps(of_session))


csrf = Forgery()
limiter = MarkedLimits(get_remote_address, in_memory_fallback_enabled=True, swallow_errors=True)
login_manager = LoginManager()


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
