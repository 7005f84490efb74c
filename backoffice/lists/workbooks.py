"""A list as an Excel workbook, for people, so limited in its number of rows."""

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any

from ..base import N_
from ..base.refusals import Refusal
from .declaration import Column

if TYPE_CHECKING:
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font

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
    # Read here: it is a tenth of what the whole app reads, and few processes write a workbook.
    from openpyxl import Workbook
    from openpyxl.styles import Font

    book = Workbook(write_only=True)
    sheet = book.create_sheet(re.sub(r"[\[\]:*?/\\]", " ", title)[:31])
    sheet.freeze_panes = "A2"
    bold = Font(bold=True)
    sheet.append([_cell(sheet, head, font=bold) for _, head in columns])
    kinds = [column.kind for column, _ in columns]
    for row in rows:
        cells = zip(row, kinds, strict=True)
        sheet.append([_cell(sheet, value, _format_of(kind, value)) for value, kind in cells])
    for line in footer:
        sheet.append([_cell(sheet, value, _format_of("", value), font=bold) for value in line])
    file = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 (the response reads and closes it)
    book.save(file)
    file.seek(0)
    return file


def _format_of(kind: str, value: Any) -> str:
    """The number format of a cell of that kind; a total, without a kind, as money if it has decimals."""
    if kind and kind not in _LEAST_DECIMALS:
        return _FORMATS.get(kind, "")
    if not isinstance(value, Decimal | int) or not Decimal(value).is_finite():
        return ""
    has_decimals = Decimal(value).as_tuple().exponent != 0
    least = _LEAST_DECIMALS[kind] if kind else 2 if has_decimals else 0
    _whole, _point, decimals = f"{value:f}".partition(".")
    count = max(least, len(decimals.rstrip("0")))
    return f"#,##0.{'0' * count}" if count else "#,##0"


def _cell(sheet: Any, value: Any, form: str = "", font: "Font | None" = None) -> "WriteOnlyCell":
    """A cell of the value's own type: a text stays text, whatever its first character."""
    from openpyxl.cell import WriteOnlyCell

    is_too_long = isinstance(value, Decimal) and len(value.as_tuple().digits) > EXACT_DIGITS
    if is_too_long:
        value = str(value)
    if isinstance(value, str):
        value = _UNPRINTABLE.sub("", value)
    cell = WriteOnlyCell(sheet, value)
    if isinstance(value, str):
        cell.data_type = "s"
    elif form and value is not None:
        cell.number_format = form
    if font is not None:
        cell.font = font
    return cell
