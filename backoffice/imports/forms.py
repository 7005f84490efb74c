"""The forms of an import: which files, their layout, and the mapping of their columns."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import MultipleFileField, SelectField
from wtforms.fields import SelectChoice

from ..base import N_
from ..base.money import AmountError
from ..web.preferences import NUMBER_FORMATS
from .files.cells import CellError, WorkbookNumber, WorkbookTrouble
from .files.layout import (
    DATE_FORMATS,
    DELIMITERS,
    Layout,
    Notation,
    normalised,
)
from .files.reading import CsvFile, ImportColumn
from .importing import header_problems
from .kinds import ImportKind
from .wording import kinds, label, sentence

FIRST_VALUES = 3
FIRST_ROWS = 8
ROWS_SEARCHED = 200
UNDECIDED = "?"
_CHOOSE = N_("Choose …")


def _choices(names: Mapping[str, str]) -> list[SelectChoice]:
    return [SelectChoice(value, _(name)) for value, name in names.items()]


class UploadForm(FlaskForm):
    """The files and their kind."""

    kind = SelectField(_l("What is in the files?"))
    files = MultipleFileField(
        _l("Files"),
        render_kw={"accept": ".csv,.txt,.tsv,.xlsx,text/csv,text/plain", "required": True},
    )

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.kind.choices = [SelectChoice(*choice) for choice in kinds()]


class LayoutForm(FlaskForm):
    """The layout of files. Dates and numbers are fields if the kind of file has such columns."""

    encoding = SelectField(_l("Characters"))
    delimiter = SelectField(_l("Between cells"))
    dates = SelectField(_l("Dates"))
    numbers = SelectField(_l("Numbers"))

    def __init__(
        self,
        formdata: Mapping[str, str] | None,
        kind: ImportKind,
        layout: Layout,
        delimiter: str,
        encodings: Mapping[str, str],
    ) -> None:
        super().__init__(
            formdata,
            encoding=layout.encoding,
            delimiter=layout.delimiter or delimiter,
            dates=layout.notation.dates,
            numbers=layout.notation.numbers,
        )
        self.encoding.choices = _choices(encodings)
        self.delimiter.choices = _choices(DELIMITERS)
        self._choose("dates", kind, "day", DATE_FORMATS)
        self._choose("numbers", kind, "number", NUMBER_FORMATS)

    def _choose(self, name: str, kind: ImportKind, what: str, choices: Mapping[str, str]) -> None:
        """Offer the choices, with none selected if the files can be read in two ways."""
        if not any(column.holds == what for column in kind.columns):
            del self[name]
            return
        asked = self[name]
        asked.choices = _choices(choices)
        if asked.data not in choices:
            asked.choices = [SelectChoice("", _(_CHOOSE)), *asked.choices]

    def require_choices(self) -> None:
        """Add errors to the notations that were not chosen."""
        for asked in (self[name] for name in ("dates", "numbers") if name in self):
            if not asked.data:
                asked.errors = [_("These files can be read in two ways. Choose the right one.")]

    def layout(self, columns: Mapping[str, str]) -> Layout:
        """The chosen layout; `dates` or `numbers` are empty where nothing was chosen."""
        return Layout(
            self.encoding.data,
            self.delimiter.data,
            Notation(
                self.dates.data or "" if "dates" in self else "iso",
                self.numbers.data or "" if "numbers" in self else "plain",
            ),
            columns,
        )


@dataclass
class HeaderCell:
    """One column of the files: its name, some of its values, and the column it is mapped to.

    `meaning` is a known column, "" for one to be ignored, or `UNDECIDED`.
    """

    name: str
    shown: str
    meaning: str
    values: list[str] = field(default_factory=list)
    error: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell of the first rows: its value, or its text and error."""

    value: Any
    error: str = ""


