"""Programs sign in with a token, in `Authorization: Bearer …` and nowhere else.

Only a view that names a scope reads tokens; elsewhere they are ignored. A program that signs in this way has no
session and no cookie that a browser would send, and so needs no CSRF token.
"""

from dataclasses import dataclass

import structlog
from flask import Response, g, jsonify, make_response, request
from flask_babel import gettext as _
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException

from ..app import edge
from ..app.extensions import db
from ..app.protection import limiter
from ..base import N_
from ..people import tokens
from ..people.models import ApiToken, opens
from ..web.htmx import is_htmx
from ..web.problems import is_api, problem

log = structlog.get_logger("backoffice.tokens")

REALM = "Backoffice"


@dataclass(frozen=True)
class Program:
    """Another program, signed in by its token for this one request. It is no user: its `id` matches none."""

    token_id: int
    name: str
    scope: str
    permissions: frozenset[str] = frozenset()
    """Its permissions beyond opening the view."""

    id = 0
    is_authenticated = True
    is_active = True

    @property
    def actor(self) -> str:
        """The actor recorded for its changes."""
        return f"token:{self.token_id}"


class TokenRefused(HTTPException):
    """A request that its token does not open; `error` is the error code of RFC 6750."""

    code = 401
    error = ""
    sentence = N_("Send a token: Authorization: Bearer …. `backoffice tokens create` makes one.")

    def __init__(self, scope: str) -> None:
        super().__init__(self.sentence)
        self.scope = scope

    @property
    def challenge(self) -> str:
        """The value of the `WWW-Authenticate` header."""
        error = f', error="{self.error}"' if self.error else ""
        return f'Bearer realm="{REALM}", scope="{self.scope}"{error}'


class TokenInvalid(TokenRefused):
    """The token is unknown, expired or revoked; the response does not reveal which."""

    error = "invalid_token"
    sentence = N_("This token is unknown, has expired or was revoked.")


class TokenOfAnotherScope(TokenRefused):
    """A valid token of another scope."""

    code = 403
    error = "insufficient_scope"
    sentence = N_("This token is not for this. Make one with the scope that is asked for here.")


def program_for(scope: str, permission: str = "") -> Program | None:
    """The program signed in with a token of `scope`, granted `permission`; None without a token.

    Raises TokenRefused, and TooManyRequests after too many failures. A valid token is accepted however many attempts
    from the same address failed before: a 256-bit number cannot be guessed.
    """
    kind, _space, secret = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer":
        return None
    edge.begin()
    token = tokens.token_behind(db.session, secret.strip())
    if token is None or not opens(token.scope, scope):
        log.info("token refused", scope=scope, path=request.path)
        _count_failure()
        raise TokenInvalid(scope) if token is None else TokenOfAnotherScope(scope)
    _remember_use(token)
    program = Program(token.id, token.name, token.scope, frozenset({permission} - {""}))
    g.program = program
    return program


def signed_in_program() -> Program | None:
    """The program that signed in by a token for this request."""
    found: Program | None = g.get("program")
    return found


def wants_a_token() -> bool:
    """Whether an anonymous visitor is a program: it does not accept HTML, or has a token in its address.

    A token in the address is not accepted, because addresses end up in histories and logs.
    """
    is_in_address = any(value.startswith(tokens.PREFIX) for value in request.args.values())
    is_a_browser = is_htmx() or "text/html" in request.headers.get("Accept", "")
    return is_in_address or not is_a_browser


def refusal(error: TokenRefused) -> Response:
    """The response to a refused token: a sentence, as JSON if requested."""
    db.session.rollback()
    sentence = _(error.sentence)
    if is_api():
        answer = problem(error.code, sentence)
        answer.headers["WWW-Authenticate"] = error.challenge
        return answer
    best = request.accept_mimetypes.best_match(["text/plain", "application/json"])
    body = jsonify(error=sentence) if best == "application/json" else sentence + "\n"
    response = make_response(body, error.code)
    if best != "application/json":
        response.mimetype = "text/plain"
    response.headers["WWW-Authenticate"] = error.challenge
    return response


@limiter.shared_limit("20 per minute; 200 per hour", scope="tokens")
def _count_failure() -> None:
    """Count a failed attempt from this address, whatever route it was for."""


def _remember_use(token: ApiToken) -> None:
    """Record the use of a token from time to time; if that fails, the request goes on."""
    if not tokens.is_due_for_touch(token):
        return
    try:
        with db.engine.begin() as connection:
            tokens.touch(connection, token.id)
    except DBAPIError as error:
        log.warning("use of a token not noted", sqlstate=edge.sqlstate_of(error))
