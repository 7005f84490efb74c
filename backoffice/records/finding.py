"""The search of a record without a search of its own: by its name, else by its texts."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import inspect

from ..lists import List
from ..lists.finding import called, kind_of
from ..search.search_results import Findable, Question, SearchResult
from .declaration import Record, Row
from .fields import Text
from .listing import address_of, list_for

LAST = 1_000
"""Rank after the domains' own kinds."""


def findable(record: Record) -> Findable:
    """The record as a kind of search result."""
    is_entered = record.argument in record.by_name
    given: dict[str, Any] = _by_columns(record) if is_entered else _by_rows(record)
    kind = kind_of(
        record.domain, record.many, f"{record.domain}.index", lambda user: list_for(record, user),
        rank=LAST, ways=(called(record.name),), **given,
    )  # fmt: skip
    return kind if is_entered else _only_with_digits(kind)


def _by_columns(record: Record) -> dict[str, Any]:
    """For a record with an entered name: results from the columns of its list."""
    texts = [field.name for field in record.fields if isinstance(field, Text)]

    def place(row: Row) -> SearchResult:
        name = str(getattr(row, record.argument))
        details = [getattr(row, text, None) for text in texts if text != record.argument]
        return SearchResult(
            name, address_of(record, row), list(filter(None, details)), names=(name,)
        )

    return {"reads": (record.argument, *texts), "place": place}


def _by_rows(record: Record) -> dict[str, Any]:
    """For a record without one (named by an id or a month): results from its label, for which its rows are loaded."""
    [key] = inspect(record.model).primary_key

    def rows(question: Question, listing: List, keys: Sequence[Any]) -> Sequence[Row]:
        if not keys:
            return ()
        held = listing.rows(question.user).with_only_columns(listing.key.label("key"), record.model)
        wanted = held.where(listing.key.in_(keys), key.is_not(None)).options(*record.loads)
        return question.session.execute(wanted).all()

    def place(found: Row) -> SearchResult:
        row = found[1]
        name = record.name_of(row)
        return SearchResult(record.label_of(row), address_of(record, row), names=(name,))

    return {"rows": rows, "place": place}


def _only_with_digits(kind: Findable) -> Findable:
    """The kind searched only for texts with a digit, because its names are numbers or months."""

    def is_asked(question: Question) -> bool:
        return re.search("[0-9]", question.text) is not None

    return replace(
        kind,
        ask=lambda question: kind.ask(question) if is_asked(question) else (),
        count=lambda question: kind.count(question) if is_asked(question) else 0,
    )
