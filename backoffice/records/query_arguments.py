"""The query arguments of a list in the API: filters, sort, page size and cursor."""

from flask import current_app, request
from itsdangerous import BadData, URLSafeSerializer

from ..base import N_
from ..base.refusals import Refusal
from ..lists import List, Search
from ..lists.state import State, state_of
from .declaration import Record
from .openapi import LARGEST_PAGE, arguments_of

USUAL_PAGE = 100


class ArgumentUnknown(Refusal):
    """An unknown query argument; ignoring it would answer something else."""

    sentence = N_("The address says %(argument)s, which means nothing here. It may say: %(known)s.")
    status = 400


class ArgumentUnusable(Refusal):
    """A query argument with an invalid value."""

    sentence = N_("The argument %(argument)s cannot be %(value)s.")
    status = 400


def list_state(record: Record, listing: List) -> State:
    """The filters and sort of the query arguments. Invalid ones, which screens ignore or cut, are refused.

    Raises ArgumentUnknown, ArgumentUnusable.
    """
    filters = {name: one for one in listing.filters for name in one.arguments}
    known = arguments_of(record, listing)
    state = state_of(listing, request.args)
    for name, texts in request.args.lists():
        if name not in known:
            raise ArgumentUnknown(argument=name[:100], known=", ".join(sorted(known)))
        text, is_search = texts[0], isinstance(filters.get(name), Search)
        is_usable = len(texts) == 1
        if name in ("sort", "totals"):
            is_usable &= text in known[name]["enum"]
        elif is_search:
            is_usable &= text.strip() == state.values.get(name, "")
        elif name in filters:
            is_usable &= text == state.values.get(name)
        if not is_usable:
            raise ArgumentUnusable(argument=name, value=text[:100])
    return state


def page_size() -> int:
    """The number of records per page. Raises ArgumentUnusable."""
    text = request.args.get("limit", str(USUAL_PAGE))
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= LARGEST_PAGE):
        raise ArgumentUnusable(argument="limit", value=text[:100])
    return int(text)


def _signed() -> URLSafeSerializer:
    """The signer of cursors: their content becomes part of a statement."""
    return URLSafeSerializer(current_app.config["SECRET_KEY"], salt="api-cursor-of-text")


def cursor_of(sort: str, value: str | None, key: int) -> str:
    """The cursor at the end of a page: its last row's sort value and key, so that inserted rows shift nothing.

    The value is PostgreSQL's own text, because Python has no value for some stored dates.
    """
    return str(_signed().dumps([sort, value, key]))


def parse_cursor(cursor: str, sort: str) -> tuple[str | None, int]:
    """The sort value and key of a cursor. Raises ArgumentUnusable for an invalid one, or one of another order."""
    try:
        sorted_by, value, key = _signed().loads(cursor)
    except BadData:
        sorted_by = None
    if sorted_by != sort:
        raise ArgumentUnusable(argument="after", value=cursor[:100])
    return value, key
