"""Where to redirect a user after signing in: a page of this app, never another site."""

from urllib.parse import SplitResult, urlsplit

from flask import current_app, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect


def safe_next(target: str | None) -> str | None:
    r"""`target` as a path of this app that can be opened with GET, or None.

    An absolute address of this host is accepted (htmx sends its page's address that way); everything that a browser
    might read as another site is not: `//evil.example`, `/\evil.example`, control characters, other schemes and
    hosts.
    """
    parts = _parts_of(target or "")
    if parts is None:
        return None
    if parts.netloc and parts.netloc != request.host:
        return None
    if parts.scheme not in ("", "http", "https") or (parts.scheme and not parts.netloc):
        return None
    if not parts.path.startswith("/") or parts.path.startswith("//"):
        return None
    if not _is_a_page(parts.path):
        return None
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _parts_of(target: str) -> SplitResult | None:
    """The parts of an address; None if a browser might read it otherwise, or if it is invalid (`//[::1`)."""
    if not target or any(ord(character) <= 32 or character == "\\" for character in target):
        return None
    try:
        return urlsplit(target)
    except ValueError:
        return None


def _is_a_page(path: str) -> bool:
    adapter = current_app.url_map.bind("")
    try:
        endpoint, _arguments = adapter.match(path, method="GET")
    except (HTTPException, RequestRedirect):
        return False
    return endpoint not in ("people.login", "people.logout")
