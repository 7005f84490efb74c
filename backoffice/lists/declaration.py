"""The declaration of a list: its rows, its columns, its filters. Everything else is derived from it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select

from ..base import N_, counted
from .filters import Filter

Kind = Literal[
    "text", "day", "month", "moment", "money", "quantity", "unit_price", "number", "percent"
]
"""The format of a value; those of `NUMBERS` are right-aligned. A month is a date: its first day."""

NUMBERS = frozenset({"money", "quantity", "unit_price", "number", "percent"})

Row = Any
"""One row of a list: its `key`, and an attribute per column and per additional value, by name."""


@dataclass(frozen=True)
class Column:
    """One column. `value` is the expression that PostgreSQL selects, sorts and sums; `name` is used in addresses.

    `total`: its sum over the whole filter is in the totals row. `link` makes the cell a link; the first column with
    one is the row's own link, which includes the list's filter. `code` names the column with the code of what this one
    names: files have it beside the name, since names are not unique. `words` maps stored values to labels, `empty` is
    shown for a missing one. `is_shown`: by default, without a choice of columns. `is_sortable=False` if there is no
    useful order. `tones` renders stored values as badges. `write` renders a row's cell on screen if its value alone
    is not enough; exports hold the value. `sorted_by` is the expression to sort by, if sorting by the value is slow.
    `stands_on` names figures that the value is computed from, each with a SELECT of the ids of the row's owners;
    figures with columns in the value itself are found without it.
    """

    name: str
    label: str
    value: Any
    _: KW_ONLY
    kind: Kind = "text"
    total: bool = False
    link: Callable[[Row], str | None] | None = None
    code: str = ""
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
        """Whether it is right-aligned with tabular digits."""
        return self.kind in NUMBERS

    @property
    def order(self) -> ColumnElement[Any]:
        """The expression it is sorted by."""
        value = self.value if self.sorted_by is None else self.sorted_by
        expression: ColumnElement[Any] = getattr(value, "expression", value)
        return expression


@dataclass(frozen=True)
class Buttons:
    """Labels of the buttons under a list, and how they are sent.

    `chosen` is for the ticked rows, `matching` for all that match, `counted` the same with their number. `posts`:
    they start an action, with an idempotency key of their own.
    """

    chosen: str = N_("Edit selected")
    matching: str = N_("Edit all that match")
    counted: str = N_("Edit all %(count)s that match")
    icon: str = "edit"
    posts: bool = False


@dataclass(frozen=True)
class List:
    """A list of rows that users filter, sort, sum, save views of, export and print.

    `rows(user)` is a SELECT of the rows that `user` may see: FROM, joins and visibility; its columns are replaced.
    Use an *outer* join for tables that add only display values (a name by a NOT NULL foreign key): PostgreSQL then
    omits the join wherever a statement does not need it. `path` is the endpoint of the screen, `export` that of its
    exports. `counted` is the label of the number of rows. `also` are additional values of a row, for links. `bulk` is
    the endpoint of bulk edits: the `buttons` under the list call it with `matching`, or with `selected` and the keys
    of the chosen rows as `id`. `is_computed`: no index yields the rows, so one statement per page is faster than two.
    `narrowed` returns the list for given filter values: with columns of the same names, limited to what the filter
    includes of each row. `for_files` returns the list as files have it, where a row of the screen is several of a file:
    with columns of the same names, for the state of the list.
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
    for_files: Callable[[Any], "List"] | None = None
    nothing_yet: tuple[str, str] = (N_("Nothing here yet"), N_("What is entered appears here."))
    nothing_fits: tuple[str, str] = (
        N_("Nothing fits that"),
        N_("Take something out of the filter, or search for less."),
    )
    classes: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError if the declaration is inconsistent."""
        names = [column.name for column in self.columns]
        arguments = [name for one in self.filters for name in one.arguments]
        taken = {"key", *self.also}
        doubled = {n for n in names if names.count(n) > 1} | (taken & set(names))
        doubled |= {n for n in arguments if arguments.count(n) > 1} | (RESERVED & set(arguments))
        if doubled:
            raise ValueError(f"List {self.name!r}: {sorted(doubled)} name two things.")
        lacking = {column.code for column in self.columns if column.code} - set(names)
        if lacking:
            raise ValueError(f"List {self.name!r} lacks the columns {sorted(lacking)} of codes.")
        if self.default_sort.removeprefix("-") not in self.sorts:
            raise ValueError(f"List {self.name!r} cannot be sorted by {self.default_sort!r}.")

    @property
    def sorts(self) -> frozenset[str]:
        """The columns that the list can be sorted by."""
        return frozenset(column.name for column in self.columns if column.is_sortable)

    @property
    def default_columns(self) -> tuple[str, ...]:
        """The columns shown without a choice by the user."""
        return tuple(column.name for column in self.columns if column.is_shown)

    def column(self, name: str) -> Column:
        """The column of that name. Raises KeyError."""
        return {column.name: column for column in self.columns}[name]

    def expression(self, name: str) -> ColumnElement[Any]:
        """The expression that a column is sorted by."""
        return self.column(name).order


RESERVED = frozenset(
    {"sort", "page", "columns", "totals", "print", "all", "id", "selected", "matching"}
)
"""Arguments that every list has in its address."""
