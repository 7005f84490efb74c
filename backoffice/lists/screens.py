"""The screen of a list: the one view function that every list calls, and the list inside another page."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, current_app, make_response, redirect, request
from flask_babel import gettext as _
from flask_login import current_user

from ..app.extensions import db
from ..app.navigation import may_open
from ..security.permissions import requires
from ..web.htmx import render, wants_partial
from ..web.paging import PAGE_SIZE
from . import actions, queries
from .declaration import Column, List
from .exporting import add_export
from .filters import AsOf, Choice, Days, Reference, Search
from .list_page import Input, Shown
from .marking import marked
from .state import State, state_of
from .wording import in_words

COSTLY = 5_000.0
"""Totals with a higher estimated cost are loaded by a separate request after the page."""

MOST_PRINTED = 1_000
"""The most rows of a printed page."""


STANDARD = "lists/index.html"
"""The template of a list without one of its own."""


def add_list(
    bp: Blueprint, rule: str, name: str, permission: str, listing: Callable[[], List], template: str,
    beside: Callable[[], Mapping[str, Any]] = dict,
) -> None:  # fmt: skip
    """Add the screen of a list to `bp`, under `name`, and its exports, for users with the permission.

    `beside` computes further context of the template.
    """

    def view() -> Response:
        """The list that the address describes."""
        return show(listing(), template, **beside())

    bp.add_url_rule(rule, name, requires(permission)(view), methods=["GET"])
    export = "export" if name == "index" else f"export_{name}"
    add_export(bp, f"{rule}/export.<flavour>", export, permission, listing)


def show(listing: List, template: str = STANDARD, **context: Any) -> Response:
    """The list that the address describes: the page, its results for htmx, or the totals loaded later.

    An address without arguments shows the user's default view, if they have one.
    """
    state = state_of(listing, request.args)
    if "totals" in request.args and wants_partial():
        return _drawn(template, "totals", listing=_totals_alone(listing, state))
    saved = actions.views_of(db.session(), current_user.id, listing.name)
    begins = next((view.query for view in saved if view.is_default and view.query), "")
    if begins and not request.args:
        return make_response(redirect(f"{request.path}?{begins}"))
    shown = look(
        state,
        inputs=list(_inputs(listing, state)),
        saved=saved,
        can_select=_can_select(listing),
        printed_by=current_user.name,
        printed_at=datetime.now(UTC),
        address={"endpoint": listing.path, **(request.view_args or {})},
    )
    if shown.is_printed:
        context["in_words"] = in_words(db.session(), current_user, state)
    return _drawn(template, "results", listing=shown, **context)


def _drawn(template: str, block: str, **context: Any) -> Response:
    """The page, or its block for htmx: a template that extends this app's inherits the blocks it does not override."""
    own_blocks = current_app.jinja_env.get_template(template).blocks
    if wants_partial() and block not in own_blocks:
        template = STANDARD
    return render(template, block, **context)


def _totals_alone(listing: List, state: State) -> Shown:
    session, columns = db.session(), [state.listing.column(name) for name in state.columns]
    return Shown(
        state.listing,
        state,
        columns,
        totals=queries.totals_of(session, current_user, state),
        marked=marked(session, current_user, state, columns, whole=_added_up(columns)),
        can_select=_can_select(listing),
        address={"endpoint": listing.path, **(request.view_args or {})},
    )


def _can_select(listing: List) -> bool:
    return bool(listing.bulk) and may_open(listing.bulk) and "print" not in request.args


def asked(listing: List) -> State:
    """The list state in this request's address, which links to records include."""
    return state_of(listing, request.args)


def look(state: State, **how: Any) -> Shown:
    """The page that `state` describes; a page number beyond the last gives the last."""
    columns = [state.listing.column(name) for name in state.columns]
    is_printed = "print" in request.args
    session, size = db.session(), MOST_PRINTED if is_printed else PAGE_SIZE
    number = 1 if is_printed else state.page
    rows, has_more = queries.page_of(session, current_user, state, number, size)
    totals = None
    if "totals" in request.args or is_printed or not rows or _is_cheap(state):
        totals = queries.totals_of(session, current_user, state)
        if not rows and totals.count:
            number = -(-totals.count // size)
            rows, has_more = queries.page_of(session, current_user, state, number, size)
    summed = _added_up(columns) if totals is not None else []
    return Shown(
        state.listing,
        state,
        columns,
        marked=marked(session, current_user, state, columns, rows, whole=summed),
        rows=rows,
        number=number,
        size=size,
        has_more=has_more,
        totals=totals,
        is_printed=is_printed,
        **how,
    )


def part(listing: List, *, without: Sequence[str] = (), **address: Any) -> Shown:
    """The list inside another record's page, with the address given by `endpoint` and arguments.

    `listing` is filtered by its own `rows`; `without` leaves out columns with the same value in every row.
    """
    asked_for = state_of(listing, {"page": request.args.get("page", "")})
    columns = tuple(name for name in asked_for.columns if name not in without)
    state = State(listing, columns=columns, sort=asked_for.sort, page=asked_for.page)
    return look(state, is_part=True, address=address)


def _added_up(columns: Sequence[Column]) -> list[Column]:
    return [column for column in columns if column.total]


def _is_cheap(state: State) -> bool:
    return queries.totals_cost(db.session(), current_user, state) <= COSTLY


def _inputs(listing: List, state: State) -> Iterator[Input]:
    """The inputs of the filter form: the permanent ones, and the quiet ones in use."""
    for one in listing.filters:
        values = {name: state.values.get(name, "") for name in one.arguments}
        if one.is_quiet and not any(values.values()):
            continue
        if isinstance(one, Search):
            yield Input(
                "search", one.name, one.label, values[one.name], placeholder=one.placeholder
            )
        elif isinstance(one, Choice):
            options = [(value, _(label)) for value, (label, _condition) in one.options.items()]
            yield _select(one, values[one.name], options)
        elif isinstance(one, Reference):
            offered = one.offered(db.session(), current_user)
            if len(offered) > 1 or values[one.name]:
                options = [(str(key), name) for key, name in offered]
                yield _select(one, values[one.name], options)
        elif isinstance(one, AsOf):
            yield Input("day", one.name, one.label, values[one.name] or one.usual().isoformat())
        elif isinstance(one, Days):
            yield Input("day", one.since, one.label, values[one.since])
            yield Input("day", one.until, one.until_label, values[one.until])


def _select(one: Choice | Reference, value: str, options: list[tuple[str, str]]) -> Input:
    assumed = one.assumed[0] if isinstance(one, Choice) and one.assumed else one.any_label
    return Input("select", one.name, one.label, value, [("", _(assumed)), *options])
