"""The kinds of runs: what a worker can be asked to do, and who may request it.

A domain declares its kinds in its `runs.py`; a worker executes nothing but what the app's domains declare.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from ..app.domain import declared
from .errors import UnknownKind
from .work import Asked, Chunk, Work


def nothing_again(_items: Sequence[Any]) -> Iterable[Chunk]:
    """No chunks: the kind cannot redo single items."""
    return ()


def _no_result(_connection: Connection, _asked: Asked) -> Mapping[str, Any]:
    return {}


Scope = Mapping[str, Any]
"""The parameters of a run; JSON."""


def _nothing_unseen(_scope: Scope) -> tuple[str, Scope] | None:
    return None


def _no_part(_scope: Scope) -> bool:
    return False


@dataclass(frozen=True)
class RunKind:
    """One kind of run.

    `plan` cuts the scope into chunks, in one transaction; `work` does one chunk; `finish` returns the run's
    result (JSON, amounts as strings), in the transaction in which the run ends. `permission`
    is required to start, apply, cancel and retry one. `again` makes chunks of items that failed,
    for a retry; without it the whole scope is planned again where any failed. `apply_as` is the kind of run that
    applies what a dry run of this kind has found.
    `report` is the endpoint that shows a run's result, where a kind has a screen for that.
    `findings` is the endpoint that lists what a run has found, by the argument `run`.
    `preview` returns the dry run (kind and scope) that shows what a run of this scope would write to
    stored totals or documents; None where it writes none, or exactly what a dry run has shown.
    `is_part` returns whether a dry run of this scope is part of a larger one, and is applied only with that.
    `is_once`: it is requested anew rather than retried. `is_quiet`: housekeeping, which lists leave out
    unless asked. `is_bulk`: runs of the other kinds take turns with all of these, however many there are.
    """

    name: str
    title: str
    permission: str
    plan: Callable[[Connection, Asked], Iterable[Chunk]]
    work: Callable[[Work], None]
    finish: Callable[[Connection, Asked], Mapping[str, Any]] = field(default=_no_result)
    again: Callable[[Sequence[Any]], Iterable[Chunk]] = field(default=nothing_again)
    apply_as: str = ""
    report: str = ""
    preview: Callable[[Scope], tuple[str, Scope] | None] = field(default=_nothing_unseen)
    is_part: Callable[[Scope], bool] = field(default=_no_part)
    is_once: bool = False
    findings: str = ""
    is_quiet: bool = False
    is_bulk: bool = False


def as_dry_run(name: str, scope: Scope) -> tuple[str, Scope]:
    """The dry run of that kind over the whole scope, without the restriction of a retry to what was left undone."""
    return name, {key: value for key, value in scope.items() if key != "retry"}


def kinds() -> Mapping[str, RunKind]:
    """Name → kind, of everything that the domains of the app declare."""
    return declared().kinds


def kind_of(name: str) -> RunKind:
    """The kind of that name. Raises UnknownKind."""
    if name not in kinds():
        raise UnknownKind(kind=name)
    return kinds()[name]
