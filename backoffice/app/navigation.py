"""The shell around every page: the navigation, the search, the link to create a record.

An entry of a domain is shown where the user may see its screen.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from flask import Flask, current_app, request, url_for
from flask_login import current_user

from ..security.rights import allowed
from .domain import NavigationEntry, declared

SEARCH_ENDPOINT = "search.index"
NEW_ENDPOINT = "orders.new"


def may_open(endpoint: str) -> bool:
    """Whether a screen exists and the current user may see it."""
    view = current_app.view_functions.get(endpoint)
    permission = getattr(view, "required_permission", None)
    return permission is not None and allowed(current_user, permission)


def entries() -> Iterator[NavigationEntry]:
    """The entries that the current user may open."""
    return (entry for entry in declared().navigation if may_open(entry.endpoint))


def home() -> str:
    """The URL of the current user's start page."""
    first = next(entries(), None)
    return url_for(first.endpoint if first else "people.profile")


def entry_here() -> str:
    """The endpoint of the entry that the current page belongs to, or empty."""
    return declared().entry_of(request.endpoint or "")


def page_address() -> str:
    """The URL of the current page, as a target to return to."""
    return request.full_path if request.method == "GET" else request.path


def url_with(**changes: object) -> str:
    """The current URL with some query arguments changed; None removes one."""
    path: dict[str, Any] = dict(request.view_args or {})
    for name in path.keys() & changes.keys():
        path[name] = changes.pop(name)
    arguments = {**request.args.to_dict(flat=False), **changes}
    kept = {
        name: value for name, value in arguments.items() if value is not None and name not in path
    }
    # Not as values of url_for, which takes arguments such as `_external` for its options.
    query = urlencode(kept, doseq=True, safe="!$'()*,/:;?@")
    return url_for(request.endpoint or "", **path) + (query and f"?{query}")


def init_app(app: Flask) -> None:
    """Make the shell's functions available to templates."""
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
