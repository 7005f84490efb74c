"""Two editors, one record: where theirs, saved meanwhile, differs from mine, and what the form then holds.

Names no domain; imported by domains. `macros/editing.html` draws it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

Fact = TypeVar("Fact")


@dataclass(frozen=True)
class Difference(Generic[Fact]):
    """A fact that they changed and that my form says otherwise; `taken`: the form now holds theirs."""

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
    """Where they changed what I see differently; `none` stands for a fact that is missing.

    What I did not touch since `base` (the facts that I started from) takes their value, so that saving
    again loses nothing of theirs by accident; what both of us changed stays mine. What they left as it
    was is simply my edit. Without a `base` everything stays mine.
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
    """A difference as people read it, and who saved theirs when, where that is known of each."""

    label: str
    theirs: str
    mine: str
    taken: bool
    who: str = ""
    at: datetime | None = None


@dataclass(frozen=True)
class Conflict:
    """What the form shows above its fields after another user was faster: who saved when, and the rest."""

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
    """The differences as people read them: `label` names a fact, `write` says what it is."""
    reported = (
        Disagreement(label(d.name), write(d.name, d.theirs), write(d.name, d.mine), d.taken)
        for d in found
    )
    return Conflict(who, at, tuple(reported))
