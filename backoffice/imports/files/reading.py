"""Reading CSV files into values, line by line, with the place of every problem."""

import csv
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from typing import Any, NamedTuple

from sqlalchemy import Date, Numeric
from sqlalchemy.types import TypeEngine

from ...base import N_
from ...base.formula_guard import unguarded
from ...base.money import AmountError
from ...base.spelling import composed
from ...lists.footers import without_footer
from ..report import Problem
from .cells import CellError, NotationReader, WorkbookNumber, WorkbookTrouble
from .layout import DELIMITERS, EACH, RETURNED, Layout, Notation, normalised
from .rows import LIMITS, MOST_CELLS, Row, delimiter_hint, rows
from .sources import Source, StoredFile
from .workbooks import MARK, TROUBLE


@dataclass(frozen=True)
class ImportColumn:
    """One column of a kind of file: its name, the reader of its cells, and the type of its values.

    An empty cell gives `empty` if `may_be_empty`, and is refused otherwise. The header may lack a column that is not
    `required`, and one that may be empty: all its cells are empty then (see `Stage`).
    """

    name: str
    read: Callable[[str], Any]
    type: TypeEngine[Any]
    required: bool = True
    may_be_empty: bool = False
    empty: Any = None

    @property
    def may_be_missing(self) -> bool:
        """Whether the header may lack it."""
        return self.may_be_empty or not self.required

    @property
    def holds(self) -> str:
        """The type of its values: `day`, `number` or `text`."""
        if isinstance(self.type, Date):
            return "day"
        return "number" if isinstance(self.type, Numeric) else "text"

    def reader(self, notation: Notation) -> Callable[[str], Any]:
        """The reader of cells in `notation`."""
        return (
            self.read.in_notation(notation) if isinstance(self.read, NotationReader) else self.read
        )


class FileLine(NamedTuple):
    """A line that could be read: its number, and a value for each column of the header."""

    number: int
    values: tuple[Any, ...]


