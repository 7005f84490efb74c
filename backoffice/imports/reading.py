"""Reading CSV files into values, line by line, with every problem named where it stands."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from sqlalchemy.types import TypeEngine

from ..base import N_
from ..money import AmountError
from .cells import CellError
from .report import Problem

DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class ImportColumn:
    """One column of a kind of file: its name, what reads a cell, and what type that gives.

    The header may lack a column that is not `required`. An empty cell gives `empty` where
    `may_be_empty`, and is refused elsewhere.
    """

    name: str
    read: Callable[[str], Any]
    type: TypeEngine[Any]
    required: bool = True
    may_be_empty: bool = False
    empty: Any = None


class Line(NamedTuple):
    """A line that could be read: where it stands, and a value for each column of the header."""

    number: int
    values: tuple[Any, ...]


class OneFile:
    """One CSV file: its header at once, then its lines. Problems are collected, none is raised.

    UTF-8 with or without a byte-order mark; comma, semicolon, tab or bar, as the header has it.
    """

    def __init__(self, path: Path, known: Sequence[ImportColumn]) -> None:
        self.path = path
        self.problems: list[Problem] = []
        self._known: Mapping[str, ImportColumn] = {column.name: column for column in known}
        with self._open() as stream:
            first = stream.readline()
        self._delimiter = _delimiter(first, self._known)
        self.columns = self._header(first)

    def lines(self) -> Iterator[Line]:
        """Every line that can be read; the others leave problems. None if the header is wrong."""
        if self.problems:
            return
        with self._open() as stream:
            reader = csv.reader(stream, delimiter=self._delimiter, strict=True)
            start = 1
            try:
                next(reader)
                start = reader.line_num + 1
                for cells in reader:
                    line = self._line(start, cells)
                    start = reader.line_num + 1
                    if line is not None:
                        yield line
            except csv.Error:
                self._note(start, "", N_("A quotation mark here is never closed, or misplaced."))

    def _open(self) -> TextIO:
        # Bytes that are not UTF-8 become lone surrogates, which the cells then refuse by line.
        return self.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")

    def _header(self, first: str) -> tuple[ImportColumn, ...]:
        names = _names(first, self._delimiter)
        known = ", ".join(self._known)
        if not any(names):
            self._note(1, "", N_("The first line must name the columns: %(known)s."), known=known)
            return ()
        for name in names:
            if name not in self._known:
                self._note(
                    1,
                    name[:50].encode("utf-8", "replace").decode(),
                    N_("This column is not known. The columns are: %(known)s."),
                    known=known,
                )
            elif names.count(name) > 1:
                self._note(1, name, N_("This column stands here more than once."))
        for column in self._known.values():
            if column.required and column.name not in names:
                self._note(1, column.name, N_("This column is missing."))
        return tuple(self._known[name] for name in names if name in self._known)

    def _line(self, number: int, cells: list[str]) -> Line | None:
        stripped = [cell.strip() for cell in cells]
        if not any(stripped):
            return None
        if len(stripped) != len(self.columns):
            self._note(
                number,
                "",
                N_("This line has %(cells)s cells, the header %(columns)s."),
                cells=str(len(stripped)),
                columns=str(len(self.columns)),
            )
            return None
        before = len(self.problems)
        values = tuple(
            self._value(number, column, cell)
            for column, cell in zip(self.columns, stripped, strict=True)
        )
        return Line(number, values) if len(self.problems) == before else None

    def _value(self, number: int, column: ImportColumn, cell: str) -> Any:
        if not cell:
            if not column.may_be_empty:
                self._note(number, column.name, N_("This must not be empty."))
            return column.empty
        try:
            return column.read(cell)
        except (CellError, AmountError) as refusal:
            self._note(number, column.name, refusal.message, **refusal.params)
            return None

    def _note(self, number: int, column: str, message: str, **params: str) -> None:
        self.problems.append(Problem(str(self.path), number, column, message, params))


def _names(first: str, delimiter: str) -> list[str]:
    cells = next(csv.reader([first], delimiter=delimiter), [])
    return [cell.strip().casefold() for cell in cells]


def _delimiter(first: str, known: Mapping[str, ImportColumn]) -> str:
    """The sign by which the header falls into the most names that we know; a comma in doubt."""
    return max(DELIMITERS, key=lambda sign: sum(name in known for name in _names(first, sign)))
