"""What the search finds of customers: by code or name, and whose records are meant where one names a customer."""

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
"""Customers whose records are shown too; a text that fits more of them means none in particular."""


def found(question: Question) -> list[int]:
    """The customers that the text names, the best first."""
    ids: list[int] = question.once("customers", lambda: _ids(question), otherwise=[])
    return ids


def owners(question: Question) -> Sequence[int]:
    """The customers whose records are meant, where the text fits only a few."""
    ids = found(question)
    return ids if len(ids) <= FEW else ()


def _ids(question: Question) -> list[int]:
    limit = max(question.limit, FEW + 1)
    return [c.id for c in queries.named(question.session, question.text, limit=limit)]


def _named(question: Question, _listing: List) -> Sequence[Any]:
    return found(question)


def _alike(question: Question, _listing: List) -> Sequence[Any]:
    """Beside the one that has just that code, those that contain it."""
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
