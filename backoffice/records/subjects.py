"""How the watch over figures names and shows the rows of a record's figures, its own and its parts'."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from flask import url_for
from sqlalchemy import select

from ..web.record_links import Place, Subject
from .declaration import Record


def subjects_of(record: Record) -> Iterator[Subject]:
    """One for each table in which a figure of the record stands; parts go by the record's name."""
    own = record.model.__table__
    for table in dict.fromkeys(figure.table for figure in record.figures):
        view = "calculation_of" if table is own else "calculation_of_part"
        yield Subject(
            table.name,
            lambda owner, _key: select(record.name).where(own.c.id == owner).scalar_subquery(),
            partial(_address, record, "record"),
            partial(_calculation, record, view),
            lambda text: select(own.c.id).where(record.name == text),
        )


def _address(record: Record, view: str, place: Place, **more: Any) -> str:
    return url_for(f"{record.domain}.{view}", **{record.argument: place.name, **more})


def _calculation(record: Record, view: str, place: Place, column: str) -> str:
    part = {} if view == "calculation_of" else {"part": place.key["id"]}
    return _address(record, view, place, column=column, **part)
