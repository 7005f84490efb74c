"""Tokens: what another program signs in with. Shown once, when made; kept as a digest."""

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
from .models import OF_RECORDS, SCOPES, ApiToken

Db = Session | scoped_session[Session]

PREFIX = "bo_"
"""How every token begins, so that logs, and those who look for leaked ones, know one when they see it."""

LONGEST_NAME = 100

LIFETIME = timedelta(days=365)
"""How long a token is good for unless its maker says otherwise."""

TOUCH = timedelta(minutes=10)
"""How exactly `last_used_at` is kept: most uses of a token write nothing."""

_WELL_FORMED = re.compile(re.escape(PREFIX) + r"[A-Za-z0-9_-]{43}")


_GOOD = select(ApiToken).where(
    ApiToken.token_hash == bindparam("known"),
    ApiToken.revoked_at.is_(None),
    or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > func.clock_timestamp()),
)


class TokenNameMissing(Refusal):
    """A token without a name."""

    sentence = N_("Write a name for the token: the program that will use it.")


class TokenNameTooLong(Refusal):
    """A name that no column holds."""

    sentence = N_("The name of a token has at most %(most)s characters.")


class TokenNameTaken(Refusal):
    """Two live tokens cannot share a name, or nobody would know which one to revoke."""

    sentence = N_("Another token is called %(name)s. Choose another name, or revoke that one.")


class UnknownScope(Refusal):
    """A scope that opens nothing."""

    sentence = N_("No token opens %(scope)s. Choose one of these: %(scopes)s.")


class EndsInThePast(Refusal):
    """A token that nobody could ever use."""

    sentence = N_("A token must end in the future.")


@dataclass(frozen=True)
class Issued:
    """A new token, and the secret that is known only now."""

    token: ApiToken
    secret: str


def digest(secret: str) -> str:
    """What the table knows of a token."""
    return hashlib.sha256(secret.encode()).hexdigest()


def create(session: Db, *, name: str, scope: str, expires_at: datetime | None) -> Issued:
    """Make a token for `scope`; with `expires_at` None it never expires. Raises a Refusal."""
    name = " ".join(name.split())
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
    """Let a token open nothing from now on. Its row stays, for whoever reads what it did."""
    if token.revoked_at is None:
        token.revoked_at = datetime.now(UTC)
        session.flush()


def live_token_called(session: Db, name: str) -> ApiToken | None:
    """The token of that name that is not revoked."""
    return session.scalar(
        select(ApiToken).where(ApiToken.name == name, ApiToken.revoked_at.is_(None))
    )


def all_tokens(session: Db) -> Sequence[ApiToken]:
    """Every token, live ones first, by name."""
    return session.scalars(
        select(ApiToken).order_by(ApiToken.revoked_at.is_not(None), ApiToken.name, ApiToken.id)
    ).all()


def ending_before(session: Db, moment: datetime) -> Sequence[ApiToken]:
    """The tokens that are good now and will not be at `moment`."""
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
    """The token that `secret` opens now; None of what is unknown, expired or revoked."""
    if not _WELL_FORMED.fullmatch(secret):
        return None
    known = digest(secret)
    found: ApiToken | None = session.scalar(_GOOD, {"known": known})
    if found is None or not hmac.compare_digest(found.token_hash, known):
        return None
    return found


def is_due_for_touch(token: ApiToken) -> bool:
    """Whether `last_used_at` is so old that this use shall be remembered."""
    return token.last_used_at is None or datetime.now(UTC) - token.last_used_at > TOUCH


def touch(connection: Connection, token_id: int) -> None:
    """Remember that a token was used now."""
    connection.execute(
        update(ApiToken).where(ApiToken.id == token_id).values(last_used_at=func.clock_timestamp())
    )


def state_of(token: ApiToken) -> str:
    """`active`, `expired` or `revoked`."""
    if token.revoked_at is not None:
        return "revoked"
    is_over = token.expires_at is not None and token.expires_at <= datetime.now(UTC)
    return "expired" if is_over else "active"
