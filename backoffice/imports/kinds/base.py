"""The declaration of a kind of import."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, FromClause, Select, Table
from sqlalchemy.orm import InstrumentedAttribute

from ...records import Text
from ..files.reading import ImportColumn
from ..files.stage import Stage
from ..report import Problem


class Changes(NamedTuple):
    """How many rows an import created, updated and removed."""

    created: int
    updated: int
    removed: int = 0


def staged(stage: Stage) -> FromClause:
    """The staged lines themselves."""
    return stage.lines


@dataclass(frozen=True)
class Reads:
    """Rows of `model` that the lines name by the columns `by`, the first of which is shown to users.

    `matches` returns the condition of the rows that a name stands for; `lines` the lines, with any column that they
    need beside those of the files. `is_locked_here`: the import changes these rows, and `check` does not lock them.
    `name` is the column by which the rows are called, where `by` is that alone.
    """

    model: Any
    by: tuple[str, ...]
    matches: Callable[[Any], ColumnElement[bool]]
    lines: Callable[[Stage], FromClause] = staged
    is_locked_here: bool = False
    name: InstrumentedAttribute[Any] | None = None


def reads(name: str, column: InstrumentedAttribute[Any], *, is_locked_here: bool = False) -> Reads:
    """The rows that the column `name` of the files names by their unique `column`."""
    return Reads(
        column.class_, (name,), lambda c: column == c[name], is_locked_here=is_locked_here, name=column
    )  # fmt: skip


class Creates(NamedTuple):
    """The column `name` of the files, by which new rows are called, their `column`, and the error of the form."""

    name: str
    column: InstrumentedAttribute[str]
    taken: str


def creates(name: str, field: Text) -> Creates:
    """The rows that the column `name` of the files calls by that field of their form."""
    return Creates(name, field.column, field.taken)


def no_problems(_stage: Stage) -> Iterator[Problem]:
    """No further checks."""
    return iter(())


def no_totals(_stage: Stage) -> Mapping[str, ColumnElement[Any]]:
    """No control totals."""
    return {}


def no_rows(_stage: Stage) -> Iterable[tuple[Table, int]]:
    """No rows that are updated outside the settling of figures."""
    return ()


@dataclass(frozen=True)
class ImportKind:
    """One kind of file: its columns, its checks against the database, and how it is applied.

    `check` yields a problem for every line that cannot be applied. `apply` changes rows, set-based. `check_result`
    checks the outcome with all figures settled; a problem there rolls everything back, too.

    `together` names the column that groups lines to be imported together or not at all. `totals` are control totals
    over the staged lines, by their (translatable) names. `sent_by` names the domain with an API for such files: good
    lines are imported, bad ones left out.

    `results` selects the outcome of each staged line after it was applied (`n`, `outcome`, `record_id`,
    `balance_after`), for files that are processed line by line, with permanently unique values in the column `key`.
    `moved_at_once` yields rows of figures that database triggers update, so that no settling writes them.

    `creates` has the codes of the rows that the lines create: a new one that looks like another one is refused.

    `reads` are the rows that the lines change or name: an import is refused if one of them differs from the dry run.
    Files that are processed line by line need none, since each line is judged when its turn comes.
    """

    name: str
    columns: tuple[ImportColumn, ...]
    check: Callable[[Stage], Iterator[Problem]]
    apply: Callable[[Stage], Changes]
    check_result: Callable[[Stage], Iterator[Problem]] = no_problems
    together: str = ""
    totals: Callable[[Stage], Mapping[str, ColumnElement[Any]]] = no_totals
    sent_by: str = ""
    results: Callable[[Stage], Select[Any]] | None = None
    key: str = ""
    moved_at_once: Callable[[Stage], Iterable[tuple[Table, int]]] = no_rows
    creates: Creates | None = None
    reads: tuple[Reads, ...] = ()
