"""The statements of a bundle: built once from the declarations, compiled once, run with parameters.

Building and keying these SELECTs costs more than running them for one order, so each is kept as
compiled SQL. Parameters: `owners` (array) or `low`/`high`, by scope; those of a correction.
"""

from collections.abc import Sequence
from contextlib import closing
from functools import cache
from typing import Any

import psycopg
from sqlalchemy import (
    ARRAY,
    BigInteger,
    BindParameter,
    Column,
    ColumnElement,
    CompoundSelect,
    Connection,
    CursorResult,
    Dialect,
    FromClause,
    Select,
    Subquery,
    Table,
    and_,
    any_,
    bindparam,
    false,
    func,
    literal,
    or_,
    select,
    union,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql.base import PGCompiler
from sqlalchemy.dialects.postgresql.psycopg import PGCompiler_psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.elements import UnaryExpression

from ..declaring.declaration import Figure, Source
from ..declaring.expressions import replace
from .registry import Bundle, Registry
from .relations import OWNERS, Condition, Frame, Relations, Scope, absent, have_same_key

SHORT = 20
"""Lists of up to this many ids are adapted by the driver."""

_IDS: Any = any_(bindparam("ids", type_=ARRAY(BigInteger)))


class PlainCompiler(PGCompiler):
    """Compiles a statement with its constants as literals."""

    def visit_unary(self, unary: UnaryExpression[Any], **options: Any) -> str:  # type: ignore[override]
        """Put a nested negation in brackets: two signs in a row would begin a comment."""
        text = str(super().visit_unary(unary, **options))  # type: ignore[no-untyped-call]
        return f"-({text[1:]})" if text.startswith("--") else text

    def render_literal_value(self, value: Any, type_: Any) -> str:
        """A literal; also for an integer without a type, such as the minor unit to which money is rounded."""
        is_plain = type_._isnull and isinstance(value, int)
        return str(value) if is_plain else str(super().render_literal_value(value, type_))  # type: ignore[no-untyped-call]


DIALECT: Dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
"""For statements sent without parameters, in which “%” needs no escape."""
DIALECT.statement_compiler = PlainCompiler
DIALECT._backslash_escapes = False  # type: ignore[attr-defined]  # as in every PostgreSQL since 9.1


def plain(statement: Any) -> str:
    """The SQL of a statement for a trigger, constants written into it."""
    return str(statement.compile(dialect=DIALECT, compile_kwargs={"literal_binds": True}))


class _Constants(PlainCompiler, PGCompiler_psycopg):
    """Writes a declaration's constants into the SQL, so that only what varies is a parameter.

    A statement of thirty constants costs the driver more than PostgreSQL.
    """

    def visit_bindparam(self, bindparam: BindParameter[Any], **options: Any) -> str:  # type: ignore[override]
        """The parameter, or its value where it has a fixed one."""
        options["literal_binds"] = bindparam.value is not None and bindparam.callable is None
        return str(super().visit_bindparam(bindparam, **options))  # type: ignore[no-untyped-call]


class Statement:
    """A statement compiled once."""

    def __init__(self, clause: Any) -> None:
        self.clause = clause
        self._compiled: Any = None

    def text(self, dialect: Dialect) -> str:
        """The SQL."""
        return _Constants(dialect, self.clause).string

    def run(self, connection: Connection, **parameters: Any) -> CursorResult[*tuple[Any, ...]]:
        """Execute with `parameters`; amounts come back as Decimal."""
        return connection.exec_driver_sql(*self._compiled_with(connection, parameters))

    def rows(self, connection: Connection, **parameters: Any) -> list[tuple[Any, ...]]:
        """As `run`, but the bare rows: SQLAlchemy's result costs a small statement as much again.

        For the drain, which every save waits for. The connection's transaction must have begun.
        """
        text, values = self._compiled_with(connection, parameters)
        try:
            with closing(connection.connection.cursor()) as cursor:
                cursor.execute(text, values)
                return list(cursor.fetchall())
        except psycopg.Error as error:
            raise _raised(connection, text, values, error) from error

    def prepare(self, connection: Connection, **parameters: Any) -> None:
        """Let PostgreSQL parse and plan it without running it."""
        text, values = self._compiled_with(connection, parameters)
        connection.exec_driver_sql(f"EXPLAIN {text}", values)

    def _compiled_with(
        self, connection: Connection, parameters: dict[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        if self._compiled is None:
            self._compiled = _Constants(connection.dialect, self.clause)
        sent = {name: _sent(value) for name, value in parameters.items()}
        return self._compiled.string, self._compiled.construct_params(sent)


def _sent(value: Any) -> Any:
    """A long list of ids, or a tuple of names, as PostgreSQL's array text: the driver would adapt elements twice."""
    if isinstance(value, tuple):
        return _array_of(value)
    if isinstance(value, list) and len(value) > SHORT and type(value[0]) is int:
        return "{" + ",".join(map(str, value)) + "}"
    return value


@cache
def _array_of(names: tuple[str, ...]) -> str:
    """Names sent with every save, as array text."""
    escaped = (name.replace("\\", r"\\").replace('"', r"\"") for name in names)
    return "{" + ",".join(f'"{name}"' for name in escaped) + "}"


def _raised(
    connection: Connection, text: str, values: dict[str, Any], error: psycopg.Error
) -> DBAPIError | BaseException:
    """The error as SQLAlchemy itself would have raised it; a lost connection is invalidated."""
    dialect: Any = connection.dialect
    lost = dialect.is_disconnect(error, connection.connection.driver_connection, None)
    if lost:
        connection.invalidate(error)
    return DBAPIError.instance(
        text,
        values,
        error,
        psycopg.Error,
        hide_parameters=True,
        connection_invalidated=lost,
        dialect=connection.dialect,
    )


NOTHING: frozenset[Bundle] = frozenset()


def expanded(
    registry: Registry, bundle: Bundle | None = None, trusted: frozenset[Bundle] = NOTHING
) -> frozenset[Figure]:
    """Which figures are read at their expected values: all of them, or those of one bundle.

    The write hook recomputes bundle after bundle, so lower ones are right as stored. Verify and heal
    trust no stored figure, except those of `trusted` bundles: the caller has compared them with the
    facts, or written them by the facts, for every row that is read.
    """
    if bundle is not None:
        return frozenset(bundle.figures)
    return frozenset(registry.figures) - {f for known in trusted for f in known.figures}


@cache
def lock(bundle: Bundle, scope: Scope = OWNERS) -> Statement:
    """Lock the owners' rows in id order; returns those that exist.

    FOR NO KEY UPDATE: children may still be inserted meanwhile (FOR UPDATE would block them).
    """
    key = bundle.owner_key
    statement = select(key).order_by(key).with_for_update(key_share=True)
    condition = scope.condition(key)
    return Statement(statement if condition is None else statement.where(condition))


@cache
def lock_rows(table: Table) -> Statement:
    """Lock the rows `ids` against changes, in id order; returns those that exist.

    FOR SHARE waits for a transaction that is changing one, and blocks neither references nor other FOR SHARE locks.
    """
    key = next(iter(table.primary_key))
    statement = select(key).order_by(key).with_for_update(read=True)
    return Statement(statement.where(key == _IDS))


@cache
def named_by(source: Source) -> Statement:
    """The owners to which the intermediate table leads the rows `ids` of a source."""
    assert source.through is not None
    middle = source.through.table
    owner = middle.c[source.owner.key]
    named = select(owner).where(middle.c[source.through.key] == _IDS, owner.is_not(None))
    return Statement(named.distinct())


@cache
def suspects(
    registry: Registry, bundle: Bundle, scope: Scope, trusted: frozenset[Bundle] = NOTHING
) -> Statement:
    """The owners in scope with any wrong figure of the bundle, in as few passes as possible.

    Lower bundles that are `trusted` are read as stored, see `expanded`.
    """
    relations = Relations(registry, expanded(registry, trusted=trusted))
    return Statement(wrong_owners(relations, bundle, scope))


def wrong_owners(
    relations: Relations, bundle: Bundle, scope: Scope
) -> Select[Any] | CompoundSelect[Any]:
    """SELECT owner: those in scope with a figure of the bundle that differs from its definition in these relations."""
    left = list(bundle.figures)
    selects: list[Select[Any]] = []
    for table in bundle.targets:
        figures = [f for f in left if f.table is table and not f.derived_rows]
        if not figures or table is not bundle.owner_table:
            continue
        frame, riding = _pass(relations, table, scope, figures, left)
        differs = [frame.differs(f) for f in figures] + [frame.checked(by) for by in riding]
        selects.append(
            frame.select(frame.stored(figures[0].owner).label("owner")).where(or_(*differs))
        )
        left = [f for f in left if f not in figures and not any(f in r for r in riding.values())]
    for figure in left:
        found = changes(relations, figure.table, (figure,), scope).subquery()
        selects.append(select(found.c.owner).distinct())
    return selects[0] if len(selects) == 1 else union(*selects)


def _pass(
    relations: Relations,
    table: Table,
    scope: Scope,
    figures: list[Figure],
    left: list[Figure],
) -> tuple[Frame, dict[Column[Any], list[Figure]]]:
    """One pass over the owner's table that also checks the row figures of its child tables.

    Every expression is compared with its definition over the stored values beneath it: by induction
    up from the facts, all comparisons hold exactly where every figure is at its expected value.
    """
    summed = {t.by for f in figures for t in f.totals}
    riding: dict[Column[Any], list[Figure]] = {}
    for figure in left:
        if figure.owner in summed and not figure.totals and figure.select is None:
            riding.setdefault(figure.owner, []).append(figure)
    reads = tuple(f.definitions.get(c, c) for f in figures for c in f.columns)
    trusted = frozenset(f for f in figures if f.select is None)
    owner = figures[0].owner
    return Frame(relations, table, scope, owner, reads, riding, trusted), riding


@cache
def drifted(registry: Registry, figure: Figure) -> Statement:
    """The wrong rows of the figure by the facts, for these owners, as `changes` returns them, in order."""
    found = changes(Relations(registry, expanded(registry)), figure.table, (figure,), OWNERS)
    return Statement(found.order_by("owner", "pk"))


def changes(
    relations: Relations,
    table: Table,
    figures: Sequence[Figure],
    scope: Scope,
    *,
    all_rows: bool = False,
) -> Select[Any]:
    """The rows with a wrong figure (or all): pk, owner, k*, s* (stored), e* (expected).

    `s0, s1, …` are in the order of the figures' columns; `missing` and `surplus` are set for derived
    rows.
    """
    if figures[0].derived_rows:
        return _derived_changes(relations, figures[0], scope, all_rows)
    columns = [c for f in figures for c in f.columns]
    frame = Frame(relations, table, scope, figures[0].owner, tuple(columns))
    rows = frame.select(
        frame.stored(figures[0].primary_key).label("pk"),
        frame.stored(figures[0].owner).label("owner"),
        *(frame.stored(k).label(f"k{i}") for i, k in enumerate(figures[0].key)),
        *(frame.stored(c).label(f"s{i}") for i, c in enumerate(columns)),
        *(frame.value(c).label(f"e{i}") for i, c in enumerate(columns)),
        literal(False).label("missing"),
        literal(False).label("surplus"),
    )
    if all_rows:
        return rows
    both = rows.subquery()
    differs = (both.c[f"s{i}"].is_distinct_from(both.c[f"e{i}"]) for i in range(len(columns)))
    return select(both).where(or_(*differs))


def _derived_changes(
    relations: Relations, figure: Figure, scope: Scope, all_rows: bool
) -> Select[Any]:
    """As `changes`, for a figure with derived rows: some missing, some surplus."""
    expected = relations.expected_rows(figure, scope).subquery()
    stored = relations.source_as_stored(figure.table, scope, figure.owner)
    return compared(figure, expected, stored, all_rows=all_rows)


def changes_since(
    relations: Relations,
    figure: Figure,
    scope: Scope,
    places: Subquery,
    beneath: FromClause | None = None,
    *,
    all_rows: bool = False,
) -> Select[Any]:
    """As `changes`, for the rows from these places on; see `Relations.rows_since`."""
    expected, stored = relations.rows_since(figure, scope, places, beneath)
    return compared(figure, expected, stored, all_rows=all_rows)


def compared(
    figure: Figure, expected: Subquery, stored: Subquery, *, all_rows: bool = False
) -> Select[Any]:
    """As `changes`, for the rows that a SELECT expects, compared with those stored."""
    is_derived, is_same = figure.derived_rows, have_same_key(expected, stored, figure.key)
    joined = stored.join(expected, is_same, isouter=True, full=is_derived)
    missing: Condition = stored.c[figure.primary_key.key].is_(None) if is_derived else false()
    surplus: Condition = expected.c[figure.key[0].key].is_(None) if is_derived else false()
    if figure.entered_rows is not None:
        kept = replace(figure.entered_rows, lambda c: stored.c[c.key])
        surplus = and_(surplus, func.coalesce(kept, False).is_(False))
    values = [
        func.coalesce(expected.c[c.key], absent(c))
        if figure.entered_rows is not None or not is_derived
        else expected.c[c.key]
        for c in figure.columns
    ]

    def either(col: Column[Any]) -> ColumnElement[Any]:
        return (
            func.coalesce(expected.c[col.key], stored.c[col.key])
            if is_derived
            else stored.c[col.key]
        )

    statement = select(
        stored.c[figure.primary_key.key].label("pk"),
        either(figure.owner).label("owner"),
        *(either(k).label(f"k{i}") for i, k in enumerate(figure.key)),
        *(stored.c[c.key].label(f"s{i}") for i, c in enumerate(figure.columns)),
        *(v.label(f"e{i}") for i, v in enumerate(values)),
        missing.label("missing"),
        surplus.label("surplus"),
    ).select_from(joined)
    differs = [
        stored.c[c.key].is_distinct_from(v) for c, v in zip(figure.columns, values, strict=True)
    ]
    return statement if all_rows else statement.where(or_(missing, surplus, *differs))
