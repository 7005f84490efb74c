"""What stands around every page: the navigation, the search, the way to something new.

An entry of a domain is shown where the user may see its screen.
"""

from collections.abc import Iterator
from typing import Any

from flask import Flask, current_app, request, url_for
from flask_login import current_user

from ..security.rights import allowed
from .domain import NavigationEntry, declared

SEARCH_ENDPOINT = "search.index"
NEW_ENDPOINT = "orders.new"


def may_open(endpoint: str) -> bool:
    """Whether a screen exists and the present user may see it."""
    view = current_app.view_functions.get(endpoint)
    permission = getattr(view, "required_permission", None)
    return permission is not None and allowed(current_user, permission)


def entries() -> Iterator[NavigationEntry]:
    """The entries for the present user."""
    return (entry for entry in declared().navigation if may_open(entry.endpoint))


def home() -> str:
    """The address at which the present user starts."""
    first = next(entries(), None)
    return url_for(first.endpoint if first else "people.profile")


def entry_here() -> str:
    """The endpoint of the entry that the present page belongs to, or nothing; the longest section that fits wins."""
    endpoint = request.endpoint or ""
    fitting = [entry for entry in declared().navigation if entry.holds(endpoint)]
    return max(fitting, key=lambda entry: len(entry.section)).endpoint if fitting else ""


def page_address() -> str:
    """Where the present page is, for whoever comes back to it."""
    return request.full_path if request.method == "GET" else request.path


def url_with(**changes: object) -> str:
    """The present address with some query arguments changed; None takes one away."""
    arguments = {**request.args.to_dict(flat=False), **(request.view_args or {}), **changes}
    kept: dict[str, Any] = {name: value for name, value in arguments.items() if value is not None}
    return url_for(request.endpoint or "", **kept)


def init_app(app: Flask) -> None:
    """Give templates the shell's parts."""
    app.jinja_env.globals.update(
        navigation=entries,
        entry_here=entry_here,
        page_address=page_address,
        may_open=may_open,
        home=home,
        url_with=url_with,
        SEARCH_ENDPOINT=SEARCH_ENDPOINT,
        NEW_ENDPOINT=NEW_ENDPOINT,
    )
