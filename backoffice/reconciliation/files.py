"""A reconciliation as a file: PostgreSQL writes the lines (COPY), page by page from one snapshot.

It ends with the control totals of each column, the sums of the lines above, and with its description:
figure and records, user, time.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import (
    ColumnElement,
    Date,
    Integer,
    Numeric,
    Select,
    Text,
    case,
    cast,
    func,
    literal,
    select,
)

from ..base import N_, periods
from ..figures import Figure
from ..lists.csv_files import Flavour, cell_of, line_of, rows_of
from ..lists.declaration import Column, Kind
from ..web import record_links as subjects
from .report import Page, Report, Totals, new_totals

Cells = Sequence[str | Decimal | int]

WORDS = {
    "figure": N_("Figure"),
    "record": N_("Record"),
    "owner": N_("Owner"),
    "column": N_("Column"),
    "stored": N_("Stored"),
    "expected": N_("Expected"),
    "difference": N_("Difference"),
    "right": N_("Right"),
    "corrections": N_("Corrections"),
    "corrected": N_("Corrected by"),
    "yes": N_("yes"),
    "no": N_("no"),
    "TOTAL": N_("Total"),
    "records": N_("Records"),
    "corrections since": N_("Corrections since"),
    "corrections until": N_("Corrections until"),
    "the beginning": N_("the beginning"),
    "now": N_("now"),
    "exported by": N_("Exported by"),
    "exported at": N_("Exported at"),
    "lines": N_("Lines"),
    "wrong": N_("Wrong"),
}
"""The fixed words of a file: as written in a file for programs → as written in a file for people."""


@dataclass(frozen=True)
class Language:
    """The wording of one figure's file: its title, the names of its columns, and the fixed words."""

    figure: str
    columns: Mapping[str, str]
    words: Mapping[str, str]


def plain(figure: Figure) -> Language:
    """The wording for programs: everything by its name in the code."""
    columns = (*figure.key, *figure.columns)
    return Language(figure.name, {c.key: c.key for c in columns}, {word: word for word in WORDS})


def spoken(figure: Figure) -> Language:
    """The wording for people, in the reader's language."""
    keys = {k.key: _(k.key.removesuffix("_id").replace("_", " ").capitalize()) for k in figure.key}
    columns = {c.key: _(subjects.label_of(figure.name, c.key)) for c in figure.columns}
    words = {word: _(reported) for word, reported in WORDS.items()}
    return Language(_(figure.title), {**keys, **columns}, words)


@dataclass(frozen=True)
class About:
    """The description at the end of a file: its records, its user, and the period of its corrections."""

    records: str
    by: str
    since: datetime | None = None
    until: datetime | None = None


def csv_of(
    report: Report, about: About, flavour: Flavour, language: Language, totals: dict[str, Totals]
) -> Generator[bytes]:
    """The file in blocks, with constant memory; adds to `totals`, by column, along the way."""
    totals.update(new_totals(report.figure))
    yield head_of(report, flavour, language)
    for page in report.pages():
        yield from page_of(report, page, flavour, language, totals)
    yield foot_of(report.figure, about, flavour, language, totals)


def head_of(report: Report, flavour: Flavour, language: Language) -> bytes:
    """The header line with the names of the columns."""
    return line_of([column.label for column in columns_of(report, language)], flavour)


def page_of(
    report: Report,
    page: Page,
    flavour: Flavour,
    language: Language,
    totals: dict[str, Totals],
) -> Generator[bytes]:
    """The lines of one page; adds their sums to `totals`."""
    for name, sums in report.totals(page).items():
        totals[name].add(sums)
    columns = columns_of(report, language)
    cells = [_cell_of(report, column, flavour).label(column.name) for column in columns]
    yield from rows_of(report.connection, _ordered(report, cells), flavour, page)


AMOUNTS = ("stored", "expected", "difference", "corrected")
"""The columns of a file with amounts."""


def _cell_of(report: Report, column: Column, flavour: Flavour) -> ColumnElement[Any]:
    """The SQL of a cell.

    An amount has the decimals of the figure's column, in stored and computed cells alike; where it has more, all of
    them, so that no difference is hidden. It is written so even where other columns of the figure hold texts.
    """
    cell, c = cell_of(column, flavour), report.lines.c
    if column.name not in AMOUNTS:
        return cell
    number = c.get(f"{column.name}_number", c[column.name])
    scales = case({one.key: _scale(one) for one in report.figure.columns}, value=c.column)
    padded = func.round(number, func.greatest(scales, func.scale(func.trim_scale(number))))
    written = cell_of(Column(column.name, column.label, padded, kind="money"), flavour)
    return written if column.is_number else func.coalesce(cast(written, Text), cell)


