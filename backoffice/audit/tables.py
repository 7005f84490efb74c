"""Names of the trail's tables and rows on screen; each domain declares its own.

Names no domain; imported by domains. A table that no domain declares is shown by its database name.
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
    """How the rows of one table are shown in the trail.

    `name` is the row's display name, `endpoint` the screen that shows it: its `argument` is that name, or the row's
    id. `labels` are its columns on screen. Rows that are a part of another record (an order's lines) reference it by
    `part_of`, and are shown there.
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
        """Whether its rows are named by their number, the primary key."""
        return self.name is not None and bool(self.name.property.columns[0].primary_key)

    @property
    def called(self) -> ColumnElement[str] | None:
        """The name of a row as text, a number with a leading #; None for rows without a name."""
        if self.name is None:
            return None
        return func.concat("#", self.name) if self.is_numbered else cast(self.name, Text)

    def address_of(self, key: object, name: str) -> dict[str, Any]:
        """The arguments of the row's URL, from its id and name."""
        return {self.argument: key if self.is_shown_by_id or self.is_numbered else name}


def recorded(table: str) -> Recorded | None:
    """The declaration for a table, if any."""
    return declared().recorded.get(table)


def title_of(table: str) -> str:
    """The title of one row of the table, to be translated."""
    known = declared().recorded.get(table)
    return known.title if known else table.replace("_", " ").capitalize()


class ByTable(Mapping[str, Any]):
    """A mapping by table name over all tables of the trail; domains are asked on access."""

    def __init__(self, value: Callable[[str], Any]) -> None:
        self._value = value

    def __getitem__(self, name: str) -> Any:
        """The value for that table. Raises KeyError."""
        if name not in Base.metadata.tables or name in NOT_AUDITED:
            raise KeyError(name)
        return self._value(name)

    def __iter__(self) -> Iterator[str]:
        """The table names, sorted by title."""
        return iter(sorted(set(Base.metadata.tables) - set(NOT_AUDITED), key=title_of))

    def __len__(self) -> int:
        """The number of tables."""
        return len(set(Base.metadata.tables) - set(NOT_AUDITED))
