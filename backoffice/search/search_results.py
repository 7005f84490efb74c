"""What the search of the shell finds: each domain declares its kinds of records, and its screens, in its `finding.py`.

Names no domain; imported by domains. A kind is asked only for people who may open its own screen, and
finds among the rows that its domain shows them: nothing here says anew who may see what.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from sqlalchemy.orm import Session

LONGEST_TEXT = 100


@dataclass(frozen=True)
class Question:
    """A text, who asks for it, and how many places of a kind are wanted at most."""

    session: Session
    user: Any
    text: str
    limit: int
    _known: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)

    def once(self, name: Hashable, ask: Callable[[], Any], *, otherwise: Any = None) -> Any:
        """What `ask` answers, asked once for all kinds; where that failed, the others get `otherwise`."""
        if name not in self._known:
            self._known[name] = otherwise
            self._known[name] = ask()
        return self._known[name]


@dataclass(frozen=True)
class SearchResult:
    """One thing that was found: its name, its address, and what tells it apart from others.

    `status` is a word with its `tone`. `names` are what it can be called exactly: its title, if they
    are not given.
    """

    title: str
    href: str
    reported: Sequence[str] = ()
    _: KW_ONLY
    status: str = ""
    tone: str = "neutral"
    names: Sequence[str] = ()

    def is_called(self, text: str) -> bool:
        """Whether `text` is one of its names, in any case."""
        return text.casefold() in (name.casefold() for name in self.names or (self.title,))

    def is_written(self, text: str) -> bool:
        """Whether `text` is one of its names to the letter."""
        return text in (self.names or (self.title,))


Ask = Callable[[Question], Iterable[SearchResult]]
"""Finds the likeliest places first, at most as many as the question wants; what came before it took long is shown."""


@dataclass(frozen=True)
class Findable:
    """One kind of record that can be found: what it is called, and the screen whose readers may find it.

    Those of a lower `rank` are asked and shown first. `all_of`: where everything stands that holds a text;
    `count` says how many these are, None where that would take long.
    """

    name: str
    title: str
    endpoint: str
    ask: Ask
    _: KW_ONLY
    rank: int
    all_of: Callable[[str], str] | None = None
    count: Callable[[Question], int | None] = lambda _question: None


def wanted(typed: str) -> str:
    """What is looked for where a user typed that; PostgreSQL's texts hold no NUL."""
    return " ".join(typed[: LONGEST_TEXT * 4].replace("\0", "").split())[:LONGEST_TEXT]


def meant(places: Sequence[SearchResult], text: str, *, is_all: bool) -> SearchResult | None:
    """The one place that the text names: to the letter, else in any case; else the only one, if that `is_all`."""
    for names in (SearchResult.is_written, SearchResult.is_called):
        named = [place for place in places if names(place, text)]
        if named:
            return named[0] if len(named) == 1 else None
    return places[0] if is_all and len(places) == 1 else None
