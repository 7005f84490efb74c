"""Tokens, with which other programs sign in. Shown once, when made; stored as a digest."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, bindparam, func, or_, select, update
from sqlalchemy.orm import Session, scoped_session

from ..base import N_
from ..base.actor import actor
from ..base.identifiers import is_visible
from ..base.refusals import Refusal
from .models import OF_RECORDS, SCOPE_ALIASES, SCOPES, ApiToken

Db = Session | scoped_session[Session]

PREFIX = "bo_"
"""The prefix of every token, so that logs and scanners for leaked secrets recognize one."""

LONGEST_NAME = 100

LIFETIME = timedelta(days=365)
"""The default lifetime of a token."""

TOUCH = timedelta(minutes=10)
"""The accuracy of `last_used_at`: most uses of a token write nothing."""

_WELL_FORMED = re.compile(re.escape(PREFIX) + r"[A-Za-z0-9_-]{43}")


_GOOD = select(ApiToken).where(
    ApiToken.token_hash == bindparam("known"),
    ApiToken.revoked_at.is_(None),
    or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > func.clock_timestamp()),
)


class TokenNameMissing(Refusal):
    """The token's name is empty."""

    sentence = N_("Write a name for the token: the program that will use it.")


class TokenNameTooLong(Refusal):
    """The token's name is longer than its column."""

    sentence = N_("The name of a token has at most %(most)s characters.")


class TokenNameTaken(Refusal):
    """A live token already has the name; revoking by name requires unique names."""

    sentence = N_("Another token is called %(name)s. Choose another name, or revoke that one.")


class ManyScopes(Refusal):
    """More than one scope was asked for."""

    sentence = N_("A token has one scope. Create a token for each of these: %(scopes)s.")


class UnknownScope(Refusal):
    """The scope opens no route of this app."""

    sentence = N_("No token opens %(scope)s. Choose one of these: %(scopes)s.")


class EndsInThePast(Refusal):
    """The token would be expired from the start."""

    sentence = N_("A token must end in the future.")


@dataclass(frozen=True)
class Issued:
    """A new token with its secret, which is available only now."""

    token: ApiToken
    secret: str


def digest(secret: str) -> str:
    """The digest of a token's secret, as stored."""
    return hashlib.sha256(secret.encode()).hexdigest()


def create(session: Db, *, name: str, scope: str, expires_at: datetime | None) -> Issued:
    """Create a token for `scope`; with `expires_at` None it never expires. Raises a Refusal."""
    name, scope = " ".join(name.split()), SCOPE_ALIASES.get(scope, scope)
    if not is_visible(name):
        raise TokenNameMissing()
    if len(name) > LONGEST_NAME:
        raise TokenNameTooLong(most=LONGEST_NAME)
    if scope not in SCOPES and not OF_RECORDS.fullmatch(scope):
        raise UnknownScope(scope=scope, scopes=", ".join(SCOPES))
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise EndsInThePast()
    if live_token_called(session, name) is not None:
        raise TokenNameTaken(name=name)
    secret = PREFIX + secrets.token_urlsafe(32)
    token = ApiToken(
        name=name,
        scope=scope,
        token_hash=digest(secret),
        created_by=actor.get(),
        expires_at=expires_at,
    )
    session.add(token)
    session.flush()
    return Issued(token, secret)


def revoke(session: Db, token: ApiToken) -> None:
    """Revoke a token from now on. Its row stays, to name the actor of its changes."""
    if token.revoked_at is None:
        token.revoked_at = datetime.now(UTC)
        session.flush()


def live_token_called(session: Db, name: str) -> ApiToken | None:
    """The live (not revoked) token of that name."""
    return session.scalar(
        select(ApiToken).where(ApiToken.name == name, ApiToken.revoked_at.is_(None))
    )


def all_tokens(session: Db) -> Sequence[ApiToken]:
    """Every token, live ones first, by name."""
    return session.scalars(
        select(ApiToken).order_by(ApiToken.revoked_at.is_not(None), ApiToken.name, ApiToken.id)
    ).all()


def ending_before(session: Db, moment: datetime) -> Sequence[ApiToken]:
    """The tokens that are valid now and expire before `moment`."""
    return session.scalars(
        select(ApiToken)
        .where(
            ApiToken.revoked_at.is_(None),
            ApiToken.expires_at > func.now(),
            ApiToken.expires_at < moment,
        )
        .order_by(ApiToken.expires_at, ApiToken.id)
    ).all()


def token_behind(session: Db, secret: str) -> ApiToken | None:
    """The token that `secret` identifies; None if unknown, expired or revoked."""
    if not _WELL_FORMED.fullmatch(secret):
        return None
    known = digest(secret)
    found: ApiToken | None = session.scalar(_GOOD, {"known": known})
    if found is None or not hmac.compare_digest(found.token_hash, known):
        return None
    return found


def is_due_for_touch(token: ApiToken) -> bool:
    """Whether `last_used_at` is old enough for this use to be stored."""
    return token.last_used_at is None or datetime.now(UTC) - token.last_used_at > TOUCH


def touch(connection: Connection, token_id: int) -> None:
    """Set `last_used_at` of a token to now."""
    connection.execute(
        update(ApiToken).where(ApiToken.id == token_id).values(last_used_at=func.clock_timestamp())
    )


def state_of(token: ApiToken) -> str:
    """`active`, `expired` or `revoked`."""
    if token.revoked_at is not None:
        return "revoked"
    is_over = token.expires_at is not None and token.expires_at <= datetime.now(UTC)
    return "expired" if is_over else "active"
