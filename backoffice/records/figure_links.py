"""Names and links of the rows with a record's figures, its own and its parts', for drift findings and runs."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from flask import url_for
from sqlalchemy import select

from ..web.record_links import Place, Subject
from .declaration import Record


def figure_links_of(record: Record) -> Iterator[Subject]:
    """One for each table with a figure of the record's rows; parts are named by the record's name.

    Where a figure has another owner (a month's manager), the domain declares its own.
    """
    own = record.model.__table__
    of_rows = (figure for figure in record.figures if figure.owner_table is own)
    for table in dict.fromkeys(figure.table for figure in of_rows):
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
