"""htmx on the server's side: whole page or named block, redirects, events.

Header names are those of htmx 4: a fragment is wanted when `HX-Request` is true and
`HX-Request-Type` is not `full` (Back, and swaps of the whole body, ask for the full page).
"""

import json
from typing import Any

from flask import Response, make_response, redirect, render_template, request
from jinja2_fragments.flask import render_block


def is_htmx() -> bool:
    """Whether htmx, not the browser itself, sent this request."""
    return request.headers.get("HX-Request") == "true"


def wants_partial() -> bool:
    """Whether the answer will be swapped into a page that is already there."""
    return is_htmx() and request.headers.get("HX-Request-Type") != "full"


def render(template: str, block: str | None = None, status: int = 200, **context: Any) -> Response:
    """The page `template`, or only its named `block` when htmx wants a fragment."""
    if block is not None and wants_partial():
        body = render_block(template, block, **context)
    else:
        body = render_template(template, **context)
    return make_response(body, status)


def hx_redirect(location: str) -> Response:
    """Send the browser to `location`: 303 after a form, `HX-Redirect` when htmx asked.

    A plain 303 would be followed inside htmx's own request, and the new page swapped into a fragment.
    """
    if is_htmx():
        response = make_response("", 204)
        response.headers["HX-Redirect"] = location
        return response
    return make_response(redirect(location, 303))


def trigger(response: Response, event: str, **detail: Any) -> Response:
    """Let `response` fire `event` in the page, beside those that it already fires."""
    events = json.loads(response.headers.get("HX-Trigger", "{}"))
    events[event] = detail
    response.headers["HX-Trigger"] = json.dumps(events)
    return response
