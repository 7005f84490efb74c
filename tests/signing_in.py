"""Signing in without the sign-in page: a session's row, and its cookie."""

import secrets
from datetime import UTC, datetime, timedelta

from flask import Flask

from backoffice.app.extensions import db
from backoffice.people.models import User, WebSession
from backoffice.security.sessions import digest
from tests.factories.people import UserFactory


def someone(app: Flask, role: str = "finance", **attributes: object) -> int:
    """Save a user with this role; returns the id."""
    with app.app_context():
        user = UserFactory(role=role, **attributes)
        db.session.commit()
        return int(user.id)


def cookie_for(app: Flask, user_id: int) -> tuple[str, str]:
    """The name and value of a cookie that signs a browser in as this user."""
    token = secrets.token_urlsafe(32)
    with app.app_context():
        assert db.session.get(User, user_id) is not None, (
            f"There is no user {user_id}; commit them first."
        )
        ends_at = datetime.now(UTC) + timedelta(hours=1)
        data = {"csrf_token": secrets.token_hex(20)}
        db.session.add(WebSession(id=digest(token), user_id=user_id, data=data, expires_at=ends_at))
        db.session.commit()
        return app.session_interface.get_cookie_name(app), token