class CsvFile:
    """One CSV file: its header is read at once, its lines on demand. Problems are collected, none is raised.

    `header` is the file's first line; `columns` are the known columns that it maps to by `layout`.
    `count` is the number of non-empty lines read so far, good or bad. `together` names the column
    that groups lines to be imported together: `incomplete` are its values with a bad line, and
    `is_incomplete` means that a bad line may belong to any of them.
    """

    def __init__(
        self,
        source: Source,
        known: Sequence[ImportColumn],
        layout: Layout | None = None,
        together: str = "",
        name: str = "",
    ) -> None:
        self.source = source
        self.name = name or source.name
        self.is_workbook = isinstance(source, StoredFile) and source.is_workbook
        self.layout = layout or Layout()
        self.problems: list[Problem] = []
        self.count = 0
        self.incomplete: set[Any] = set()
        self.is_incomplete = False
        self._known: Mapping[str, ImportColumn] = {column.name: column for column in known}
        self._together = together
        self.delimiter = self.layout.delimiter or self._fitting_delimiter()
        self.header = self._header()
        self.is_returned = len(self.header) > 1 and normalised(self.header[-1]) == RETURNED
        self.meanings = self._meanings()
        self.columns = tuple(column for column in self.meanings if column)
        self._readers = [
            (place, column, column.reader(self.layout.notation))
            for place, column in enumerate(self.meanings)
            if column
        ]
        self._ignored = [place for place, column in enumerate(self.meanings) if column is None]
        if self.header:
            self._check_header()

    def lines(self) -> Iterator[FileLine]:
        """Every line that can be read; the others add problems. None if the header is wrong."""
        if self.problems:
            return
        for row in self.rows():
            line = self._line(row)
            if line is not None:
                yield line

    def rows(self) -> Iterator[Row]:
        """The rows below the header as they are in the file, without the guard against formulas and our footer.

        A workbook has no such guard: its cells say themselves that they are texts.
        """
        with self._open() as stream:
            found = self._split(stream)
            next(found, None)
            for row in without_footer(found):
                if self.is_workbook or "'" not in "".join(row.cells):  # nearly all rows
                    yield row
                else:
                    yield row._replace(cells=[unguarded(cell) for cell in row.cells])

    def value(self, column: ImportColumn, cell: str) -> Any:
        """The value of a cell. Raises CellError or AmountError."""
        return _read(column, column.reader(self.layout.notation), cell)

    def _split(self, stream: TextIOWrapper) -> Iterator[Row]:
        """Every row, with the numbers of a workbook as WorkbookNumber."""
        for row in rows(stream, self.delimiter):
            yield (
                row._replace(cells=[_unmarked(cell) for cell in row.cells])
                if self.is_workbook
                else row
            )

    def _open(self) -> TextIOWrapper:
        # Bytes that are not UTF-8 become lone surrogates, which the cells then refuse by line.
        encoding, errors = self._encoding(), "surrogateescape"
        if encoding == "utf-16":
            encoding, errors = self._order_of_bytes(), "replace"
        return TextIOWrapper(self.source.open(), encoding=encoding, errors=errors, newline="")

    def _encoding(self) -> str:
        """The encoding: the layout's, or the recognised one of this file if each has its own or it is a workbook."""
        is_its_own = self.is_workbook or self.layout.encoding == EACH
        if is_its_own and isinstance(self.source, StoredFile):
            return self.source.encoding
        return self.layout.encoding

    def _order_of_bytes(self) -> str:
        """UTF-16 by the file's byte order mark; little-endian, the usual one, without a mark."""
        with self.source.open() as stream:
            has_mark = stream.read(2) in (BOM_UTF16_LE, BOM_UTF16_BE)
        return "utf-16" if has_mark else "utf-16-le"

    def _fitting_delimiter(self) -> str:
        """The delimiter from the file's hint, else the one that splits the header into the most known names."""
        with self._open() as stream:
            first = stream.readline(MOST_CELLS * 100)
        meant = {**dict.fromkeys(self._known, ""), **self.layout.columns}

        def fit(sign: str) -> tuple[int, int]:
            cells = next(csv.reader([first], delimiter=sign), [])
            return sum(normalised(cell) in meant for cell in cells), len(cells)

        return delimiter_hint(first) or max(DELIMITERS, key=fit)

    def _header(self) -> tuple[str, ...]:
        with self._open() as stream:
            first = next(self._split(stream), Row(1, []))
        if first.trouble:
            limit = LIMITS.get(first.trouble, "")
            self._note(first.number, "", first.trouble, **({"limit": limit} if limit else {}))
            return ()
        names = tuple(cell.strip() for cell in first.cells)
        if not any(names):
            known = ", ".join(self._known)
            self._note(1, "", N_("The first line must name the columns: %(known)s."), known=known)
            return ()
        return names

    def _meanings(self) -> tuple[ImportColumn | None, ...]:
        """For each column of the file the known column it maps to; None: it is ignored, or not known."""
        return tuple(
            self._known.get(self.layout.columns.get(normalised(name), normalised(name)))
            for name in self.header
        )

    def _check_header(self) -> None:
        names = [normalised(name) for name in self.header]
        for place, (name, column) in enumerate(zip(names, self.meanings, strict=True)):
            is_ignored = self.layout.columns.get(name) == "" or (
                self.is_returned and place == len(names) - 1
            )
            if column is None and not is_ignored:
                self._note(
                    1,
                    _shortened(name),
                    N_("This column is not known. The columns are: %(known)s."),
                    known=", ".join(self._known),
                )
            elif column and names.count(name) > 1:
                self._note(1, _shortened(name), N_("This column stands here more than once."))
            elif column and self.meanings.count(column) > 1:
                self._note(
                    1,
                    _shortened(name),
                    N_("Another column of the file is %(ours)s, too."),
                    ours=column.name,
                )
        for column in self._known.values():
            if not column.may_be_missing and column not in self.columns:
                self._note(1, column.name, N_("This column is missing."))

    def _line(self, row: Row) -> FileLine | None:
        if row.trouble:
            self.count += 1
            limit = LIMITS.get(row.trouble, "")
            self._refuse(row, row.trouble, **({"limit": limit} if limit else {}))
            return None
        stripped = [cell.strip() for cell in row.cells]
        if not any(stripped):
            return None
        self.count += 1
        if len(stripped) != len(self.header):
            self._refuse(
                row,
                N_("This line has %(cells)s cells, the header %(columns)s."),
                cells=str(len(stripped)),
                columns=str(len(self.header)),
            )
            return None
        before = len(self.problems)
        values = tuple(
            self._value(row.number, column, reader, stripped[place])
            for place, column, reader in self._readers
        )
        self._check_ignored(row)
        if len(self.problems) == before:
            return FileLine(row.number, values)
        self._mark_incomplete(values)
        return None

    def _refuse(self, row: Row, message: str, **params: str) -> None:
        self._note(row.number, "", message, **params)
        self.is_incomplete = True

    def _value(
        self, number: int, column: ImportColumn, reader: Callable[[str], Any], cell: str
    ) -> Any:
        try:
            return _read(column, reader, cell)
        except (CellError, AmountError) as refusal:
            self._note(number, column.name, refusal.message, **refusal.params)
            return None if cell else column.empty

    def _check_ignored(self, row: Row) -> None:
        """Refuse ignored cells that are not text."""
        for place in self._ignored:
            if "\0" in row.cells[place]:
                message = N_("This holds a line break or another invisible character.")
                self._note(row.number, _shortened(self.header[place]), message)

    def _mark_incomplete(self, values: tuple[Any, ...]) -> None:
        """Mark the group of a bad line as incomplete."""
        owner = [v for c, v in zip(self.columns, values, strict=True) if c.name == self._together]
        if owner and owner[0] is not None:
            self.incomplete.add(owner[0])
        else:
            self.is_incomplete = True

    def _note(self, number: int, column: str, message: str, **params: str) -> None:
        self.problems.append(Problem(self.name, number, column, message, params))


def _shortened(name: str) -> str:
    """A name in a header, shortened for a sentence and valid as text."""
    return name[:50].encode("utf-8", "replace").decode()


def _read(column: ImportColumn, reader: Callable[[str], Any], cell: str) -> Any:
    """The value of a cell by the column's reader. Raises CellError or AmountError."""
    if not cell:
        if not column.may_be_empty:
            raise CellError(N_("This must not be empty."))
        return column.empty
    if isinstance(cell, WorkbookTrouble):
        raise cell.refusal
    return reader(cell if cell.isascii() else _composed(cell))


def _composed(cell: str) -> str:
    """The cell as texts are stored, and still a number of a workbook if it was one."""
    return type(cell)(composed(cell))


def _unmarked(cell: str) -> str:
    """A cell of a converted workbook: a number, a cell without a value, or a text."""
    if cell.startswith(TROUBLE):
        _, place, shown = cell.split(TROUBLE, 2)
        return WorkbookTrouble.at(place, shown)
    return WorkbookNumber(cell.removeprefix(MARK)) if cell.startswith(MARK) else cell
