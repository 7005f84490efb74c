"""Titles and addresses of rows with facts that differ from the audit trail, as the trail has them."""

from collections.abc import Iterator
from typing import Any

from flask import url_for
from sqlalchemy import Column, String, cast, null, select

from ...app.navigation import may_open
from ...audit.facts import facts_by_table
from ...audit.rendering import SHARED_LABELS
from ...audit.tables import Recorded, recorded, title_of
from ...base import Base
from ...web.record_links import Place, Subject, Word
from .findings import name_of


def _tables() -> dict[str, str]:
    """The name under which findings are filed → the table of their rows."""
    return {name_of(table): table for table in facts_by_table()}


def words() -> Iterator[Word]:
    """The titles of rows and columns, as in the trail."""
    for name, table in _tables().items():
        known = recorded(table)
        labels = {**SHARED_LABELS, **(known.labels if known else {})}
        yield Word(name, title_of(table), name, labels)


def subjects() -> Iterator[Subject]:
    """The titles and addresses of the rows' records."""
    return (_subject(name, table) for name, table in _tables().items())


def _subject(filed_under: str, table: str) -> Subject:
    shown = _shown(table)

    def name(owner: Any, _key: Any) -> Any:
        return cast(null(), String) if shown is None else _name_in(shown, owner)

    def record(place: Place) -> str:
        if shown is None or not shown.endpoint or not may_open(shown.endpoint):
            return ""
        return url_for(shown.endpoint, **shown.address_of(place.owner, place.name))

    return Subject(filed_under, name, record, lambda _place, _column: "")


def _shown(table: str) -> Recorded | None:
    """The record on which a row of the table is shown."""
    known = recorded(table)
    if known is not None and known.part_of is not None:
        column: Column[Any] = known.part_of.property.columns[0]
        known = recorded(next(key.column.table.name for key in column.foreign_keys))
    return known


def _name_in(shown: Recorded, owner: Any) -> Any:
    if shown.called is None:
        return cast(null(), String)
    key = next(iter(Base.metadata.tables[shown.model.__tablename__].primary_key))
    return select(shown.called).where(key == owner).scalar_subquery()
