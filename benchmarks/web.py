"""The app with one more route: the empty signed-in page, which other routes are compared with."""

import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

from flask import Flask, render_template
from werkzeug.test import EnvironBuilder

from backoffice import create_app
from backoffice.app import logs
from backoffice.app.extensions import db
from backoffice.app.protection import limiter
from backoffice.people.models import WebSession
from backoffice.security.permissions import requires
from backoffice.security.sessions import digest

EMPTY = "/benchmarks/empty"


def with_empty_route(app: Flask) -> Flask:
    """Add a page of session, user and base template only."""

    @app.get(EMPTY)
    @requires("profile.own")
    def empty() -> str:
        return render_template("base.html")

    return app


def serve() -> Flask:
    """The app for gunicorn: from the environment, with the empty page."""
    return with_empty_route(create_app())


def sign_in(app: Flask, user_id: int) -> str:
    """Create a session of this user; returns its cookie."""
    token = secrets.token_urlsafe(32)
    with app.app_context():
        data = {"csrf_token": secrets.token_hex(20)}
        ends_at = datetime.now(UTC) + timedelta(hours=8)
        row = WebSession(id=digest(token), user_id=user_id, data=data, expires_at=ends_at)
        db.session.add(row)
        db.session.commit()
        return f"{app.session_interface.get_cookie_name(app)}={token}"


def csrf_token_in(page: bytes) -> str:
    """The CSRF token that a page gives to its scripts."""
    found = re.search(rb'name="csrf-token" content="([^"]+)"', page)
    assert found is not None, "The empty page has no CSRF token."
    return found[1].decode()


@contextmanager
def logged_to_nowhere() -> Iterator[None]:
    """Log requests as in production, but to /dev/null."""
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        logs.configure()
        yield


@contextmanager
def unlimited() -> Iterator[None]:
    """Let requests be as many as they may, without rate limits."""
    limiter.enabled = False
    try:
        yield
    finally:
        limiter.enabled = True


class Request:
    """One request, built once and sent to the app any number of times, without a network."""

    def __init__(self, app: Flask, path: str, headers: dict[str, str], form: Any = None) -> None:
        method = "GET" if form is None else "POST"
        builder = EnvironBuilder(path=path, method=method, headers=headers.items(), data=form)
        environ = builder.get_environ()
        self._body = environ["wsgi.input"].read()
        self._environ = environ
        self._app = app

    def send(self) -> bytes:
        """Send the request; returns the body. Asserts status 200."""
        return b"".join(self.blocks())

    def blocks(self) -> Iterator[bytes]:
        """The body as it is sent, block by block."""
        status: list[str] = []

        def start(line: str, _headers: Any, _error: Any = None) -> Any:
            status.append(line)

        environ = {**self._environ, "wsgi.input": BytesIO(self._body)}
        answer: Iterable[bytes] = self._app(environ, start)
        assert status[0].startswith("200"), f"{self._environ['PATH_INFO']}: {status[0]}"
        try:
            yield from answer
        finally:
            getattr(answer, "close", lambda: None)()
