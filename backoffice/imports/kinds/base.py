"""What a kind of import is."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, Table

from ..files.reading import ImportColumn
from ..files.stage import Stage
from ..report import Problem


class Changes(NamedTuple):
    """How many rows an import made, changed and removed."""

    created: int
    updated: int
    removed: int = 0


def no_problems(_stage: Stage) -> Iterator[Problem]:
    """Nothing further to check."""
    return iter(())


def no_totals(_stage: Stage) -> Mapping[str, ColumnElement[Any]]:
    """Nothing to add up."""
    return {}


def no_rows(_stage: Stage) -> Iterable[tuple[Table, int]]:
    """None that settling does not write."""
    return ()


@dataclass(frozen=True)
class ImportKind:
    """One kind of file: its columns, what is checked against the database, and what it then does.

    `check` names every line that cannot be applied. `apply` changes rows, set-based. `check_result`
    looks at the outcome with all figures settled; a problem there undoes everything, too.

    `together` names the column by whose value lines come in together or not at all. `totals` are
    sums over the waiting lines, by their (translatable) names, which people compare with their own. `sent_by` names the
    domain whose programs may send such files themselves: each line by itself, and the bad ones are left out.
    `results` says what became of each line that waits, once it is applied (`n`, `outcome`, `record_id`,
    `balance_after`), of files whose lines are each carried out by themselves, known for ever by the column `key`.
    `moved_at_once` are rows of figures to which PostgreSQL adds what `apply` writes, so that no settling writes them.
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
