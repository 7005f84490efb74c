"""Splitting a text file into rows of cells; rows that cannot be split are reported."""

import csv
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple, TextIO

from ...base import N_

LONGEST_LINE = 65_536
"""The most characters of a line; real ones have a few thousand at most."""

MOST_CELLS = 500
"""The most cells of a row; real exports have some dozens."""

MOST_LINES_A_ROW = 50
"""The most lines of a quoted cell; beyond that its quotation mark counts as never closed."""

SEPARATOR_HINT = "sep="
"""The prefix of a first line that sets the delimiter for Excel."""

BAD_QUOTES = N_("A quotation mark here is never closed, or misplaced.")
TOO_LONG = N_("This line is longer than %(limit)s characters.")
TOO_MANY = N_("This line has more than %(limit)s cells.")
LIMITS = {TOO_LONG: f"{LONGEST_LINE:,}", TOO_MANY: str(MOST_CELLS)}


class Row(NamedTuple):
    """Cells and the number of the line where they begin; `trouble` is why they could not be split.

    A row with trouble has the beginning of its line as its only cell.
    """

    number: int
    cells: list[str]
    trouble: str = ""


class _Unclosed(Exception):
    """A quoted cell runs over too many lines."""


class _TooLong(Exception):
    """A line is longer than `LONGEST_LINE`."""


class _Lines:
    """The lines of a file for csv.reader. After a row that cannot be split, reading resumes at its 2nd line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._waiting: deque[str] = deque()
        self._row: list[str] = []
        self.number = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        is_new = not self._waiting
        line = self._stream.readline(LONGEST_LINE + 1) if is_new else self._waiting.popleft()
        if not line:
            raise StopIteration
        self.number += 1
        self._row.append(line)
        if len(line) > LONGEST_LINE:
            if is_new:
                self._pass_over(line)
            raise _TooLong
        if len(self._row) > MOST_LINES_A_ROW:
            raise _Unclosed
        return line

    def begin(self) -> int:
        """Begin a row; returns the number of its first line."""
        self._row.clear()
        return self.number + 1

    def back(self) -> str:
        """Go back to the row's second line; returns its first one."""
        first, *others = self._row or [""]
        self._waiting.extendleft(reversed(others))
        self.number -= len(others)
        return first

    def _pass_over(self, line: str) -> None:
        while line and not line.endswith(("\n", "\r")):
            line = self._stream.readline(LONGEST_LINE)


def rows(stream: TextIO, delimiter: str) -> Iterator[Row]:
    """Every row of the file, including the header, but without a delimiter hint for Excel."""
    lines = _Lines(stream)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        number = lines.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except _TooLong:
            begins_earlier = lines.number > number
            yield Row(number, [_beginning(lines)], BAD_QUOTES if begins_earlier else TOO_LONG)
        except (csv.Error, _Unclosed):
            yield Row(number, [_beginning(lines)], BAD_QUOTES)
        else:
            if number == 1 and is_delimiter_hint(cells, delimiter):
                continue
            if len(cells) > MOST_CELLS:
                yield Row(number, [delimiter.join(cells)[:1000]], TOO_MANY)
            else:
                yield Row(number, cells)


def _beginning(lines: _Lines) -> str:
    """The start of a row's first line; its other lines are read again."""
    return lines.back().rstrip("\r\n")[:1000]


def is_delimiter_hint(cells: list[str], delimiter: str) -> bool:
    """Whether the first row is only a hint such as `sep=;`."""
    return delimiter.join(cells).strip().casefold() == SEPARATOR_HINT + delimiter.strip()


def delimiter_hint(first: str) -> str:
    """The delimiter from a first line such as `sep=;`; empty without one."""
    text = first.strip(" \r\n\ufeff")
    is_one = text.casefold().startswith(SEPARATOR_HINT) and len(text) == len(SEPARATOR_HINT) + 1
    return text[-1] if is_one else ""
