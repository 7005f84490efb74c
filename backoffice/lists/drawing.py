"""The cells of a page as its template renders them, formatted in Python because a page has hundreds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from flask_babel import gettext as _

from ..base import money
from ..web.formats import day_filter, moment_filter, month_filter
from ..web.preferences import number_format
from .declaration import Column
from .marking import Mark

Written = Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Head:
    """A shown column: its label, its classes, and the text for a missing value."""

    column: Column
    label: str
    classes: str
    empty: str


@dataclass(frozen=True, slots=True)
class Cell:
    """One value as text, with its link. `is_row`: the link opens the row's own record.

    `tone`: it is a badge of that tone. `mark`: it is known to be wrong.
    """

    head: Head
    text: str
    href: str | None
    is_row: bool
    is_missing: bool
    is_zero: bool
    tone: str = ""
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class Foot:
    """One cell of the totals row; empty under a column without a total."""

    head: Head
    text: str
    mark: Mark | None = None


def heads_of(columns: Sequence[Column]) -> list[Head]:
    """The columns as rendered."""
    return [
        Head(
            column,
            _(column.label),
            " ".join(filter(None, (_class_of(column), column.classes))),
            _(column.empty) if column.empty else "",
        )
        for column in columns
    ]


def _class_of(column: Column) -> str:
    return "num" if column.is_number else "cell-moment" if column.kind == "moment" else ""


def writers_of(columns: Sequence[Column]) -> dict[str, Written]:
    """Column → the function that formats its values for the user; empty for None."""
    style = number_format()
    kinds: dict[str, Written] = {
        "money": lambda value: money.format_amount(Decimal(value), style),
        "quantity": lambda value: money.format_quantity(Decimal(value), style),
        "number": lambda value: money.format_quantity(Decimal(value), style),
        "unit_price": lambda value: money.format_unit_price(Decimal(value), style),
        "percent": lambda value: money.format_percent(Decimal(value), style),
        "day": cache(day_filter),
        "month": cache(month_filter),
        "moment": moment_filter,
        "text": str,
    }

    def writer(column: Column) -> Written:
        if column.words:
            words = {stored: _(word) for stored, word in column.words.items()}
            return lambda value: words.get(value, str(value))
        return kinds[column.kind]

    def or_nothing(write: Written) -> Written:
        return lambda value: "" if value is None else write(value)

    return {column.name: or_nothing(writer(column)) for column in columns}


def cells_of(
    heads: Sequence[Head],
    writers: dict[str, Written],
    row: Any,
    link: Callable[[Column, Any], str | None],
    row_column: Column | None,
    marks: Mapping[tuple[Any, str], Mark],
) -> Iterator[Cell]:
    """The cells of one row."""
    for head in heads:
        column = head.column
        value = getattr(row, column.name)
        yield Cell(
            head,
            column.write(row) if column.write else writers[column.name](value),
            link(column, row),
            column is row_column,
            value is None,
            column.kind == "money" and not value,
            column.tones.get(value, "") if column.tones else "",
            marks.get((row.key, column.name)),
        )
