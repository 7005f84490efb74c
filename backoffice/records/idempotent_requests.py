"""Idempotent API requests: a repetition under the same `Idempotency-Key` gets the first answer.

As with forms, the claim is written in the transaction that does the work: a concurrent repetition waits for it, and
it is rolled back when the first request fails. So refusals, which had no effect, are not remembered.
"""

import hashlib
from collections.abc import Callable

from flask import Response, make_response, request
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from ..app.extensions import db
from ..base import N_
from ..base.refusals import KeyUsedOtherwise, Refusal
from ..people.models import ApiRequest

LONGEST_KEY = 255

KEPT_HEADERS = ("ETag", "Location", "Content-Type")


class KeyUnusable(Refusal):
    """A key that is empty or too long."""

    sentence = N_("An Idempotency-Key has between 1 and %(longest)s characters.")
    status = 400


def key_sent() -> str | None:
    """The key of the request, if it has one. Raises KeyUnusable."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not 1 <= len(key) <= LONGEST_KEY:
        raise KeyUnusable(longest=LONGEST_KEY)
    return key


def once(token_id: int, work: Callable[[], Response]) -> Response:
    """The answer of `work`; for a repetition the first answer, without doing the work again.

    A request without a key is always carried out. Raises KeyUsedOtherwise, KeyUnusable.
    """
    key = key_sent()
    if key is None:
        return work()
    names = {"token_id": token_id, "key": key}
    claim = insert(ApiRequest).values(**names, request_digest=_digest()).on_conflict_do_nothing()
    if db.session.execute(claim.returning(ApiRequest.key)).one_or_none() is None:
        return _first_answer(names)
    answer = work()
    remembered = {
        "status": answer.status_code,
        "response": answer.get_data(as_text=True),
        "headers": {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers},
    }
    db.session.execute(update(ApiRequest).filter_by(**names).values(**remembered))
    return answer


def _first_answer(names: dict[str, object]) -> Response:
    first = db.session.execute(
        select(ApiRequest.request_digest, ApiRequest.status, ApiRequest.response, ApiRequest.headers)
        .filter_by(**names)
    ).one()  # fmt: skip
    if first.request_digest != _digest():
        raise KeyUsedOtherwise()
    answer = make_response(first.response, first.status)
    answer.headers.update(first.headers)
    return replayed(answer)


def replayed(answer: Response) -> Response:
    """Mark an answer as a replay."""
    answer.headers["Idempotent-Replay"] = "true"
    return answer


def _digest() -> str:
    """A digest of the request: method, address, `If-Match` and body."""
    head = (request.method, request.full_path, request.headers.get("If-Match", ""))
    return hashlib.sha256("\n".join(head).encode() + request.get_data()).hexdigest()
