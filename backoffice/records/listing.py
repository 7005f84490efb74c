"""The list of a record: its domain's own, or one of its fields."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from flask import url_for
from sqlalchemy import Select, select

from ..base import N_
from ..lists import Column, List, Search, containing
from .declaration import Record, Row
from .fields import Choice, Day, Field, Flag, Text, UnitPrice

_KINDS: Mapping[type[Field], Any] = {
    Text: "text", Choice: "text", Flag: "text", Day: "day", UnitPrice: "unit_price",
}  # fmt: skip


def list_for(record: Record, user: Any) -> List:
    """The list of the record as `user` may see it."""
    return record.listing(user) if record.listing is not None else _of_fields(record)


@cache
def _of_fields(record: Record) -> List:
    """A column per field, the name first; searched in its texts, sorted by the name."""
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
        columns=[_column(record, field) for field in fields],
        filters=(
            Search("q", N_("Search"), containing(*(f.column for f in fields if isinstance(f, Text)))),
        ),
        default_sort=record.argument,
        new=(f"{domain}.new", record.new),
    )  # fmt: skip


def _column(record: Record, field: Field) -> Column:
    def link(row: Row) -> str:
        named: dict[str, Any] = {record.argument: getattr(row, record.argument)}
        return url_for(f"{record.domain}.record", **named)

    words: Mapping[Any, str] | None = None
    if isinstance(field, Choice):
        words = field.words
    elif isinstance(field, Flag):
        words = {True: N_("yes"), False: N_("no")}
    is_name = field.name == record.argument
    return Column(
        field.name, field.label, field.column, kind=_KINDS[type(field)], words=words,
        link=link if is_name else None, classes="cell-key" if is_name else "",
    )  # fmt: skip
