"""Codes of rows that are named by their owner and a month, in addresses and the API: 7/2026-03."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, false, func, or_
from sqlalchemy.orm import ColumnProperty, Mapped, column_property

from .identifiers import whole_number
from .periods import Month


def month_code(owner_id: int, month: Month | str) -> str:
    """The code of an owner's month, given as a Month or as stored text; the month needs no row."""
    return f"{owner_id}/{month}"


def code_of(owner: Any, month: Any, *, is_day: bool = False) -> Mapped[str]:
    """The code as a column of a model, from its owner column and its month column (YYYY-MM; with `is_day` a date)."""

    class OfCode(ColumnProperty.Comparator[str]):
        """Compares a code by its owner and month, which are indexed."""

        def __eq__(self, code: object) -> ColumnElement[bool]:  # type: ignore[override]
            number, _slash, written = str(code).partition("/")
            try:
                owner_id, meant = whole_number(number), Month.parse(written)
            except ValueError:
                return false()
            if code != month_code(owner_id, meant):
                return false()
            at = meant.first if is_day else str(meant)
            found: ColumnElement[bool] = (owner.column == owner_id) & (month.column == at)
            return found

        __hash__ = None  # type: ignore[assignment]

        def in_(self, other: Any) -> ColumnElement[bool]:  # type: ignore[override]
            codes: Iterable[object] = other
            return or_(false(), *(self == code for code in codes))

    written = func.to_char(month.column, "YYYY-MM") if is_day else month.column
    return column_property(func.concat(owner.column, "/", written), comparator_factory=OfCode)
