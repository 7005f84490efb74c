"""A list as its templates render it: its rows, and every link from there."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urlencode

from flask import url_for

from ..web.idempotency import new_key
from ..web.paging import PAGE_SIZE
from .declaration import Column, List, Row
from .drawing import Cell, Foot, Head, cells_of, heads_of, writers_of
from .marking import Marked
from .models import SavedView
from .queries import Totals
from .state import State, state_of


@dataclass(frozen=True)
class Input:
    """One input of the filter form; with `options` it is a select."""

    control: str
    name: str
    label: str
    value: str
    options: Sequence[tuple[str, str]] = ()
    placeholder: str = ""


@dataclass(frozen=True)
class Choosable:
    """A column that can be chosen; `up` is the address with it moved one place to the left."""

    column: Column
    is_chosen: bool
    up: str = ""


@dataclass(frozen=True)
class OwnView:
    """One of the user's saved views of the list, and the address that shows it."""

    saved: SavedView
    url: str
    is_current: bool


@dataclass(frozen=True)
class Shown:
    """A list as its templates render it: one page of rows, the totals if known, the links.

    `columns` are those that are shown, in their order. `address` is the part of the address that belongs to the
    screen rather than to the list: its endpoint and the arguments of its path.
    """

    declared: List
    state: State
    columns: Sequence[Column]
    _: KW_ONLY
    rows: Sequence[Row] = ()
    number: int = 1
    size: int = PAGE_SIZE
    has_more: bool = False
    totals: Totals | None = None
    marked: Marked = field(default_factory=Marked)
    inputs: Sequence[Input] = ()
    saved: Sequence[SavedView] = ()
    can_select: bool = False
    is_printed: bool = False
    printed_by: str = ""
    printed_at: datetime | None = None
    is_part: bool = False
    address: Mapping[str, Any] = field(default_factory=dict)

    @property
    def first(self) -> int:
        """Position of the first row shown, from 1."""
        return (self.number - 1) * self.size + 1

    @property
    def last(self) -> int:
        """Position of the last row shown."""
        return self.first + len(self.rows) - 1

    @property
    def lead(self) -> int:
        """The number of columns before the first total, which leave room for the row count."""
        totals = [position for position, column in enumerate(self.columns) if column.total]
        return min(totals, default=len(self.columns))

    @property
    def width(self) -> int:
        """The number of cells in a row."""
        return len(self.columns) + self.can_select

    @property
    def is_chosen(self) -> bool:
        """Whether a user chose the columns."""
        return self.state.columns != self.declared.default_columns

    def url(self, **changes: Any) -> str:
        """The list's address with some arguments changed; None removes one. The page is the first.

        If a default view exists, the address of the whole list needs an argument that requests it.
        """
        arguments = {**self.state.as_query, **changes}
        kept = {name: value for name, value in arguments.items() if value is not None}
        if len(kept) > 1:
            kept.pop("all", None)
        if self.is_part:
            kept = {n: v for n, v in kept.items() if n == "page"}
        if not kept and self.begins_with_a_view:
            kept = {"all": "1"}
        return url_for(**{"endpoint": self.declared.path} | dict(self.address), **kept)

    @property
    def plain_url(self) -> str:
        """The address of the whole list."""
        return f"{self.path_url}?all=1" if self.begins_with_a_view else self.path_url

    @property
    def begins_with_a_view(self) -> bool:
        """Whether an address without arguments shows a saved view."""
        return any(view.is_default for view in self.saved)

    def export_url(self, flavour: str) -> str:
        """The address of the list as a file."""
        arguments: dict[str, Any] = {**self.address, **self.state.as_query, "flavour": flavour}
        return url_for(**arguments | {"endpoint": self.declared.export})

    @property
    def query(self) -> str:
        """The query that a saved view stores: the list without its page."""
        return urlencode({n: v for n, v in self.state.as_query.items() if n != "all"})

    @property
    def views(self) -> list[OwnView]:
        """The user's views; the one that equals the shown list is the current one."""
        own = []
        for saved in self.saved:
            said = state_of(self.declared, dict(parse_qsl(saved.query))).as_query
            is_current = urlencode(said) == self.query
            own.append(OwnView(saved, f"{self.path_url}?{urlencode(said) or 'all=1'}", is_current))
        return own

    @property
    def path_url(self) -> str:
        """The screen's address without arguments."""
        return url_for(**{"endpoint": self.declared.path} | dict(self.address))

    @property
    def choosable(self) -> list[Choosable]:
        """Every column: the chosen ones in their order, then the others."""
        names = list(self.state.columns)
        chosen = [
            Choosable(self.declared.column(name), True, self._moved(names, position))
            for position, name in enumerate(names)
        ]
        others = [Choosable(c, False) for c in self.declared.columns if c.name not in names]
        return [*chosen, *others]

    def _moved(self, names: list[str], position: int) -> str:
        if position == 0:
            return ""
        before, after = names[: position - 1], names[position + 1 :]
        return self.url(columns=",".join([*before, names[position], names[position - 1], *after]))

    @property
    def key_of_selection(self) -> str:
        """The idempotency key of the buttons under the list, if they start an action."""
        return new_key() if self.declared.buttons.posts else ""

    @property
    def carried(self) -> Mapping[str, str]:
        """Hidden arguments of the filter form: the sort and the columns, if chosen."""
        query = self.state.as_query
        return {name: query[name] for name in ("sort", "columns") if name in query}

    @property
    def besides_columns(self) -> Mapping[str, str]:
        """Hidden arguments of the column chooser: all except the columns."""
        return {n: v for n, v in self.state.as_query.items() if n != "columns"}

    @property
    def digest(self) -> str:
        """A digest of the list's state, distinct for every state, so that an htmx response cannot replace another's."""
        return sha256(repr(self.state.as_query).encode()).hexdigest()[:12]

    @property
    def has_money(self) -> bool:
        """Whether a total is an amount in the deployment's currency."""
        return any(column.total and column.kind == "money" for column in self.columns)

    @cached_property
    def heads(self) -> list[Head]:
        """The shown columns as rendered."""
        return heads_of(self.columns)

    @property
    def body(self) -> Iterator[tuple[Row, list[Cell]]]:
        """The rows with their rendered cells."""
        writers, row_column = writers_of(self.columns), self.row_column
        marks = self.marked.cells
        for row in self.rows:
            yield row, list(cells_of(self.heads, writers, row, self.link, row_column, marks))

    @property
    def feet(self) -> list[Foot]:
        """The cells of the totals row, from the first total on."""
        sums = self.totals.sums if self.totals else {}
        writers = writers_of(self.columns)
        return [
            Foot(
                head,
                writers[head.column.name](sums[head.column.name]),
                self.marked.whole.get(head.column.name),
            )
            if head.column.total
            else Foot(head, "")
            for head in self.heads[self.lead :]
        ]

    def direction(self, column: Column) -> str:
        """`ascending` or `descending` if the list is sorted by `column`; else empty."""
        name = self.state.sort.removeprefix("-")
        if column.name != name or self.is_part:
            return ""
        return "descending" if self.state.sort.startswith("-") else "ascending"

    def sorted_url(self, column: Column, *, down: bool | None = None) -> str:
        """The address sorted by `column`: ascending first, then descending, or as `down` states."""
        is_up = self.state.sort == column.name
        return self.url(
            sort=f"-{column.name}" if (is_up if down is None else down) else column.name
        )

    def link(self, column: Column, row: Row) -> str | None:
        """The link of a cell; the row's own link includes the list's filter."""
        if column is not self.row_column:
            return column.link(row) if column.link else None
        leading = self._leading
        href = leading.link(row) if leading and leading.link else None
        way = self._encoded_way
        return f"{href}{'&' if '?' in href else '?'}{way}" if href and way else href

    @cached_property
    def _encoded_way(self) -> str:
        return urlencode(self.way)

    @property
    def way(self) -> Mapping[str, str]:
        """The arguments by which a record finds its neighbours in this list, and the way back to it."""
        return self.state.as_query

    @cached_property
    def row_column(self) -> Column | None:
        """The column with the row's own link; the first if the usual one is hidden."""
        leading = self._leading
        shown = leading is None or any(column is leading for column in self.columns)
        return leading if shown else self.columns[0]

    @cached_property
    def _leading(self) -> Column | None:
        """The column that links to a row's record."""
        return next((column for column in self.declared.columns if column.link), None)
