"""What narrows a list: each filter reads its arguments from the address and gives conditions.

What makes no sense in an address is left out, never an error: addresses are typed, cut and mailed.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import date
from typing import Any, ClassVar, Protocol

from sqlalchemy import ColumnElement, or_
from sqlalchemy.orm import Session

from ..base import N_, periods
from ..base.identifiers import is_id

LONGEST_TEXT = 100

Given = Mapping[str, str]
"""Arguments of an address, each once."""

Offered = Callable[[Session, Any], Sequence[tuple[int, str]]]
"""What there is to choose from for a user: ids with their names."""


class Filter(Protocol):
    """One way to narrow a list. `control` says how it is drawn; a quiet one only where it is in use."""

    control: ClassVar[str]

    @property
    def arguments(self) -> tuple[str, ...]:
        """Its names in the address."""

    @property
    def is_quiet(self) -> bool:
        """Whether it is drawn only where the address names it."""

    def read(self, given: Given) -> Iterator[tuple[str, str]]:
        """Its arguments as the address gives them, in so far as they make sense."""

    def conditions(self, values: Given) -> Iterator[ColumnElement[bool]]:
        """What the rows must fulfil."""


def containing(*columns: Any) -> Callable[[str], ColumnElement[bool]]:
    """For `Search`: one of the columns holds the text, in any case.

    By ILIKE on the bare columns, for PostgreSQL knows how often they hold a text; of `lower(column)`
    it knows nothing, and then reads a million rows in the wrong order to find none.
    """

    def condition(text: str) -> ColumnElement[bool]:
        return or_(*(column.ilike(f"%{escaped(text)}%", escape="/") for column in columns))

    return condition


def escaped(text: str) -> str:
    """The text inside a pattern of LIKE with `escape="/"`, where % and _ mean themselves."""
    return re.sub(r"([/%_])", r"/\1", text)


def text_in(given: Given, name: str) -> str:
    """A text of the address without what stands around it; PostgreSQL's texts hold no NUL."""
    return given.get(name, "").replace("\0", "").strip()[:LONGEST_TEXT]


@dataclass(frozen=True)
class Search:
    """A text that `condition` turns into what the rows must fulfil; see `containing`."""

    control: ClassVar[str] = "search"

    name: str
    label: str
    condition: Callable[[str], ColumnElement[bool]]
    _: KW_ONLY
    placeholder: str = ""
    is_quiet: bool = False

    @property
    def arguments(self) -> tuple[str, ...]:
        """One argument: the text."""
        return (self.name,)

    def read(self, given: Given) -> Iterator[tuple[str, str]]:
        """The text, if there is one."""
        if text := text_in(given, self.name):
            yield self.name, text

    def conditions(self, values: Given) -> Iterator[ColumnElement[bool]]:
        """What `condition` says of the text."""
        if self.name in values:
            yield self.condition(values[self.name])


@dataclass(frozen=True)
class Choice:
    """One of a few fixed values: value → its name and its condition.

    `assumed` is the name and the condition of what is meant where the address says nothing.
    """

    control: ClassVar[str] = "choice"

    name: str
    label: str
    options: Mapping[str, tuple[str, ColumnElement[bool]]]
    _: KW_ONLY
    any_label: str = N_("All")
    assumed: tuple[str, ColumnElement[bool]] | None = None
    is_quiet: bool = False

    @property
    def arguments(self) -> tuple[str, ...]:
        """One argument: the value."""
        return (self.name,)

    def read(self, given: Given) -> Iterator[tuple[str, str]]:
        """The value, if it is one of the options."""
        if given.get(self.name, "") in self.options:
            yield self.name, given[self.name]

    def conditions(self, values: Given) -> Iterator[ColumnElement[bool]]:
        """The option's condition, or that of what is assumed."""
        if self.name in values:
            yield self.options[values[self.name]][1]
        elif self.assumed:
            yield self.assumed[1]