def _scale(column: Any) -> int:
    """The decimals of a figure's column."""
    return getattr(column.type, "scale", None) or 0


def _padded(amount: Decimal, column: Any) -> Decimal:
    """The amount with the decimals of a figure's column, or with those that it needs."""
    _sign, _digits, exponent = amount.normalize(_EXACT).as_tuple()
    return amount.quantize(Decimal(1).scaleb(-max(_scale(column), -int(exponent))), context=_EXACT)


_EXACT = Context(prec=200)


def foot_of(
    figure: Figure,
    about: About,
    flavour: Flavour,
    language: Language,
    totals: Mapping[str, Totals],
) -> bytes:
    """The control totals under their columns, then the description of the file, line by line."""
    lines = footer(figure, about, language, totals)
    return b"".join(line_of(line, flavour) for line in lines)


def footer(
    figure: Figure, about: About, language: Language, totals: Mapping[str, Totals]
) -> Iterator[Cells]:
    """The rows at the end of the file."""
    words, columns = language.words, {column.key: column for column in figure.columns}
    for name, total in totals.items():
        sums = {one: _padded(getattr(total, one), columns[name]) for one in AMOUNTS}
        yield [
            words["TOTAL"], "", total.rows, *([""] * len(figure.key)), language.columns[name],
            sums["stored"], sums["expected"], sums["difference"],
            words["yes" if total.is_right else "no"], total.corrections, sums["corrected"],
        ]  # fmt: skip
    yield [words["figure"], language.figure]
    yield [words["records"], about.records]
    yield [words["corrections since"], _moment(about.since) or words["the beginning"]]
    yield [words["corrections until"], _moment(about.until) or words["now"]]
    yield [words["exported by"], about.by]
    yield [words["exported at"], _moment(datetime.now(UTC))]
    yield [words["lines"], sum(total.rows for total in totals.values())]
    yield [words["wrong"], sum(total.drifted for total in totals.values())]


def _moment(moment: datetime | None) -> str:
    there = moment.astimezone(periods.timezone()) if moment else None
    return f"{there:%Y-%m-%d %H:%M:%S}" if there else ""


def values_of(report: Report, language: Language) -> Select[Any]:
    """The lines as values, for a workbook."""
    return _ordered(report, [column.value for column in columns_of(report, language)])


def _ordered(report: Report, columns: Sequence[ColumnElement[Any]]) -> Select[Any]:
    c = report.lines.c
    keys = (c[f"k{i}"] for i in range(len(report.figure.key)))
    return select(*columns).select_from(report.lines).order_by(c.owner, *keys, c.place)


def columns_of(report: Report, language: Language) -> list[Column]:
    """The columns of the file: their labels as written, their values as PostgreSQL returns them."""
    figure, c, words = report.figure, report.lines.c, language.words
    called = subjects.name_of_one_in_sql(figure.name, c.owner, c.key)
    names = {column.key: language.columns[column.key] for column in figure.columns}
    right = case((c.is_right, words["yes"]), else_=words["no"])
    amount: Kind = "money" if isinstance(c.stored.type, Numeric) else "text"
    keys = ((key, c[f"k{i}"]) for i, key in enumerate(figure.key))
    return [
        Column("figure", words["figure"], literal(language.figure, Text)),
        Column("record", words["record"], called),
        Column("owner", words["owner"], c.owner, kind="number"),
        *(_key_column(key, value, language) for key, value in keys),
        Column("column", words["column"], case(names, value=c.column)),
        Column("stored", words["stored"], c.stored, kind=amount),
        Column("expected", words["expected"], c.expected, kind=amount),
        Column("difference", words["difference"], c.difference, kind="money"),
        Column("right", words["right"], right),
        Column("corrections", words["corrections"], c.corrections, kind="number"),
        Column("corrected", words["corrected"], c.corrected, kind="money"),
    ]


def _key_column(key: Any, value: ColumnElement[Any], language: Language) -> Column:
    label = language.columns[key.key]
    if isinstance(key.type, Integer):
        return Column(f"key_{key.key}", label, value, kind="number")
    if isinstance(key.type, Date):
        return Column(f"key_{key.key}", label, value, kind="day")
    return Column(f"key_{key.key}", label, cast(value, Text))
