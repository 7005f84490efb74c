"""The footer of a list's files for people: its totals, and how it was exported. An import recognises and skips it."""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Protocol, TypeVar

from flask_babel import gettext as _

from ..base import N_, periods
from ..base.languages import in_each_language
from .declaration import Column
from .queries import Totals

Line = Sequence[str | Decimal | int]

TOTAL = N_("Total")
ROWS = N_("Rows")
DESCRIPTION = (N_("Filter"), N_("Exported by"), N_("Exported at"), ROWS)
"""The first cells of the lines below the totals, in their order; no record's rows are called so in a row."""

TOTAL_OF = N_("Total: %(name)s")
DOUBT = N_("Holds amounts that are known to be wrong")


def footer_of(
    columns: Sequence[Column], totals: Totals, *, filtered: str, by: str, doubted: Collection[str]
) -> Iterator[Line]:
    """The totals under their columns; then a description of the export, line by line.

    `filtered` is the filter in words, `by` the user; `doubted` are the columns with amounts that are known to be wrong.
    """
    yield totals_line(columns, totals)
    at = datetime.now(UTC).astimezone(periods.timezone()).strftime("%Y-%m-%d %H:%M:%S")
    described: Sequence[str | int] = (filtered, by, at, totals.count)
    for label, value in zip(DESCRIPTION, described, strict=True):
        yield [_(label), value]
    for column in columns:
        if column.total:
            yield [_(TOTAL_OF, name=_(column.label)), totals.sums[column.name]]
    if doubted:
        yield [_(DOUBT), ", ".join(_(column.label) for column in columns if column.name in doubted)]


def totals_line(columns: Sequence[Column], totals: Totals) -> Line:
    """The total of each column that has one; the first of the others holds the word."""
    line = [totals.sums[column.name] if column.total else "" for column in columns]
    if "" in line:
        line[line.index("")] = _(TOTAL)
    return line


class HasCells(Protocol):
    """A row of a file that is read."""

    @property
    def cells(self) -> list[str]:
        """Its cells."""


R = TypeVar("R", bound=HasCells)


def without_footer(rows: Iterable[R]) -> Iterator[R]:
    """The rows of a file without the lines of a footer, in any language; rows that follow a footer stay."""
    named = [in_each_language(label) for label in DESCRIPTION]
    is_in_footer = False
    waiting: deque[R] = deque()
    for row in rows:
        is_in_footer = is_in_footer and _is_end(row.cells)
        if is_in_footer:
            continue
        waiting.append(row)
        if row.cells[:1] and row.cells[0] in named[-1] and _is_description(waiting, named):
            is_in_footer = True
            for _label in named:
                waiting.pop()
            if waiting and in_each_language(TOTAL) & set(waiting[-1].cells):
                waiting.pop()
        elif len(waiting) > len(named):
            yield waiting.popleft()
    yield from waiting


def _is_description(waiting: deque[R], named: Sequence[frozenset[str]]) -> bool:
    last = list(waiting)[-len(named) :]
    return len(last) == len(named) and all(
        "".join(row.cells[:1]) in labels for row, labels in zip(last, named, strict=True)
    )


def _is_end(cells: Sequence[str]) -> bool:
    """Whether a row below the description belongs to the footer: a total, the doubt, or an empty line."""
    totals = tuple(in_each_language(TOTAL_OF, name=""))
    return not any(cells) or cells[0].startswith(totals) or cells[0] in in_each_language(DOUBT)
