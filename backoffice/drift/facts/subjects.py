"""What people call the rows whose facts differ from the trail, and where they are shown: as the trail does."""

from typing import Any

from flask import url_for
from sqlalchemy import Column, String, cast, null, select

from ...app.navigation import may_open
from ...audit.facts import facts_by_table
from ...audit.tables import Recorded, recorded, title_of
from ...audit.telling import SHARED_LABELS
from ...base import Base
from ...web import record_links as subjects
from ...web.record_links import Place, Subject, Word
from ..verification.impossible import all_dates
from .findings import name_of


def register() -> None:
    """Say all of it; called once, when every domain has said what its rows are called."""
    for table in facts_by_table():
        known = recorded(table)
        labels = {**SHARED_LABELS, **(known.labels if known else {})}
        subjects.name_items(name_of(table), Word(title_of(table), name_of(table), labels))
        subjects.register(name_of(table), _subject(table))
    for name, table in all_dates().items():
        known = recorded(table)
        labels = {**SHARED_LABELS, **(known.labels if known else {})}
        subjects.name_items(name, Word(title_of(table), name, labels))
        subjects.register(name, _subject(table))


def _subject(table: str) -> Subject:
    shown = _shown(table)

    def name(owner: Any, _key: Any) -> Any:
        return cast(null(), String) if shown is None else _name_in(shown, owner)

    def record(place: Place) -> str:
        if shown is None or not shown.endpoint or not may_open(shown.endpoint):
            return ""
        arguments: dict[str, Any] = {
            shown.argument: place.owner if shown.is_shown_by_id else place.name
        }
        return url_for(shown.endpoint, **arguments)

    return Subject(name, record, lambda _place, _column: "")


def _shown(table: str) -> Recorded | None:
    """The record that a row of the table is shown with."""
    known = recorded(table)
    if known is not None and known.part_of is not None:
        column: Column[Any] = known.part_of.property.columns[0]
        known = recorded(next(key.column.table.name for key in column.foreign_keys))
    return known


def _name_in(shown: Recorded, owner: Any) -> Any:
    if shown.name is None:
        return cast(null(), String)
    key = next(iter(Base.metadata.tables[shown.model.__tablename__].primary_key))
    return select(cast(shown.name, String)).where(key == owner).scalar_subquery()
