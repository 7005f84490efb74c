"""Signing in without the sign-in page: a session's row, and its cookie."""

import secrets
from datetime import UTC, datetime

from flask import Flask
from sqlalchemy import insert

from backoffice.app.extensions import db
from backoffice.people.models import WebSession
from backoffice.security.sessions import IDLE, digest
from tests.factories.people import UserFactory


def someone(app: Flask, role: str = "finance", **attributes: object) -> int:
    """Save a user with this role; returns the id."""
    with app.app_context():
        user = UserFactory(role=role, **attributes)
        db.session.commit()
        return int(user.id)


def cookie_for(app: Flask, user_id: int) -> tuple[str, str]:
    """The name and value of a cookie that signs a browser in as this user, who has been committed.

    As after signing in, so that no request extends the session.
    """
    token = secrets.token_urlsafe(32)
    row = {
        "id": digest(token),
        "user_id": user_id,
        "data": {"csrf_token": secrets.token_hex(20)},
        "expires_at": datetime.now(UTC) + IDLE,
    }
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(insert(WebSession), row)
    return app.session_interface.get_cookie_name(app), token
