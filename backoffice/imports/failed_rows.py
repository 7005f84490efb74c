"""The rows of files that could not be imported, as a file that can be corrected and imported again."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import IO, NamedTuple

from ..base.formula_guard import guarded
from ..base.money import NUMBER_FORMATS
from .files.cells import WorkbookNumber
from .files.layout import RETURNED, normalised
from .files.reading import CsvFile, ImportColumn
from .files.rows import Row

_NUMBER = re.compile(r"[-+]?[\d.,]*\d", re.ASCII)


class RowError(NamedTuple):
    """What is wrong with a row, in the reader's language; `file` counts the files from 0."""

    file: int
    line: int
    sentence: str


def write_failed_rows(
    stream: IO[str],
    files: Sequence[CsvFile],
    errors: Iterable[RowError],
    *,
    whole: bool = False,
) -> None:
    """Write the rows with errors as they are in the files, and a last column with the error.

    `errors` come in the order of files and lines. With `whole`, every row is written, for files with
    bad lines that cannot be imported without the others. A cell that a spreadsheet would evaluate as a
    formula gets a ' in front, which is removed again when the file is imported.
    """
    writer = csv.writer(stream, delimiter=files[0].delimiter, lineterminator="\r\n")
    names = _names(files)
    width = len(names)
    shown = {
        **{name: name[0] for name in names},
        **dict(zip(_keys(files[0]), files[0].header, strict=False)),
    }
    writer.writerow([*(_guarded(shown[name]) for name in names), RETURNED])
    said = _by_line(errors)
    waiting = next(said, None)
    for number, file in enumerate(files):
        keys = _keys(file)
        is_same = keys == names
        for row in file.rows():
            sentence = ""
            while waiting and waiting[:2] < (number, row.number):
                waiting = next(said, None)  # of the header, or of a row that is not there
            if waiting and waiting[:2] == (number, row.number):
                sentence = waiting[2]
            if sentence or whole:
                cells = _cells(row, file, keys, names, is_same)
                padded = [*cells, *[""] * (width - len(cells))]
                writer.writerow([*map(_guarded, padded), _guarded(sentence)])


Name = tuple[str, int]
"""A name in a header, and how many columns of that name come before it."""


def _keys(file: CsvFile) -> list[Name]:
    """The names in a file's header, without the error column of a file of failed rows."""
    names = [normalised(cell) for cell in (file.header[:-1] if file.is_returned else file.header)]
    return [(name, names[:place].count(name)) for place, name in enumerate(names)]


def _names(files: Sequence[CsvFile]) -> list[Name]:
    """The names in all headers, each once."""
    return list(dict.fromkeys(key for file in files for key in _keys(file)))


def _cells(
    row: Row, file: CsvFile, keys: Sequence[Name], names: Sequence[Name], is_same: bool
) -> Sequence[str]:
    if row.trouble or len(row.cells) != len(file.header):
        return row.cells
    own = list(map(partial(_written, file), row.cells, file.meanings))
    own = own[:-1] if file.is_returned else own
    if is_same:
        return own
    by_name = dict(zip(keys, own, strict=True))
    return [by_name.get(name, "") for name in names]


def _written(file: CsvFile, cell: str, column: ImportColumn | None) -> str:
    """A cell as a text file writes it: numbers of a workbook get the layout's decimal separator."""
    if isinstance(cell, WorkbookNumber) and column and column.holds == "number":
        return cell.replace(".", NUMBER_FORMATS[file.layout.notation.numbers].point)
    return cell


def _by_line(errors: Iterable[RowError]) -> Iterator[RowError]:
    """One error for each line, which joins all of its sentences."""
    for (file, line), group in groupby(errors, key=lambda error: error[:2]):
        yield RowError(file, line, " | ".join(error.sentence for error in group))


def _guarded(cell: str) -> str:
    return cell if _NUMBER.fullmatch(cell) else guarded(cell)
