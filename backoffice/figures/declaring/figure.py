"""`figure`, the function by which a domain declares a figure, in its two shapes."""

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import signature
from typing import Any, Protocol, cast, overload

from sqlalchemy import Column, ColumnElement, Computed, FromClause, Select, TextClause

from ...base import table_of
from ..errors import DeclarationError
from .declaration import Definition, Figure, Last
from .expressions import column, expression, held


def _figure(
    target: Any = None,
    definition: Any = None,
    *,
    title: str,
    name: str | None = None,
    owner: Any = None,
    row_per: tuple[Any, ...] = (),
    columns: tuple[Any, ...] = (),
    **options: Any,
) -> Any:
    """Declare a figure; returns it. See `Declare`."""
    common = {"name": name, "title": title, "owner": owner, **_options(**options)}
    if definition is not None or isinstance(target, Mapping):
        definitions = target if isinstance(target, Mapping) else {target: definition}
        return from_expressions(definitions, **common)
    if target is not None and (computed := column(target).computed) is not None:
        return from_expressions({target: _computed_by(computed)}, generated=True, **common)

    def declare(select: Definition) -> Figure:
        return from_select(select, columns=columns or (target,), row_per=row_per, **common)

    return declare


def _options(
    *,
    entered: Mapping[Any, Any] | None = None,
    reached_by: Mapping[Any, Any] | None = None,
    entered_rows: Any = None,
    incremental: bool = False,
    along: Any = None,
    since: Mapping[Any, Any] | None = None,
    looked_up: Mapping[Any, Any] | None = None,
    at_once: bool = False,
    triggers: Mapping[tuple[Any, str], str] | None = None,
    locked: Callable[[FromClause], ColumnElement[bool]] | None = None,
    formula: str | None = None,
    formulas: Mapping[Any, str] | None = None,
    behind: Mapping[Any, Any] | None = None,
    continues: Mapping[Any, Any] | None = None,
    leading: Any = None,
) -> dict[str, Any]:
    """The remaining options of a figure, in the form `Figure` holds them."""
    return {
        "entered": {column(c): expression(e) for c, e in (entered or {}).items()},
        "reached_by": {m.__table__: column(c) for m, c in (reached_by or {}).items()},
        "entered_rows": None if entered_rows is None else expression(entered_rows),
        "incremental": incremental,
        "along": None if along is None else column(along),
        "since": {m.__table__: expression(e) for m, e in (since or {}).items()},
        "looked_up": {m.__table__: expression(e) for m, e in (looked_up or {}).items()},
        "at_once": at_once,
        "triggers": {(m.__table__, event): name for (m, event), name in (triggers or {}).items()},
        "locked": locked,
        "formula": formula,
        "formulas": {column(c): words for c, words in (formulas or {}).items()},
        "behind": {column(c): expression(e) for c, e in (behind or {}).items()},
        "continues": {column(c): column(b) for c, b in (continues or {}).items()},
        "leading": None if leading is None else column(leading),
    }


def _computed_by(computed: Computed) -> Any:
    if isinstance(computed.sqltext, TextClause):
        raise DeclarationError(
            f"{computed.column}: Computed() of a text hides what it reads; write the expression over mapped columns."
        )
    return computed.sqltext


