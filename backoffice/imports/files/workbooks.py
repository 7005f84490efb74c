"""Excel workbooks: their first visible sheet, as a person sees it, as a CSV file, which is then read like any other."""

import csv
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from io import TextIOWrapper
from itertools import islice
from typing import IO, Any
from zipfile import BadZipFile, ZipFile

from .rows import MOST_CELLS

BEGINNING = b"PK\x03\x04"
"""The first bytes of every archive, and so of every workbook."""

MOST_UNPACKED = 200 * 1024 * 1024
"""The most bytes of a workbook's unpacked parts, against decompression bombs."""

IN_MEMORY = 1024 * 1024

MARK = "\x01"
"""The prefix of each number that `as_csv` writes. XML cannot contain it, so no text of a workbook begins with it."""


TROUBLE = "\x02"
"""The sign before the place and before the text of each cell without a value, an error or a formula."""

MOST_EMPTY_ROWS = 1000
"""The most empty rows within a sheet: a cell far below them is there by mistake."""

_CODE = re.compile(r'(?:"([^"]{0,40})"(?=00))?(0{1,40})')
"""A number format of codes: `00000`, or `"INV-"0000`; in `"kg"0` the text is a unit. Excel shows at most 15 digits."""


Code = tuple[str, int]
"""A prefix, and the least number of digits."""


_ESCAPED = re.compile(r"_x(0009|000[AaDd]|(?!00[01]|[Dd][89A-Fa-f])[0-9A-Fa-f]{4})_")
"""A character that a workbook's text escapes, so `_x005F_x0041_` is `_x0041_`; `MARK` and `TROUBLE` cannot be."""


class NoWorkbook(ValueError):
    """An archive that is no workbook, is broken, or is too large unpacked."""


class FarCell(NoWorkbook):
    """A cell far below all others; `place` is its sheet and cell."""

    def __init__(self, place: str) -> None:
        super().__init__(f"{place} is far below all other cells; delete its row")
        self.place = place


def as_csv(
    stream: IO[bytes], most_rows: int | None = None, most_bytes: int | None = None
) -> IO[bytes]:
    """The values of the first visible sheet as CSV in UTF-8; a formula gives its last result.

    Numbers have a `MARK` and a point, and the zeros in front that Excel shows. Dates are YYYY-MM-DD. A cell without
    a value has `TROUBLE`. Stops after `most_rows`, and once there are more than `most_bytes`. Raises NoWorkbook.
    """
    from openpyxl import load_workbook

    store = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 (the caller reads and closes it)
    text = TextIOWrapper(store, encoding="utf-8", errors="replace", newline="")
    try:
        _check(stream)
        book = load_workbook(stream, read_only=True, data_only=True, keep_links=False)
        sheet = next((one for one in book.worksheets if one.sheet_state == "visible"), None)
        if sheet is None:
            raise NoWorkbook("no sheet is visible")
        writer = csv.writer(text)
        for row in _even(islice(_rows(sheet, most_rows), most_rows)):
            writer.writerow(row)
            if most_bytes is not None and store.tell() > most_bytes:
                break
    except NoWorkbook:
        raise
    except Exception as error:  # a broken file can raise any exception in the reader
        raise NoWorkbook(str(error)) from error
    text.flush()
    text.detach()
    store.seek(0)
    return store


def _check(stream: IO[bytes]) -> None:
    try:
        parts = ZipFile(stream).infolist()
    except BadZipFile as error:
        raise NoWorkbook(str(error)) from error
    if "xl/workbook.xml" not in {part.filename for part in parts}:
        raise NoWorkbook("not an Excel workbook")
    if sum(part.file_size for part in parts) > MOST_UNPACKED:
        raise NoWorkbook("too large inside")
    stream.seek(0)


def _rows(sheet: Any, most_rows: int | None) -> Iterator[list[str]]:
    """The rows of a sheet as text, read from the cells that it stores, not from the size that it claims.

    Raises FarCell beyond some more rows than `most_rows`, with or without values.
    """
    from openpyxl.cell.read_only import ReadOnlyCell
    from openpyxl.worksheet._reader import FORMULA_TAG, WorkSheetParser

    class Parser(WorkSheetParser):  # type: ignore[misc]
        """Reads values, and the formula of a cell that has no value."""

        def parse_cell(self, element: Any) -> dict[str, Any]:
            cell: dict[str, Any] = super().parse_cell(element)
            is_text = element.get("t") == "str"  # an empty one, the result of a formula such as =""
            if cell["value"] is None and not is_text and element.find(FORMULA_TAG) is not None:
                cell["value"], cell["data_type"] = f"={element.findtext(FORMULA_TAG) or ''}", "e"
            return cell

    book, codes, expected = sheet.parent, dict[int, Code](), 1
    with sheet._get_source() as source:
        parser = Parser(
            source, sheet._shared_strings, data_only=True, epoch=book.epoch,
            date_formats=book._date_formats, timedelta_formats=book._timedelta_formats,
        )  # fmt: skip
        for count, (number, stored) in enumerate(parser.parse(), 1):
            if most_rows is not None and count > most_rows + MOST_EMPTY_ROWS:
                raise FarCell(f"{sheet.title}!A{number}")
            filled = [ReadOnlyCell(sheet, **one) for one in stored if one["value"] is not None]
            if not filled:
                continue
            if number - expected > MOST_EMPTY_ROWS:
                raise FarCell(f"{sheet.title}!{filled[0].coordinate}")
            yield from ([] for _ in range(expected, number))
            expected = number + 1
            yield _line(sheet, filled, codes)


def _line(sheet: Any, filled: Sequence[Any], codes: dict[int, Code]) -> list[str]:
    """The cells of a row as text; `filled`, those with a value, need not be in order."""
    cells = [""] * min(max(one.column for one in filled), MOST_CELLS + 1)
    for one in filled:
        if one.column > len(cells):
            continue
        if one.data_type == "e":
            cells[one.column - 1] = f"{TROUBLE}{sheet.title}!{one.coordinate}{TROUBLE}{one.value}"
        else:
            style = one._style_id
            if style not in codes:
                codes[style] = _code(one.number_format)
            cells[one.column - 1] = _text(one.value, *codes[style])
    return cells


def _code(number_format: str) -> Code:
    """The prefix and the least number of digits with which a format such as `"INV-"0000` shows a number."""
    match = _CODE.fullmatch(number_format)
    return (match[1] or "", len(match[2])) if match else ("", 0)


def _even(rows: Iterable[Sequence[str]]) -> Iterator[list[str]]:
    """The rows, padded or stripped of empty cells at the end to the width of the header."""
    width = 0
    for values in rows:
        cells = list(values)
        while len(cells) > width and not cells[-1]:
            cells.pop()
        width = width or len(cells)
        yield cells + [""] * (width - len(cells))


def _text(value: Any, prefix: str, digits: int) -> str:
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int):
        if prefix:
            return f"{prefix}{value:0{digits}d}" if value >= 0 else f"-{prefix}{-value:0{digits}d}"
        return f"{MARK}{value:0{digits + (value < 0)}d}"
    if isinstance(value, float):
        # Excel shows the first 15 digits of a number; the float behind it has more.
        return f"{MARK}{Decimal(f'{value:.15g}'):f}"
    if isinstance(value, datetime) and value.time() == time():
        value = value.date()
    if isinstance(value, date | time):
        return value.isoformat()
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), str(value))
