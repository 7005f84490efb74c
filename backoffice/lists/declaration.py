"""What a list is: its rows, its columns, its filters. A domain names them; everything else follows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select

from ..base import N_, counted
from .filters import Filter

Kind = Literal[
    "text", "day", "month", "moment", "money", "quantity", "unit_price", "number", "percent"
]
"""How a value is written; those of `NUMBERS` stand at the right. A month is a date: its first day."""

NUMBERS = frozenset({"money", "quantity", "unit_price", "number", "percent"})

Row = Any
"""One row of a list: its `key`, and an attribute per column and per further value, by name."""


@dataclass(frozen=True)
class Column:
    """One column. `value` is what PostgreSQL answers, sorts and adds up; its name stands in addresses.

    `total`: the sum over the whole filter stands in the totals row. `link` makes the cell a way on;
    the first column with one is the row's own link, which takes the list's filter along. `words` says
    what stored values are called, `empty` what is said of a missing one. `is_shown`: without anybody
    choosing columns. `is_sortable=False` for what has no useful order. `tones` makes stored values
    badges. `write` draws a row's cell on screen where its value alone does not say it; files hold
    the value. `sorted_by` is what it is sorted by, where its value would take long. `stands_on` names
    figures that the value is computed from, each with a SELECT of the row's owners of them; those whose
    columns stand in the value itself are known without.
    """

    name: str
    label: str
    value: Any
    _: KW_ONLY
    kind: Kind = "text"
    total: bool = False
    link: Callable[[Row], str | None] | None = None
    words: Mapping[Any, str] | None = None
    tones: Mapping[Any, str] | None = None
    write: Callable[[Row], str] | None = None
    empty: str = ""
    classes: str = ""
    is_shown: bool = True
    is_sortable: bool = True
    sorted_by: Any = None
    stands_on: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_number(self) -> bool:
        """Whether it stands at the right, in figures under figures."""
        return self.kind in NUMBERS

    @property
    def order(self) -> ColumnElement[Any]:
        """What it is sorted by."""
        value = self.value if self.sorted_by is None else self.sorted_by
        expression: ColumnElement[Any] = getattr(value, "expression", value)
        return expression


@dataclass(frozen=True)
class Buttons:
    """What the buttons under a list are called, and how they are sent.

    `chosen` is that of the ticked rows, `matching` that of all that match, `counted` the same where
    their number is known. `posts`: they begin something, with an idempotency key of their own.
    """

    chosen: str = N_("Edit selected")
    matching: str = N_("Edit all that match")
    counted: str = N_("Edit all %(count)s that match")
    icon: str = "edit"
    posts: bool = False


@dataclass(frozen=True)
class List:
    """A list of rows that people filter, sort, add up, save views of, export and print.

    `rows(user)` is a SELECT of the rows that `user` may see: FROM, joins and visibility; its columns
    are replaced. Join with an *outer* join what only decorates (a name behind a key that is never
    empty): PostgreSQL then leaves the join out wherever a statement does not need it. `path` is the
    endpoint of the screen, `export` that of its files. `counted` says how many rows there are.
    `also` are further values of a row, for links. `bulk` is the endpoint
    that rows are chosen for: it is asked with `matching`, or with `selected` and the
    keys of the chosen rows as `id`, by the `buttons` under the list. `is_computed`: no index gives the
    rows, so that a page is better found in one statement than in two. `narrowed` answers the list as it
    is where filters have these values: with columns of the same names that say what the filter leaves of them.
    """

    name: str
    title: str
    path: str
    _: KW_ONLY
    rows: Callable[[Any], Select[Any]]
    key: Any
    columns: Sequence[Column]
    default_sort: str
    filters: Sequence[Filter] = ()
    counted: tuple[str, str] = counted("%(num)s row", "%(num)s rows")
    also: Mapping[str, Any] = field(default_factory=dict)
    export: str = ""
    bulk: str = ""
    buttons: Buttons = field(default_factory=Buttons)
    new: tuple[str, str] | None = None
    is_computed: bool = False
    narrowed: Callable[[Mapping[str, str]], "List"] | None = None
    nothing_yet: tuple[str, str] = (N_("Nothing here yet"), N_("What is entered appears here."))
    nothing_fits: tuple[str, str] = (
        N_("Nothing fits that"),
        N_("Take something out of the filter, or search for less."),
    )
    classes: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError where the declaration contradicts itself."""
        names = [column.name for column in self.columns]
        arguments = [name for one in self.filters for name in one.arguments]
        taken = {"key", *self.also}
        doubled = {n for n in names if names.count(n) > 1} | (taken & set(names))
        doubled |= {n for n in arguments if arguments.count(n) > 1} | (RESERVED & set(arguments))
        if doubled:
            raise ValueError(f"List {self.name!r}: {sorted(doubled)} name two things.")
        if self.default_sort.removeprefix("-") not in self.sorts:
            raise ValueError(f"List {self.name!r} cannot be sorted by {self.default_sort!r}.")

    @property
    def sorts(self) -> frozenset[str]:
        """The columns that the list can be sorted by."""
        return frozenset(column.name for column in self.columns if column.is_sortable)

    @property
    def default_columns(self) -> tuple[str, ...]:
        """The columns that are shown when nobody chose."""
        return tuple(column.name for column in self.columns if column.is_shown)

    def column(self, name: str) -> Column:
        """The column of that name. Raises KeyError."""
        return {column.name: column for column in self.columns}[name]

    def expression(self, name: str) -> ColumnElement[Any]:
        """What stands behind a column when the list is sorted by it."""
        return self.column(name).order


RESERVED = frozenset(
    {"sort", "page", "columns", "totals", "print", "all", "id", "selected", "matching"}
)
"""Arguments of an address that every list has."""
