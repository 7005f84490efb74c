"""A list as an Excel workbook, for people, so limited in its number of rows."""

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any

from ..base import N_
from ..base.refusals import Refusal
from .declaration import Column

if TYPE_CHECKING:
    from xlsxwriter.format import Format

MOST_ROWS = 50_000
"""The most rows of a workbook; a CSV file has no limit."""

EXACT_DIGITS = 15
"""The number of digits that Excel keeps; a longer number is written as text to avoid rounding."""

_IN_MEMORY = 4 * 1024 * 1024
_FORMATS = {"day": "yyyy-mm-dd", "month": "yyyy-mm", "moment": "yyyy-mm-dd hh:mm"}
_LEAST_DECIMALS = {"money": 2, "quantity": 0, "unit_price": 2}
"""The least decimals shown; any further decimals are shown too, so that a difference does not appear as zero."""

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


class TooManyRows(Refusal):
    """The list has more rows than a workbook may have."""

    sentence = N_(
        "This list has %(count)s rows, and a workbook takes at most %(most)s. "
        "Narrow the filter, or export CSV, which has no limit."
    )


def workbook_of(
    title: str,
    columns: Sequence[tuple[Column, str]],
    rows: Iterable[Sequence[Any]],
    footer: Iterable[Sequence[Any]],
) -> IO[bytes]:
    """The workbook as a readable file: heads, rows, and the footer."""
    # Read here, because few processes write a workbook. openpyxl takes more than twice as long to write one.
    from xlsxwriter import Workbook

    file = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 (the response reads and closes it)
    with Workbook(file, {"constant_memory": True}) as book:
        sheet = book.add_worksheet(re.sub(r"[\[\]:*?/\\]", " ", title)[:31])
        sheet.freeze_panes(1, 0)
        lines = _Lines(book, sheet)
        lines.add([head for _, head in columns], bold=True)
        kinds = [column.kind for column, _ in columns]
        for row in rows:
            lines.add(row, kinds)
        for line in footer:
            lines.add(line, bold=True)
    file.seek(0)
    return file


class _Lines:
    """Writes line after line into a sheet. Each cell has the type of its value: a text is never read as a formula."""

    def __init__(self, book: Any, sheet: Any) -> None:
        self._book = book
        self._sheet = sheet
        self._formats: dict[tuple[str, bool], Format | None] = {("", False): None}
        self._count = 0

    def add(self, values: Sequence[Any], kinds: Sequence[str] = (), *, bold: bool = False) -> None:
        """Add a line. The kinds of columns decide how their numbers and days are shown."""
        for position, value in enumerate(values):
            kind = kinds[position] if kinds else ""
            self._write(self._count, position, value, kind, bold)
        self._count += 1

    def _write(self, row: int, position: int, value: Any, kind: str, bold: bool) -> None:
        if isinstance(value, str) or _is_too_exact(value):
            text = _UNPRINTABLE.sub("", str(value))
            self._sheet.write_string(row, position, text, self._format("", bold))
        elif isinstance(value, bool):
            self._sheet.write_boolean(row, position, value, self._format("", bold))
        elif value is not None:
            is_day = isinstance(value, date | datetime)
            write = self._sheet.write_datetime if is_day else self._sheet.write_number
            write(row, position, value, self._format(_format_of(kind, value), bold))

    def _format(self, shown_as: str, bold: bool) -> "Format | None":
        key = shown_as, bold
        if key not in self._formats:
            wanted = {"bold": bold} | ({"num_format": shown_as} if shown_as else {})
            self._formats[key] = self._book.add_format(wanted)
        return self._formats[key]


def _is_too_exact(value: Any) -> bool:
    """Whether Excel would round the number, or has no such number (NaN)."""
    if not isinstance(value, Decimal):
        return False
    return not value.is_finite() or len(value.as_tuple().digits) > EXACT_DIGITS


def _format_of(kind: str, value: Any) -> str:
    """The number format of a cell of that kind; a total, without a kind, as money if it has decimals."""
    if kind and kind not in _LEAST_DECIMALS:
        return _FORMATS.get(kind, "")
    if not isinstance(value, Decimal | int):
        return ""
    has_decimals = Decimal(value).as_tuple().exponent != 0
    least = _LEAST_DECIMALS[kind] if kind else 2 if has_decimals else 0
    _whole, _point, decimals = f"{value:f}".partition(".")
    count = max(least, len(decimals.rstrip("0")))
    return f"#,##0.{'0' * count}" if count else "#,##0"