class Declare(Protocol):
    """Declare a figure; returns it. A domain lists its figures in its `domain.py`.

    Shape A: `figure(Order.grand_total, expression)` or `figure({column: expression, …})`; or `figure(Account.balance)`
    for a column that PostgreSQL computes from its own row, as `Computed(debits - credits, persisted=True)`.
    Shape B, as a decorator over a function that returns the SELECT of the expected rows:
    `@figure(columns=(…,), row_per=(…,), owner=…)`; the function's default arguments are its sources, and labelled
    columns that are not targets are the terms of the explanation.

    `owner` is the target's column that names the owner (default: the row owns itself). `row_per`: the rows are derived
    themselves, one for each value of these columns; `entered_rows` is the condition under which such a row holds an
    entered fact. `entered` maps a column to the condition under which a user entered it. `reached_by` maps a source
    to the column of an intermediate table that leads from it to the owner. `incremental` lets the write hook apply
    changes instead of recomputing (sums over long histories); `at_once` lets the trigger do so itself, whatever program
    writes; `triggers` names it, by source and event. `along`, `since` and `looked_up`, for running rows
    (balances): see `Figure`, and `Last`.

    `locked` takes rows like the target's and returns the condition for those of locked days: no save and no heal
    writes or removes one. Where one differs, that is a finding, and its owner is skipped until a person decides.

    `leading` is the one amount that stands for the row in differences, sums and limits: a closing, a balance, a grand
    total. A figure with several amounts must name it. Where it names a column of another figure of the same row, which
    PostgreSQL computes from this one, that figure alone states before, net and after. This one has its gross.

    `behind` explains columns of a SELECT where the SELECT itself does not show their terms (a running balance): columns
    of the same row, and totals over its sources, in which `where` may name the row's own columns. The explanation shows
    it; nothing is computed by it. `continues` explains a column (an opening) by one of the row before (its closing),
    before the terms that `behind` gives.
    """

    @overload
    def __call__(
        self, *, columns: tuple[Any, ...], title: str, **options: Any
    ) -> Callable[[Definition], Figure]: ...

    @overload
    def __call__(self, target: Any, definition: Any = None, **options: Any) -> Any: ...


figure = cast(Declare, _figure)


def from_expressions(
    definitions: Mapping[Any, Any],
    *,
    name: str | None,
    title: str,
    owner: Any,
    generated: bool = False,
    **options: Any,
) -> Figure:
    """A figure of shape A: an expression for each column of existing rows."""
    given = {column(c): expression(e) for c, e in definitions.items()}
    plain = given if options["incremental"] else {c: held(c, e) for c, e in given.items()}
    first = next(iter(plain))
    if any(c.table is not first.table for c in plain):
        raise DeclarationError(f"{title}: the columns of one figure stand in one table.")
    primary_key = next(iter(first.table.primary_key))
    return Figure(
        name=_name(name, tuple(plain)),
        title=title,
        table=first.table,
        columns=tuple(plain),
        key=(primary_key,),
        owner=primary_key if owner is None else column(owner),
        definitions=plain,
        generated=generated,
        **options,
    )


def from_select(
    select: Definition,
    *,
    columns: tuple[Any, ...],
    row_per: tuple[Any, ...],
    owner: Any,
    name: str | None,
    title: str,
    **options: Any,
) -> Figure:
    """A figure of shape B: a SELECT of the expected rows, one per `row_per`."""
    targets = tuple(column(c) for c in columns)
    table = targets[0].table
    primary_key = next(iter(table.primary_key))
    given = {n: p.default for n, p in signature(select).parameters.items()}
    lasts = {n: given.pop(n) for n, default in list(given.items()) if isinstance(default, Last)}
    for argument in (n for n, model in given.items() if not hasattr(model, "__table__")):
        raise DeclarationError(
            f"{title}: give the argument “{argument}” of its SELECT a model as default."
        )
    models = tuple(map(table_of, given.values()))
    if options.get("along") is not None and table in models:
        options["since"] = {table: options["along"], **options["since"]}
    if lasts and (
        options.get("along") is None or any(d.table is not table for d in lasts.values())
    ):
        raise DeclarationError(
            f"{title}: the last row is one of its own ({table.name}), before a place; say along=… which column."
        )
    keys = tuple(column(k) for k in row_per) or (primary_key,)
    return Figure(
        name=_name(name, targets),
        title=title,
        table=table,
        columns=targets,
        key=keys,
        owner=primary_key if owner is None else column(owner),
        select=_over_relations(select, tuple(given), lasts),
        models=models,
        derived_rows=keys != (primary_key,),
        **options,
    )


def _name(given: str | None, columns: tuple[Column[Any], ...]) -> str:
    if given is None and len(columns) > 1:
        raise DeclarationError(f"A figure of several columns ({columns[0]}, …) needs a name.")
    return given or f"{columns[0].table.name}.{columns[0].key}"


def _over_relations(
    select: Definition, names: tuple[str, ...], lasts: Mapping[str, Last]
) -> Definition:
    """The SELECT over relations by position and, as `last`, the last stored rows; without them from the beginning."""

    @wraps(select)
    def rows(*relations: FromClause, last: FromClause | None = None) -> Select[Any]:
        before = {n: default.none() if last is None else last for n, default in lasts.items()}
        return select(**dict(zip(names, relations, strict=True)), **before)

    return rows
