"""Two editors, one record: the differences between a form and a concurrent save, and how they are merged.

Names no domain; imported by domains. `macros/editing.html` renders it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

Fact = TypeVar("Fact")


@dataclass(frozen=True)
class Difference(Generic[Fact]):
    """A fact that another user changed and that differs in this form; `taken`: the form now holds theirs."""

    name: str
    theirs: Fact
    mine: Fact
    taken: bool


def differences(
    base: Mapping[str, Fact] | None,
    theirs: Mapping[str, Fact],
    mine: Mapping[str, Fact],
    none: Fact,
) -> list[Difference[Fact]]:
    """The facts changed by the other user that differ in mine; `none` stands for a missing fact.

    A fact that I left unchanged since `base` (the facts at the start of editing) takes their value, so that saving
    again does not undo their change by accident; a fact that both changed keeps mine. A fact that they left unchanged
    is simply my edit. Without a `base` all facts keep mine.
    """
    found = []
    for name in {**theirs, **mine}:
        their_fact, my_fact = theirs.get(name, none), mine.get(name, none)
        is_mine_alone = base is not None and base.get(name, none) == their_fact
        if their_fact != my_fact and not is_mine_alone:
            taken = base is not None and base.get(name, none) == my_fact
            found.append(Difference(name, their_fact, my_fact, taken))
    return found


@dataclass(frozen=True)
class Disagreement:
    """A difference as rendered, with who saved theirs and when, if known."""

    label: str
    theirs: str
    mine: str
    taken: bool
    who: str = ""
    at: datetime | None = None


@dataclass(frozen=True)
class Conflict:
    """The conflict shown above the form's fields: who saved first, when, and the differences."""

    who: str
    at: datetime | None
    disagreements: tuple[Disagreement, ...]


def with_theirs(mine: Mapping[str, Fact], found: Iterable[Difference[Fact]]) -> dict[str, Fact]:
    """My facts, with theirs where the form takes them."""
    return {**mine, **{d.name: d.theirs for d in found if d.taken}}


def conflict_over(
    found: Iterable[Difference[Fact]],
    label: Callable[[str], str],
    write: Callable[[str, Fact], str],
    who: str,
    at: datetime | None,
) -> Conflict:
    """The conflict as rendered: `label` returns a fact's label, `write` formats its value."""
    reported = (
        Disagreement(label(d.name), write(d.name, d.theirs), write(d.name, d.mine), d.taken)
        for d in found
    )
    return Conflict(who, at, tuple(reported))
