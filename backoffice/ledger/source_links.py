"""The record of this book that an entry was written from: what it is called, and where it is shown.

Rules that post name the document of an entry. Whoever enters one may paste the address of a record as its source.
"""

from typing import Any
from urllib.parse import unquote, urlsplit

from flask import current_app, request, url_for
from flask_babel import gettext as _
from sqlalchemy import ColumnElement, Integer, Text, cast, inspect, literal, select
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException

from ..app.domain import declared
from ..app.navigation import may_open
from ..audit.tables import Recorded
from ..base.identifiers import is_id
from .models import JournalEntry
from .posting.sources import BY_NAME, is_document

Rows = tuple[Recorded, ColumnElement[bool]]
"""How rows of a table are shown, and which of them are meant."""


def record_of(session: Session, entry: JournalEntry) -> tuple[str, str] | None:
    """What the record is called, and its address for whoever may open it; None where the source is no record."""
    meant = _at(entry.source) if entry.document is None else _of_document(entry.document)
    return None if meant is None else _shown(session, *meant)


def is_record(session: Session, address: str) -> bool:
    """Whether a record stands at this address of ours."""
    meant = _at(address)
    return meant is not None and _shown(session, *meant) is not None


def pasted(text: str) -> str:
    """The path of an address of ours, as a browser shows it; any other text as it is."""
    if text.startswith((request.host_url, "/")):
        return urlsplit(text.removeprefix(request.host_url.rstrip("/"))).path
    return text


def _at(address: str) -> Rows | None:
    path = unquote(address).replace(
        "\0", "\N{REPLACEMENT CHARACTER}"
    )  # PostgreSQL's texts hold no NUL
    try:
        endpoint, given = current_app.url_map.bind("").match(path)
    except HTTPException:
        return None
    for known in declared().recorded.values():
        if known.endpoint == endpoint and known.argument in given and known.name is not None:
            return _called(known, str(given[known.argument]))
    return None


def _called(known: Recorded, text: str) -> Rows | None:
    """The row of that name; where names are ids, they are compared as ids, which have an index."""
    name: Any = _key(known) if known.is_shown_by_id else known.name
    if not isinstance(name.type, Integer):
        return known, cast(name, Text) == text
    return (known, name == int(text)) if is_id(text) and str(int(text)) == text else None


def _of_document(document: str) -> Rows | None:
    """None of what is posted once a day, which is no single record, and of what no rule has written."""
    name, _slash, key = document.partition("/")
    if not key or not is_document(document):
        return None
    column = BY_NAME[name].id
    known, is_meant = declared().recorded[column.table.name], column == int(key)
    if known.part_of is None:
        return known, is_meant
    [whole] = known.part_of.property.columns[0].foreign_keys
    of_whole = whole.column.in_(select(known.part_of).where(is_meant))
    return declared().recorded[whole.column.table.name], of_whole


def _shown(
    session: Session, known: Recorded, is_meant: ColumnElement[bool]
) -> tuple[str, str] | None:
    key, called = _key(known), literal("") if known.called is None else known.called
    row = session.execute(select(key, called).where(is_meant).order_by(key).limit(1)).first()
    if row is None:
        return None
    at = known.endpoint
    href = url_for(at, **known.address_of(*row)) if may_open(at) else ""
    return f"{_(known.title)} {row[1]}", href


def _key(known: Recorded) -> ColumnElement[int]:
    return inspect(known.model).primary_key[0]
