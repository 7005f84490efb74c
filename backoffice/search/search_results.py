"""Results of the search: each domain declares its kinds of records, and its screens, in its `finding.py`.

Names no domain; imported by domains. A kind is searched only for users who may open its own screen, and among the
rows that its domain shows them: no permission is defined a second time here.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from ..base.spelling import composed, look

LONGEST_TEXT = 100


@dataclass(frozen=True)
class Question:
    """A search text, the user who searches, and the most results wanted of a kind."""

    session: Session
    user: Any
    text: str
    limit: int
    _known: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)

    def once(self, name: Hashable, ask: Callable[[], Any], *, otherwise: Any = None) -> Any:
        """The result of `ask`, called once for all kinds; after a failure, later callers get `otherwise`."""
        if name not in self._known:
            self._known[name] = otherwise
            self._known[name] = ask()
        return self._known[name]


@dataclass(frozen=True)
class SearchResult:
    """One result: its title, its address, and details that distinguish it from others.

    `status` is a word with its `tone`. `names` are its exact names: its title, if not given.
    """

    title: str
    href: str
    reported: Sequence[str] = ()
    _: KW_ONLY
    status: str = ""
    tone: str = "neutral"
    names: Sequence[str] = ()

    def is_called(self, text: str) -> bool:
        """Whether `text` looks like one of its names, ignoring case."""
        return look(text) in map(look, self.names or (self.title,))

    def is_written(self, text: str) -> bool:
        """Whether `text` equals one of its names exactly."""
        return text in (self.names or (self.title,))


Ask = Callable[[Question], Iterable[SearchResult]]
"""Yields the likeliest results first, at most the question's limit; after a timeout, those yielded are shown."""


@dataclass(frozen=True)
class Findable:
    """One kind of record that can be searched: its title, and the screen that its users must be allowed to open.

    Kinds of a lower `rank` are searched and shown first. `all_of` is the address of the list filtered by a text;
    `count` returns the number of its rows, None if counting would take long.
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
    """The search text of a typed text; PostgreSQL's texts hold no NUL."""
    return " ".join(composed(typed[: LONGEST_TEXT * 4].replace("\0", "")).split())[:LONGEST_TEXT]


def meant(places: Sequence[SearchResult], text: str, *, is_all: bool) -> SearchResult | None:
    """The one result that the text names: exactly, else ignoring case; else the only one, if `is_all`."""
    for names in (SearchResult.is_written, SearchResult.is_called):
        named = [place for place in places if names(place, text)]
        if named:
            return named[0] if len(named) == 1 else None
    return places[0] if is_all and len(places) == 1 else None
