"""Excel workbooks: the values of their first sheet as a CSV file, which is then read like any other."""

import csv
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


class NoWorkbook(ValueError):
    """An archive that is no workbook, is broken, or is too large unpacked."""


def as_csv(stream: IO[bytes], most_rows: int | None = None) -> IO[bytes]:
    """The values of the first sheet as CSV in UTF-8; a formula gives its last result.

    Numbers have a `MARK` and a point, dates are YYYY-MM-DD. Raises NoWorkbook.
    """
    from openpyxl import load_workbook

    store = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 (the caller reads and closes it)
    text = TextIOWrapper(store, encoding="utf-8", errors="replace", newline="")
    try:
        _check(stream)
        book = load_workbook(stream, read_only=True, data_only=True, keep_links=False)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # the stored dimensions of a sheet are often out of date
        rows = sheet.iter_rows(values_only=True, max_col=MOST_CELLS + 1)
        csv.writer(text).writerows(_even(islice(rows, most_rows)))
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


def _even(rows: Iterable[Sequence[Any]]) -> Iterator[list[str]]:
    """The rows as text, padded or stripped of empty cells at the end to the width of the header."""
    width = 0
    for values in rows:
        cells = [_text(value) for value in values]
        while len(cells) > width and not cells[-1]:
            cells.pop()
        width = width or len(cells)
        yield cells + [""] * (width - len(cells))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int):
        return f"{MARK}{value}"
    if isinstance(value, float):
        # Excel shows the first 15 digits of a number; the float behind it has more.
        return f"{MARK}{Decimal(f'{value:.15g}'):f}"
    if isinstance(value, datetime) and value.time() == time():
        value = value.date()
    return value.isoformat() if isinstance(value, date | time) else str(value)
