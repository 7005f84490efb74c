"""The list of a record, its domain's own or one made of its fields; finding rows, and their addresses."""

from collections.abc import Mapping
from functools import cache, partial
from typing import Any

from flask import url_for
from sqlalchemy import Integer, Select, select
from sqlalchemy.orm import Session

from ..app.extensions import db
from ..base import N_
from ..base.identifiers import whole_number
from ..lists import Column, List, Search, containing
from ..web.record_links import label_of
from . import former_names
from .declaration import Record, Row
from .fields import Choice, Field, Flag, Pick, Text


def list_for(record: Record, user: Any) -> List:
    """The list of the record as `user` may see it."""
    return record.listing(user) if record.listing is not None else _of_fields(record)


def row_named(session: Session, record: Record, user: Any, name: str) -> Row | None:
    """The row of that name, if the user may see it."""
    named: Any = whole_number(name) if isinstance(record.name.type, Integer) else name
    return session.scalars(_rows(record, user).where(record.name == named)).one_or_none()


def row_once_named(session: Session, record: Record, user: Any, name: str) -> Row | None:
    """The row that was called so before and is renamed since, if the user may see it."""
    if isinstance(record.name.type, Integer) or record.argument not in record.by_name:
        return None
    row_id = former_names.row_once_named(session, record.name, name)
    return None if row_id is None else row_with_id(session, record, user, row_id)


def row_with_id(session: Session, record: Record, user: Any, row_id: int) -> Row | None:
    """The row of that id, if the user may see it."""
    key = record.model.__table__.c.id
    return session.scalars(_rows(record, user).where(key == row_id)).one_or_none()


def _rows(record: Record, user: Any) -> Select[Any]:
    rows = list_for(record, user).rows(user).with_only_columns(record.model)
    return rows.options(*record.loads)


def address_of(record: Record, row: Row) -> str:
    """The address of a row's page."""
    named: dict[str, Any] = {record.argument: record.name_of(row)}
    return url_for(f"{record.domain}.record", **named)


def address_in(field: Field, fact: str) -> str:
    """The address of the record that a field refers to; empty where it refers to none."""
    if not isinstance(field, Pick) or not fact or not field.of.page:
        return ""
    key = int(fact)
    name = field.of.names(db.session(), [key]).get(key)
    named: dict[str, Any] = {str(field.of.name.key): name}
    return "" if name is None else url_for(field.of.page, **named)


@cache
def _of_fields(record: Record) -> List:
    """The standard list: a column per field, the name first, then the figures; searches texts, sorted by the name."""
    domain = record.domain
    fields = sorted(record.fields, key=lambda field: field.name != record.argument)

    def rows(_user: Any) -> Select[Any]:
        return select().select_from(record.model)

    return List(
        domain,
        record.many,
        f"{domain}.index",
        export=f"{domain}.export",
        rows=rows,
        key=record.model.__table__.c.id,
        columns=[
            column_of(field, link=partial(address_of, record), classes="cell-key")
            if field.name == record.argument
            else column_of(field)
            for field in fields
        ]
        + [figure_column(record, name) for name in record.figure_columns],
        filters=(
            Search("q", N_("Search"), containing(*(f.column for f in fields if isinstance(f, Text)))),
        ),
        default_sort=record.argument,
        new=(f"{domain}.new", record.new) if record.writes else None,
    )  # fmt: skip


def column_of(field: Field, **more: Any) -> Column:
    """The list column of a field; `more` are further arguments of `Column`."""
    words: Mapping[Any, str] | None = None
    if isinstance(field, Choice):
        words = field.words
    elif isinstance(field, Flag):
        words = {True: N_("yes"), False: N_("no")}
    value: Any = field.column
    if isinstance(field, Pick):
        key = field.of.model.__table__.c.id
        value = select(field.of.name).where(key == field.column).scalar_subquery()
    given = {"label": field.label, "kind": field.kind, "words": words, **more}
    return Column(field.name, value=value, **given)


def figure_column(record: Record, name: str, **more: Any) -> Column:
    """The list column of a figure, with its total; `more` are further arguments of `Column`."""
    held = getattr(record.model, name)
    is_count = isinstance(held.type, Integer)
    label = label_of(record.figure_columns[name].name, name)
    given = {"label": label, "kind": "number" if is_count else "money", "total": True, **more}
    return Column(name, value=held, **given)
