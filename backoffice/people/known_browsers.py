"""Browsers in which a user has signed in before: failed attempts of other senders do not count for them.

Without this a stranger who guesses passwords of an address locks its owner out, too. A browser proves itself by a
cookie: a number of its own, and for each of its last users a MAC of that number with the user's address. It opens
nothing; its attempts are only counted by themselves.
"""

import hmac
import secrets
from hashlib import sha256

from flask import current_app, request
from werkzeug.wrappers import Response

COOKIE = "backoffice_known"

MOST_USERS = 5
"""The users of one browser who are known; the earliest is forgotten."""

_YEAR = 365 * 24 * 3600


def number_for(email: str) -> str:
    """The number of the browser that sends this request, if the user with the address has signed in there."""
    number, macs = _read()
    mac = _mac(number, email)
    is_known = any(hmac.compare_digest(mac.encode(), one.encode()) for one in macs)
    return number if number and is_known else ""


def remember(response: Response, email: str) -> None:
    """Store in the browser that the user with the address has signed in there."""
    number, macs = _read()
    earlier = [mac for mac in macs if len(mac) == len(_mac("", ""))]
    if not earlier or not number.isascii() or len(number) != 32:
        number, earlier = secrets.token_hex(16), []
    mac = _mac(number, email)
    macs = [mac, *(one for one in earlier if one != mac)][:MOST_USERS]
    secure = request.is_secure or current_app.config["SESSION_COOKIE_SECURE"]
    value = ".".join([number, *macs])
    response.set_cookie(
        COOKIE, value, max_age=_YEAR, httponly=True, samesite="Lax", secure=secure, path="/login"
    )


def _read() -> tuple[str, list[str]]:
    """The number and the MACs that the request's cookie claims."""
    number, _, macs = request.cookies.get(COOKIE, "")[:1000].partition(".")
    return number, macs.split(".")


def _mac(number: str, email: str) -> str:
    key = str(current_app.secret_key).encode()
    message = f"known browser\0{number}\0{email.strip().lower()}".encode()
    return hmac.new(key, message, sha256).hexdigest()[:32]