@dataclass(frozen=True)
class Reference:
    """Rows whose `column` names one other row, which is chosen from what is `offered` to the user.

    Drawn where there are two or more to choose from, or one is chosen.
    """

    control: ClassVar[str] = "reference"

    name: str
    label: str
    column: Any
    offered: Offered
    _: KW_ONLY
    any_label: str = N_("All")
    is_quiet: bool = False

    @property
    def arguments(self) -> tuple[str, ...]:
        """One argument: the id."""
        return (self.name,)

    def read(self, given: Given) -> Iterator[tuple[str, str]]:
        """The id, if it can be one."""
        text = given.get(self.name, "")
        if is_id(text) and int(text) > 0:
            yield self.name, text

    def conditions(self, values: Given) -> Iterator[ColumnElement[bool]]:
        """The column holds the id."""
        if self.name in values:
            yield self.column == int(values[self.name])


@dataclass(frozen=True)
class Days:
    """Rows whose `column` is a day from `since` up to and including `until`; either may be open."""

    control: ClassVar[str] = "days"

    since: str
    until: str
    label: str
    until_label: str
    column: Any
    _: KW_ONLY
    is_quiet: bool = False

    @property
    def arguments(self) -> tuple[str, ...]:
        """Two arguments: the first and the last day."""
        return (self.since, self.until)

    def read(self, given: Given) -> Iterator[tuple[str, str]]:
        """Those of the two that are days."""
        for name in self.arguments:
            day = _day(given.get(name, ""))
            if day is not None:
                yield name, day.isoformat()

    def conditions(self, values: Given) -> Iterator[ColumnElement[bool]]:
        """Not before the first, not after the last."""
        if self.since in values:
            yield self.column >= date.fromisoformat(values[self.since])
        if self.until in values:
            yield self.column <= date.fromisoformat(values[self.until])


@dataclass(frozen=True)
class AsOf:
    """The day as of which a list is computed: its `rows` know it, so it narrows nothing.

    `usual` answers the day that is meant where the address says nothing.
    """

    control: ClassVar[str] = "as_of"

    name: str
    label: str
    usual: Callable[[], date]
    is_quiet: bool = False

    @property
    def arguments(self) -> tuple[str, ...]:
        """One argument: the day."""
        return (self.name,)

    def day(self, given: Given) -> date:
        """The day that the address asks for; one that no record has is not meant."""
        day = _day(given.get(self.name, ""))
        return day if day and 1900 <= day.year <= 2199 else self.usual()

    def read(self, given: Given) -> Iterator[tuple[str, str]]:
        """The day, where it is not the usual one."""
        day = self.day(given)
        if day != self.usual():
            yield self.name, day.isoformat()

    def conditions(self, _values: Given) -> Iterator[ColumnElement[bool]]:
        """None."""
        yield from ()


@dataclass(frozen=True)
class Said:
    """A filter that the rows have gone through already; it only says so in files."""

    control: ClassVar[str] = "hidden"

    name: str
    label: str
    value: str
    is_quiet: bool = True

    @property
    def arguments(self) -> tuple[str, ...]:
        """Its name."""
        return (self.name,)

    def read(self, _given: Given) -> Iterator[tuple[str, str]]:
        """What it says, whatever the address gives."""
        yield self.name, self.value

    def conditions(self, _values: Given) -> Iterator[ColumnElement[bool]]:
        """None."""
        yield from ()


@dataclass(frozen=True)
class Moments(Days):
    """As `Days`, of a column that holds moments: days where the business is."""

    def read(self, given: Given) -> Iterator[tuple[str, str]]:
        """Those of the two that are days on which anything can have happened."""
        for name, day in super().read(given):
            if "1900" <= day[:4] <= "2199":
                yield name, day

    def conditions(self, values: Given) -> Iterator[ColumnElement[bool]]:
        """Not before the first day begins, and before the last one has ended."""
        if self.since in values:
            yield self.column >= periods.start_of(date.fromisoformat(values[self.since]))
        if self.until in values:
            yield self.column < periods.end_of(date.fromisoformat(values[self.until]))


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
