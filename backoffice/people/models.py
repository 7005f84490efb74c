"""Users, their sessions, idempotency keys of forms and API requests, and programs' tokens."""

import re
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from ..base import Base, Id, Moment


class User(Base):
    """A person who signs in, or is named on orders. `password_hash` empty: cannot sign in.

    `language` and `number_format` are empty until the person chooses; then they outrank the
    deployment's defaults.
    """

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("role IN ('viewer','finance','account_manager','admin')", name="role"),
        CheckConstraint("email = lower(email)", name="email_lower"),
    )

    id: Mapped[Id]
    email: Mapped[str] = mapped_column(Text, unique=True, info={"longest": 254})
    name: Mapped[str] = mapped_column(Text, info={"longest": 200})
    role: Mapped[str] = mapped_column(Text, server_default="viewer", default="viewer")
    password_hash: Mapped[str] = mapped_column(Text, server_default="", default="")
    is_active: Mapped[bool] = mapped_column(server_default="true", default=True)
    language: Mapped[str] = mapped_column(Text, server_default="", default="")
    number_format: Mapped[str] = mapped_column(Text, server_default="", default="")
    created_at: Mapped[Moment]

    is_authenticated = True
    """Read by Flask-Login; an anonymous visitor has another class."""
    is_anonymous = False

    def get_id(self) -> str:
        """The id that Flask-Login keeps of a signed-in user."""
        return str(self.id)


class WebSession(Base):
    """A browser session. `id` is a digest of its cookie, so a copy of the table grants no access."""

    __tablename__ = "web_sessions"
    __table_args__ = (
        Index("ix_web_sessions_user_id", "user_id"),
        Index("ix_web_sessions_expires_at", "expires_at"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"))
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[Moment]
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class IdempotencyKey(Base):
    """One form submission, processed once: the digest of its body, and the response.

    `response` is null only inside the transaction that does the work.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_created_at", "created_at"),)

    user_id: Mapped[int] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), primary_key=True)
    action: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    body_digest: Mapped[str] = mapped_column(Text)
    response: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[Moment]


SCOPES = ("health", "metrics")
"""Scopes of a token beside those of records; each opens only the routes that name it."""

SCOPE_ALIASES = {"wallets": "wallets:write"}
"""Short names by which a scope can be requested."""

OF_RECORDS = re.compile(r"[a-z_]+:(read|write)")
"""The scopes of the API of records: a domain, and read or write access. Writing includes reading."""


def opens(held: str, wanted: str) -> bool:
    """Whether a token of the scope `held` opens a route that requires the scope `wanted`."""
    domain, colon, _right = wanted.partition(":")
    return held == wanted or (bool(colon) and held == f"{domain}:write")


class ApiToken(Base):
    """The token with which another program signs in, for one scope. The table holds only a digest of the token.

    It opens nothing once it is revoked or `expires_at` has passed (empty: it never expires). `last_used_at` is
    accurate to some minutes. Names of live tokens are unique.
    """

    __tablename__ = "api_tokens"
    __table_args__ = (
        CheckConstraint("scope ~ '^[a-z_]+(:(read|write))?$'", name="scope"),
        Index(
            "ix_api_tokens_live_name",
            "name",
            unique=True,
            postgresql_where=text("revoked_at IS NULL"),
        ),
    )

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(Text, info={"longest": 100})
    scope: Mapped[str] = mapped_column(Text)
    token_hash: Mapped[str] = mapped_column(Text, unique=True)
    created_by: Mapped[str] = mapped_column(Text, server_default="", default="")
    created_at: Mapped[Moment]
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    last_used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class ApiRequest(Base):
    """One API request with an `Idempotency-Key`, processed once: its digest, and its response.

    `status` is null only inside the transaction that does the work.
    """

    __tablename__ = "api_requests"
    __table_args__ = (Index("ix_api_requests_created_at", "created_at"),)

    token_id: Mapped[int] = mapped_column(
        ForeignKey(ApiToken.id, ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    request_digest: Mapped[str] = mapped_column(Text)
    status: Mapped[int | None]
    response: Mapped[str | None] = mapped_column(Text)
    headers: Mapped[dict[str, str] | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[Moment]
