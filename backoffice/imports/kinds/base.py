"""What a kind of import is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ..reading import ImportColumn
from ..report import Problem
from ..stage import Stage


class Changes(NamedTuple):
    """How many rows an import made, changed and removed."""

    created: int
    updated: int
    removed: int = 0


def no_problems(_stage: Stage) -> Iterator[Problem]:
    """Nothing further to check."""
    return iter(())


@dataclass(frozen=True)
class Kind:
    """One kind of file: its columns, what is checked against the database, and what it then does.

    `check` names every line that cannot be applied. `apply` changes rows, set-based. `check_result`
    looks at the outcome with all figures settled; a problem there undoes everything, too.
    """

    name: str
    columns: tuple[ImportColumn, ...]
    check: Callable[[Stage], Iterator[Problem]]
    apply: Callable[[Stage], Changes]
    check_result: Callable[[Stage], Iterator[Problem]] = no_problems
