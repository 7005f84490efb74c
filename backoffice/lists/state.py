"""The state of a list in an address: its filters, its sort and its shown columns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement
from werkzeug.datastructures import MultiDict

from ..base.identifiers import is_id
from ..web.paging import page_number
from .declaration import List


@dataclass(frozen=True)
class State:
    """The state of a list as its address describes it. `-` before the column's name sorts descending."""

    listing: List
    values: Mapping[str, str] = field(default_factory=dict)
    sort: str = ""
    columns: tuple[str, ...] = ()
    page: int = 1
    is_whole: bool = False
    """Whether the address requests the whole list in spite of a default view."""

    @property
    def as_query(self) -> dict[str, str]:
        """Its arguments in an address; none for the whole list in default order."""
        found = dict(self.values)
        if self.sort != self.listing.default_sort:
            found["sort"] = self.sort
        if self.columns != self.listing.default_columns:
            found["columns"] = ",".join(self.columns)
        return found or ({"all": "1"} if self.is_whole else {})

    @property
    def is_narrow(self) -> bool:
        """Whether a filter is active."""
        return bool(self.values)

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        """The conditions of the active filters."""
        return [
            condition for one in self.listing.filters for condition in one.conditions(self.values)
        ]


def state_of(listing: List, arguments: Mapping[str, Any]) -> State:
    """The state in the arguments of an address; invalid arguments are ignored."""
    given = {name: str(arguments[name]) for name in arguments}
    values = {name: text for one in listing.filters for name, text in one.read(given)}
    listing = listing.narrowed(values) if listing.narrowed else listing
    sort = given.get("sort", "")
    return State(
        listing,
        values,
        sort if sort.removeprefix("-") in listing.sorts else listing.default_sort,
        _columns(listing, arguments),
        page_number(given.get("page")),
        is_whole="all" in given,
    )


MOST_TICKED = 1_000
"""The most rows of a list that are chosen one by one."""


def ticked(arguments: MultiDict[str, str], most: int = MOST_TICKED) -> list[int]:
    """The ids of the ticked rows; anything else is ignored."""
    texts = arguments.getlist("id")[:most]
    return list(dict.fromkeys(int(text) for text in texts if is_id(text)))


def _columns(listing: List, arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """The chosen columns in their order: one argument with commas, or one argument each."""
    several = getattr(arguments, "getlist", None)
    texts = several("columns") if several else [arguments.get("columns", "")]
    known = {column.name for column in listing.columns}
    chosen = dict.fromkeys(name for text in texts for name in text.split(",") if name in known)
    return tuple(chosen) or listing.default_columns
