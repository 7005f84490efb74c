"""One effect per form: a double click, F5, a replayed or a concurrent POST gets the first response.

The form has a random key. The first request that claims it does the work and stores its response in the same
transaction; a second one waits for that transaction (the INSERT does), then returns the stored response. If the first
rolls back, its claim is rolled back too and the second does the work.
"""

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, scoped_session

from ..base import N_
from ..base.refusals import Refusal
from ..people.models import IdempotencyKey

LONGEST_KEY = 100

_NOT_PART_OF_THE_BODY = ("csrf_token", "idempotency_key")


class IdempotencyMismatch(Refusal):
    """A used key was sent again with another body."""

    sentence = N_(
        "This form was already sent with other contents. Load the page again to see what was saved."
    )


class UnusableIdempotencyKey(Refusal):
    """A key that is empty or too long to be one of this app's."""

    sentence = N_("This form has lost its key. Load the page again and repeat your change.")


class _MultiDict(Protocol):
    def items(self, multi: bool = ...) -> Iterable[tuple[str, Any]]: ...


Body = Mapping[str, Any] | _MultiDict


def new_key() -> str:
    """A new key for the hidden field of a form that moves money or starts work."""
    return secrets.token_urlsafe(16)


def digest(body: Body) -> str:
    """A digest of a form's contents, whatever the order of its fields; tokens are ignored."""
    try:
        pairs = list(body.items(multi=True))  # type: ignore[call-arg]
    except TypeError:
        pairs = list(body.items())
    meant = [(name, str(value)) for name, value in pairs if name not in _NOT_PART_OF_THE_BODY]
    meant.sort(key=lambda pair: pair[0])  # stable: repeated fields keep their order
    return hashlib.sha256(json.dumps(meant).encode()).hexdigest()


def once(
    session: Session | scoped_session[Session], *, user_id: int, action: str, key: str, body: Body
) -> dict[str, Any] | None:
    """Claim `key` for `action`. None: do the work, then `remember` the response, in this transaction.

    Otherwise returns the first response. Waits for a concurrent request with the same key. Raises IdempotencyMismatch
    if the key was used with another body.
    """
    if not key or len(key) > LONGEST_KEY:
        raise UnusableIdempotencyKey()
    names = {"user_id": user_id, "action": action, "key": key}
    claim = insert(IdempotencyKey).values(**names, body_digest=digest(body))
    claimed = session.execute(claim.on_conflict_do_nothing().returning(IdempotencyKey.key))
    if claimed.one_or_none() is not None:
        return None
    earlier = session.execute(
        select(IdempotencyKey.body_digest, IdempotencyKey.response).filter_by(**names)
    ).one()
    if earlier.body_digest != digest(body):
        raise IdempotencyMismatch()
    return dict(earlier.response or {})


def remember(
    session: Session | scoped_session[Session],
    *,
    user_id: int,
    action: str,
    key: str,
    response: Mapping[str, Any],
) -> None:
    """Store the response for every repetition of this form."""
    names = {"user_id": user_id, "action": action, "key": key}
    session.execute(update(IdempotencyKey).filter_by(**names).values(response=dict(response)))
