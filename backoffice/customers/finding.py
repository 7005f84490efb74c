"""How the search finds customers, by code or name, and for which of them it finds their records as well."""

from collections.abc import Sequence
from typing import Any

from flask import url_for

from ..base import N_
from ..lists import List
from ..lists.finding import kind_of
from ..search.search_results import Question, SearchResult
from . import queries
from .listing import customers_for

FEW = 3
"""The most customers that a text may match for their records to be found too; a text with more is not specific."""


def found(question: Question) -> list[int]:
    """The customers that the text names, the best match first."""
    ids: list[int] = question.once("customers", lambda: _ids(question), otherwise=[])
    return ids


def owners(question: Question) -> Sequence[int]:
    """The ids of the customers that own the records to find, if the text matches only a few."""
    ids = found(question)
    return ids if len(ids) <= FEW else ()


def _ids(question: Question) -> list[int]:
    limit = max(question.limit, FEW + 1)
    return [c.id for c in queries.named(question.session, question.text, limit=limit)]


def _named(question: Question, _listing: List) -> Sequence[Any]:
    return found(question)


def _alike(question: Question, _listing: List) -> Sequence[Any]:
    """The customers that contain the text, besides the one with exactly that code."""
    if len(found(question)) != 1:
        return ()
    return [c.id for c in queries.search(question.session, question.text, limit=question.limit)]


def _place(row: Any) -> SearchResult:
    return SearchResult(
        row.name,
        url_for("customers.record", code=row.code),
        [row.code, *filter(None, (row.city, row.contact_name))],
        names=(row.code, row.name),
    )


FINDABLE = (
    kind_of(
        "customers",
        N_("Customers"),
        "customers.index",
        customers_for,
        rank=1,
        ways=(_named, _alike),
        reads=("name", "code", "city", "contact_name"),
        place=_place,
    ),
)
PAGES = ((N_("New customer"), "customers.new"),)