@dataclass(frozen=True)
class FilePreview:
    """A preview of files in a layout: their header, and their first rows by known columns."""

    header: Sequence[HeaderCell]
    columns: Sequence[ImportColumn]
    rows: Sequence[Sequence[Cell]]
    problems: Sequence[str]

    @property
    def is_decided(self) -> bool:
        """Whether every column is mapped or ignored."""
        return all(cell.meaning != UNDECIDED for cell in self.header)


def preview_files(files: Sequence[CsvFile], notation: Notation) -> FilePreview:
    """The preview of the files, with the problems of their headers; `notation` may lack what is to be chosen."""
    header = list(_header(files))
    by_name = {cell.name: cell for cell in header}
    reported = []
    for problem in header_problems(files):
        cell = by_name.get(normalised(problem.column))
        said = sentence(problem.message, problem.params)
        if cell is None or not problem.column:
            reported.append(f"{label(problem.column)}: {said}" if problem.column else said)
        elif cell.meaning == UNDECIDED:
            cell.error = _("Say what this column is, or ignore it.")
        else:
            cell.error = said
    first = files[0]
    return FilePreview(
        header, first.columns, list(_rows(first, notation)), list(dict.fromkeys(reported))
    )


def posted_notation(form: Mapping[str, str], posted: Notation, recognised: Notation) -> Notation:
    """The notation that a user chose; `recognised` where they left what had been recognised before.

    A notation that nobody chose is recognised again, since the columns may have been others.
    """
    pairs = zip(Notation._fields, posted, recognised, strict=True)
    return Notation(
        *(now if said == form.get(f"recognised-{name}", "") else said for name, said, now in pairs)
    )


def posted_columns(form: Mapping[str, str]) -> dict[str, str]:
    """The posted mapping of columns, by their names in the header."""
    found = {}
    for place in range(len(form)):
        if f"name-{place}" not in form:
            break
        found[form[f"name-{place}"]] = form.get(f"column-{place}", UNDECIDED)
    return found


def _header(files: Sequence[CsvFile]) -> Iterator[HeaderCell]:
    seen = set()
    for file in files:
        rows = list(islice(file.rows(), ROWS_SEARCHED))
        last = len(file.header) - 1
        for place, shown in enumerate(file.header):
            name = normalised(shown)
            if name in seen or (file.is_returned and place == last):
                continue
            seen.add(name)
            meaning = file.meanings[place]
            undecided = file.layout.columns.get(name, UNDECIDED)
            filled = (_printable(r.cells[place].strip()) for r in rows if len(r.cells) > place)
            values = list(islice(dict.fromkeys(filter(None, filled)), FIRST_VALUES))
            yield HeaderCell(
                _printable(name), _printable(shown), meaning.name if meaning else undecided, values
            )


def _printable(text: str) -> str:
    """The text with ? for bytes that are not in the file's encoding."""
    return text.encode("utf-8", "replace").decode()


def _rows(file: CsvFile, notation: Notation) -> Iterator[Sequence[Cell]]:
    undecided = {"day"} - {notation.dates and "day"} | {"number"} - {notation.numbers and "number"}
    for row in islice((row for row in file.rows() if any(row.cells)), FIRST_ROWS):
        cells = [cell.strip() for cell in row.cells]
        if row.trouble or len(cells) != len(file.header):
            yield [Cell(None, _("This line cannot be split into the columns of the header."))]
        else:
            mapped = [(c, v) for c, v in zip(file.meanings, cells, strict=True) if c]
            yield [_cell(file, c, v, is_read=c.holds not in undecided) for c, v in mapped]


def _cell(file: CsvFile, column: ImportColumn, text: str, *, is_read: bool) -> Cell:
    if text and not is_read and not isinstance(text, WorkbookNumber | WorkbookTrouble):
        return Cell(_printable(text), _("This can be read in two ways."))
    try:
        return Cell(file.value(column, text))
    except (CellError, AmountError) as refusal:
        return Cell(_printable(text), sentence(refusal.message, refusal.params))
