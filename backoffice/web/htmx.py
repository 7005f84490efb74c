"""htmx on the server's side: whole page or named block, redirects, events.

Header names are those of htmx 4: a fragment is wanted when `HX-Request` is true and
`HX-Request-Type` is not `full` (Back, and swaps of the whole body, ask for the full page).
"""

import json
from collections.abc import Iterator
from typing import Any

from flask import Response, current_app, make_response, redirect, render_template, request
from jinja2 import Template, nodes
from jinja2_fragments.flask import render_block


def is_htmx() -> bool:
    """Whether htmx, not the browser itself, sent this request."""
    return request.headers.get("HX-Request") == "true"


def wants_partial() -> bool:
    """Whether the response will be swapped into an existing page."""
    return is_htmx() and request.headers.get("HX-Request-Type") != "full"


def render(template: str, block: str | None = None, status: int = 200, **context: Any) -> Response:
    """The page `template`, or only its named `block` when htmx wants a fragment."""
    if block is not None and wants_partial():
        own = block in current_app.jinja_env.get_template(template).blocks
        write = render_block if own else render_inherited_block
        body = write(template, block, **context)
    else:
        body = render_template(template, **context)
    return make_response(body, status)


def render_inherited_block(template: str, block: str, **context: Any) -> str:
    """An inherited block of the template, with its own blocks in it; `render_block` does not support these.

    Raises KeyError if no parent defines it.
    """
    environment = current_app.jinja_env
    current_app.update_template_context(context)
    own = environment.get_template(template)
    given = own.new_context(context)
    for parent in _parents(own):
        for name, write in parent.blocks.items():
            given.blocks.setdefault(name, []).append(write)
    return environment.concat(given.blocks[block][0](given))


def _parents(template: Template) -> Iterator[Template]:
    """The parent templates, the nearest first; without a frame that a view passes by name."""
    environment = current_app.jinja_env
    while template.name is not None and environment.loader is not None:
        source, _path, _is_current = environment.loader.get_source(environment, template.name)
        extends = environment.parse(source).find(nodes.Extends)
        if extends is None or not isinstance(extends.template, nodes.Const):
            return
        template = environment.get_template(extends.template.value)
        yield template


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
    """Add `event` to the events that `response` triggers in the page."""
    events = json.loads(response.headers.get("HX-Trigger", "{}"))
    events[event] = detail
    response.headers["HX-Trigger"] = json.dumps(events)
    return response
