"""Cells pasted from a spreadsheet, or read from a small file."""

import csv
from io import StringIO


def rows_of(block: str, delimiter: str = "\t") -> list[list[str]]:
    """The cells of each row, stripped; a blank row is one empty cell.

    Where quotation marks are not a spreadsheet's (`"` first in a cell and never closed), they are characters as any.
    """
    lines = block.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    try:
        rows = list(csv.reader(StringIO(lines, newline=""), delimiter=delimiter, strict=True))
    except csv.Error:
        rows = [line.split(delimiter) for line in lines.removesuffix("\n").split("\n")]
    return [[cell.strip() for cell in row] or [""] for row in rows]
