"""What people call the tables of the trail and their rows: each domain says it of its own.

Names no domain; imported by domains. A table that nobody speaks for is shown by its own name.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Text, cast, func
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute

from ..app.domain import declared
from ..base import Base
from .scope import NOT_AUDITED


@dataclass(frozen=True)
class Recorded:
    """The rows of one table, as the trail shows them.

    `name` is what a row is called, `endpoint` the screen that shows it: its `argument` is that name, or
    the row's id. `labels` are its columns on screen. Rows that are a part of another's (an order's
    lines) name it by `part_of`, and are shown where that one is.
    """

    title: str
    model: type[DeclarativeBase]
    _: KW_ONLY
    name: InstrumentedAttribute[Any] | None = None
    endpoint: str = ""
    argument: str = ""
    is_shown_by_id: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    part_of: InstrumentedAttribute[Any] | None = None

    @property
    def is_numbered(self) -> bool:
        """Whether its rows have no name but their number."""
        return self.name is not None and bool(self.name.property.columns[0].primary_key)

    @property
    def called(self) -> ColumnElement[str] | None:
        """The name of a row as text; of rows that have none but their number, that as it is written."""
        if self.name is None:
            return None
        return func.concat("#", self.name) if self.is_numbered else cast(self.name, Text)

    def address_of(self, key: object, name: str) -> dict[str, Any]:
        """What the screen of a row is asked for, by the row's id and its name."""
        return {self.argument: key if self.is_shown_by_id or self.is_numbered else name}


def recorded(table: str) -> Recorded | None:
    """What is known of the rows of a table."""
    return declared().recorded.get(table)


def title_of(table: str) -> str:
    """What a row of the table is called, to be translated."""
    known = declared().recorded.get(table)
    return known.title if known else table.replace("_", " ").capitalize()


class ByTable(Mapping[str, Any]):
    """Something of every table of the trail, by its name; domains are asked when it is."""

    def __init__(self, value: Callable[[str], Any]) -> None:
        self._value = value

    def __getitem__(self, name: str) -> Any:
        """What it is of that table. Raises KeyError."""
        if name not in Base.metadata.tables or name in NOT_AUDITED:
            raise KeyError(name)
        return self._value(name)

    def __iter__(self) -> Iterator[str]:
        """The tables' names, by their titles."""
        return iter(sorted(set(Base.metadata.tables) - set(NOT_AUDITED), key=title_of))

    def __len__(self) -> int:
        """How many tables there are."""
        return len(set(Base.metadata.tables) - set(NOT_AUDITED))
