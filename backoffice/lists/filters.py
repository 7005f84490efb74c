"""Filters of a list: each reads its arguments from the address and returns conditions.

Invalid arguments are ignored, never an error: addresses are typed, truncated and mailed.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import date
from typing import Any, ClassVar, Protocol, Self

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from ..base import N_, periods
from ..base.identifiers import is_id
from ..base.matching import holding
from ..base.spelling import composed

LONGEST_TEXT = 100

Given = Mapping[str, str]
"""Arguments of an address, each once."""

Offered = Callable[[Session, Any], Sequence[tuple[int, str]]]
"""The options for a user: ids with their names."""


class Filter(Protocol):
    """One filter of a list. `control` names its input; a quiet one is shown only while in use."""

    control: ClassVar[str]

    @property
    def arguments(self) -> tuple[str, ...]:
        """Its argument names in the address."""

    @property
    def is_quiet(self) -> bool:
        """Whether it is shown only if the address names it."""

    def read(self, given: Given) -> Iterator[tuple[str, str]]:
        """Its valid arguments from the address."""

    def conditions(self, values: Given) -> Iterator[ColumnElement[bool]]:
        """The conditions on the rows."""


def containing(*columns: Any) -> Callable[[str], ColumnElement[bool]]:
    """For `Search`: one of the columns contains the text, as `holding` finds it."""
    return lambda text: holding(text, *columns)


def escaped(text: str) -> str:
    """The text escaped for a LIKE pattern with `escape="/"`, so that % and _ are literal."""
    return re.sub(r"([/%_])", r"/\1", text)


def text_in(given: Given, name: str) -> str:
    """A stripped text argument, composed as texts are stored, and without NUL, which PostgreSQL's cannot hold."""
    return composed(given.get(name, "").replace("\0", "").strip())[:LONGEST_TEXT]


@dataclass(frozen=True)
class Search:
    """A text that `condition` turns into a condition on the rows; see `containing`."""

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
        """The condition for the text."""
        if self.name in values:
            yield self.condition(values[self.name])


@dataclass(frozen=True)
class Choice:
    """One of a few fixed values: value → its label and its condition.

    `assumed` is the label and the condition that apply if the address names no value.
    """

    control: ClassVar[str] = "choice"

    name: str
    label: str
    options: Mapping[str, tuple[str, ColumnElement[bool]]]
    _: KW_ONLY
    any_label: str = N_("All")
    assumed: tuple[str, ColumnElement[bool]] | None = None
    is_quiet: bool = False

    @classmethod
    def of(cls, name: str, label: str, column: Any, words: Mapping[str, str]) -> Self:
        """The values of a column, by their words."""
        return cls(name, label, {value: (word, column == value) for value, word in words.items()})

    @property
    def arguments(self) -> tuple[str, ...]:
        """One argument: the value."""
        return (self.name,)

    def read(self, given: Given) -> Iterator[tuple[str, str]]:
        """The value, if it is one of the options."""
        if given.get(self.name, "") in self.options:
            yield self.name, given[self.name]

    def conditions(self, values: Given) -> Iterator[ColumnElement[bool]]:
        """The condition of the option, or of `assumed`."""
        if self.name in values:
            yield self.options[values[self.name]][1]
        elif self.assumed:
            yield self.assumed[1]


@dataclass(frozen=True)
class Reference:
    """Rows with a reference in `column` to a row chosen from the options `offered` to the user.

    Shown if there are two or more options, or if one is chosen.
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
        """The id, if it is valid."""
        text = given.get(self.name, "")
        if is_id(text) and int(text) > 0:
            yield self.name, text

    def conditions(self, values: Given) -> Iterator[ColumnElement[bool]]:
        """The column equals the id."""
        if self.name in values:
            yield self.column == int(values[self.name])


@dataclass(frozen=True)
class Days:
    """Rows with a day in `column` from `since` to `until`, inclusive; either may be open."""

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
        """The valid days of the two."""
        for name in self.arguments:
            day = _day(given.get(name, ""))
            if day is not None:
                yield name, day.isoformat()

    def conditions(self, values: Given) -> Iterator[ColumnElement[bool]]:
        """Not before the first day, not after the last."""
        if self.since in values:
            yield self.column >= date.fromisoformat(values[self.since])
        if self.until in values:
            yield self.column <= date.fromisoformat(values[self.until])


@dataclass(frozen=True)
class AsOf:
    """The day as of which a list is computed: its `rows` read it, so it adds no condition.

    `usual` returns the default day.
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
        """The day in the address, or the default day if it is outside the calendar."""
        day = _day(given.get(self.name, ""))
        return day if day and periods.FIRST_DAY <= day <= periods.LAST_DAY else self.usual()

    def read(self, given: Given) -> Iterator[tuple[str, str]]:
        """The day, unless it is the default."""
        day = self.day(given)
        if day != self.usual():
            yield self.name, day.isoformat()

    def conditions(self, _values: Given) -> Iterator[ColumnElement[bool]]:
        """None."""
        yield from ()


@dataclass(frozen=True)
class Said:
    """A filter that the rows have passed already; it is only described in exports."""

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
        """Its text, whatever the address holds."""
        yield self.name, self.value

    def conditions(self, _values: Given) -> Iterator[ColumnElement[bool]]:
        """None."""
        yield from ()


@dataclass(frozen=True)
class Moments(Days):
    """Like `Days`, for a column of moments: days in the business time zone."""

    def read(self, given: Given) -> Iterator[tuple[str, str]]:
        """The valid days of the two, within the calendar."""
        for name, day in super().read(given):
            if periods.read_day(day):
                yield name, day

    def conditions(self, values: Given) -> Iterator[ColumnElement[bool]]:
        """From the start of the first day to the end of the last."""
        if self.since in values:
            yield self.column >= periods.start_of(date.fromisoformat(values[self.since]))
        if self.until in values:
            yield self.column < periods.end_of(date.fromisoformat(values[self.until]))


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
