"""The record of this book that is the source of an entry: its title and its address.

Posting rules name the document of an entry. A user who enters one may paste the address of a record as its source.
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

RecordQuery = tuple[Recorded, ColumnElement[bool]]
"""How records of a table are shown, and the condition of the one that is meant."""


def record_of(session: Session, entry: JournalEntry) -> tuple[str, str] | None:
    """The record's title and address (empty without the permission); None where the source is no record."""
    meant = _at(entry.source) if entry.document is None else _of_document(entry.document)
    return None if meant is None else _title_and_address(session, *meant)


def is_record(session: Session, address: str) -> bool:
    """Whether this address of the app is that of a record."""
    meant = _at(address)
    return meant is not None and _title_and_address(session, *meant) is not None


def pasted(text: str) -> str:
    """The path of an address of this app, copied from a browser; any other text unchanged."""
    if not text.startswith((request.host_url, "/")):
        return text
    try:
        return urlsplit(text.removeprefix(request.host_url.rstrip("/"))).path
    except ValueError:  # no address, like `//[::1`
        return text


def _at(address: str) -> RecordQuery | None:
    path = unquote(address).replace(
        "\0", "\N{REPLACEMENT CHARACTER}"
    )  # PostgreSQL's texts hold no NUL
    try:
        endpoint, given = current_app.url_map.bind("").match(path)
    except HTTPException:
        return None
    for known in declared().recorded.values():
        if known.endpoint == endpoint and known.argument in given and known.name is not None:
            return _by_name(known, str(given[known.argument]))
    return None


def _by_name(known: Recorded, text: str) -> RecordQuery | None:
    """The record of that name; names that are ids are compared as numbers, to use the index."""
    name: Any = _key(known) if known.is_shown_by_id else known.name
    if not isinstance(name.type, Integer):
        return known, cast(name, Text) == text
    return (known, name == int(text)) if is_id(text) and str(int(text)) == text else None


def _of_document(document: str) -> RecordQuery | None:
    """The record of a document; None for a daily posting, which is no single record, and for an unknown name."""
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


def _title_and_address(
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
