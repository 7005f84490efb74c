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
    CTE,
    BigInteger,
    BindParameter,
    Column,
    ColumnElement,
    Connection,
    CursorResult,
    Engine,
    Select,
    Table,
    Text,
    and_,
    any_,
    bindparam,
    case,
    cast,
    delete,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    union,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.dialects.postgresql.psycopg import PGCompiler_psycopg
from sqlalchemy.exc import DBAPIError

from ..base import table_of
from .declaration import Figure, Source
from .expressions import replace
from .models import Correction
from .registry import Bundle, Registry
from .relations import OWNERS, Condition, Frame, Relations, Scope, absent

CORRECTIONS = table_of(Correction)
WHY = ("cause", "reason", "actor", "db_user", "run_id")
"""What a correction records beside the figure's own; parameters of `recompute`."""
CORRECTED = -1
"""The number under which `recompute` answers corrections rather than rows of a target."""
_IDS: Any = any_(bindparam("ids", type_=ARRAY(BigInteger)))


class _Constants(PGCompiler_psycopg):
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

    def text(self, engine: Engine) -> str:
        """The SQL."""
        return _Constants(engine.dialect, self.clause).string

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

    def _compiled_with(
        self, connection: Connection, parameters: dict[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        if self._compiled is None:
            self._compiled = _Constants(connection.dialect, self.clause)
        return self._compiled.string, self._compiled.construct_params(parameters)


def _raised(
    connection: Connection, text: str, values: dict[str, Any], error: psycopg.Error
) -> DBAPIError | BaseException:
    """The error as SQLAlchemy itself would have raised it; a lost connection is given up."""
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


def expanded(registry: Registry, bundle: Bundle | None = None) -> frozenset[Figure]:
    """Which figures stand at their expected values: all of them, or those of one bundle.

    The write hook recomputes bundle after bundle, so lower ones are right as stored; verify and
    heal trust no stored figure.
    """
    return frozenset(registry.figures if bundle is None else bundle.figures)


@cache
def lock(bundle: Bundle, scope: Scope = OWNERS) -> Statement:
    """Lock the owners' rows in id order; answers those that exist.

    FOR NO KEY UPDATE: children may still be inserted meanwhile (FOR UPDATE would block them).
    """
    key = bundle.owner_key
    statement = select(key).order_by(key).with_for_update(key_share=True)
    condition = scope.condition(key)
    return Statement(statement if condition is None else statement.where(condition))


@cache
def lock_rows(table: Table) -> Statement:
    """Keep the rows `ids` as they are, in id order; answers those that exist.

    FOR SHARE waits for whoever is changing one and stops nobody who refers to it or locks it alike.
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
def suspects(registry: Registry, bundle: Bundle, scope: Scope) -> Statement:
    """The owners in scope of whom any figure of the bundle is wrong, in as few passes as possible."""
    relations = Relations(registry, expanded(registry))
    left = list(bundle.figures)
    selects: list[Select[Any]] = []
    for table in bundle.targets:
        figures = [f for f in left if f.table is table and not f.derived_rows]
        if not figures or table is not bundle.owner_table:
            continue
        frame, riding = _pass(relations, table, scope, figures, left)
        apart = [frame.apart(f) for f in figures] + [frame.checked(by) for by in riding]
        selects.append(
            frame.select(frame.stored(figures[0].owner).label("owner")).where(or_(*apart))
        )
        left = [f for f in left if f not in figures and not any(f in r for r in riding.values())]
    for figure in left:
        found = changes(relations, figure.table, (figure,), scope).subquery()
        selects.append(select(found.c.owner).distinct())
    return Statement(selects[0] if len(selects) == 1 else union(*selects))


def _pass(
    relations: Relations,
    table: Table,
    scope: Scope,
    figures: list[Figure],
    left: list[Figure],
) -> tuple[Frame, dict[Column[Any], list[Figure]]]:
    """One pass over the owner's table in which the child tables' row figures ride along.

    Every expression is compared with its definition over what is stored beneath it: by induction
    up from the facts, all of them hold exactly where every figure is at its expected value.
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


def changes(
    relations: Relations,
    table: Table,
    figures: Sequence[Figure],
    scope: Scope,
    *,
    all_rows: bool = False,
) -> Select[Any]:
    """The rows of which a figure is wrong (or all): pk, owner, k*, s* (stored), e* (expected).

    `s0, s1, …` follow the figures' columns in order; `missing` and `surplus` say so of derived
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
    apart = (both.c[f"s{i}"].is_distinct_from(both.c[f"e{i}"]) for i in range(len(columns)))
    return select(both).where(or_(*apart))


def _derived_changes(
    relations: Relations, figure: Figure, scope: Scope, all_rows: bool
) -> Select[Any]:
    """As `changes`, for a figure whose rows are themselves derived: some missing, some surplus."""
    expected = relations.expected_rows(figure, scope).subquery()
    stored = relations.source_as_stored(figure.table, scope, figure.owner)
    joined = expected.join(
        stored,
        and_(*(expected.c[k.key] == stored.c[k.key] for k in figure.key)),
        full=True,
    )
    marker = figure.key[0].key
    unexpected: Condition = expected.c[marker].is_(None)
    missing: Condition = stored.c[figure.primary_key.key].is_(None)
    surplus = unexpected
    if figure.keep is not None:
        kept = replace(figure.keep, lambda c: stored.c[c.key])
        surplus = and_(unexpected, func.coalesce(kept, False).is_(False))
    values = [
        func.coalesce(expected.c[c.key], absent(c))
        if figure.keep is not None
        else expected.c[c.key]
        for c in figure.columns
    ]
    owner = func.coalesce(expected.c[figure.owner.key], stored.c[figure.owner.key])
    statement = select(
        stored.c[figure.primary_key.key].label("pk"),
        owner.label("owner"),
        *(
            func.coalesce(expected.c[k.key], stored.c[k.key]).label(f"k{i}")
            for i, k in enumerate(figure.key)
        ),
        *(stored.c[c.key].label(f"s{i}") for i, c in enumerate(figure.columns)),
        *(v.label(f"e{i}") for i, v in enumerate(values)),
        missing.label("missing"),
        surplus.label("surplus"),
    ).select_from(joined)
    apart = [
        stored.c[c.key].is_distinct_from(v) for c, v in zip(figure.columns, values, strict=True)
    ]
    return statement if all_rows else statement.where(or_(missing, surplus, *apart))


@cache
def recompute(
    registry: Registry,
    bundle: Bundle,
    scope: Scope = OWNERS,
    *,
    correct: bool,
    careful: bool = False,
) -> Statement:
    """Write the expected values of the owners' figures where they differ, in one statement.

    Run it in the statement after `lock`. With `correct` every figure row that changes leaves a
    correction (parameters cause, reason, actor, db_user, run_id), and lower figures of other
    bundles are taken at their expected values. Not so where changes are added: what a lower figure
    is corrected by comes up as a change, which would then be counted twice. `careful` then leaves a
    row alone as long as anything beneath it is wrong: the facts and the stored figures that changes
    are added to must say the same of it. Answers (target number, primary key) per row written and
    (CORRECTED, id) per correction.
    """
    is_agreed = correct and careful and bundle.incremental
    trusts_none = is_agreed or (correct and not bundle.incremental)
    relations = Relations(registry, expanded(registry, None if trusts_none else bundle))
    answers: list[Select[Any]] = []
    for number, table in enumerate(bundle.targets):
        figures = bundle.figures_of(table)
        found = changes(relations, table, figures, scope)
        if is_agreed:
            found = _agreed(registry, bundle, found, figures, scope)
        rows = found.cte(f"changes_{number}")
        written = _write(table, figures, rows, number)
        answers += (select(literal(number).label("target"), w.c.pk) for w in written)
        if correct:
            records = _corrections(figures, rows, written, number)
            answers += (select(literal(CORRECTED), r.c.id) for r in records)
    return Statement(answers[0] if len(answers) == 1 else union_all(*answers))


def _agreed(
    registry: Registry,
    bundle: Bundle,
    found: Select[Any],
    figures: Sequence[Figure],
    scope: Scope,
) -> Select[Any]:
    """Of the changes, those that what is stored beneath the figure asks for too."""
    as_stored = Relations(registry, expanded(registry, bundle))
    table = figures[0].table
    rows = found.cte(f"by_facts_{table.name}")
    beneath = changes(as_stored, table, figures, scope, all_rows=True).cte(f"beneath_{table.name}")
    width = sum(len(f.columns) for f in figures)
    names = [f"k{i}" for i in range(len(figures[0].key))] + [f"e{i}" for i in range(width)]
    same = [rows.c[name].is_not_distinct_from(beneath.c[name]) for name in names]
    same += [rows.c[name] == beneath.c[name] for name in ("missing", "surplus")]
    return select(rows).where(select(literal(1)).select_from(beneath).where(*same).exists())


def _write(table: Table, figures: Sequence[Figure], rows: CTE, number: int) -> list[CTE]:
    primary_key = figures[0].primary_key
    values = _values(figures, rows)
    change = (
        update(table)
        .values(values)
        .where(primary_key == rows.c.pk, ~rows.c.surplus)
        .returning(primary_key.label("pk"))
        .cte(f"updated_{number}")
    )
    if not figures[0].derived_rows:
        return [change]
    keys = [k.key for k in figures[0].key]
    picked = select(
        *(rows.c[f"k{i}"] for i in range(len(keys))), *(rows.c[f"e{i}"] for i in range(len(values)))
    )
    add = upsert(table).from_select(
        [*keys, *values], picked.where(rows.c.missing), include_defaults=False
    )
    added = (
        add.on_conflict_do_update(
            index_elements=keys, set_={name: add.excluded[name] for name in values}
        )
        .returning(primary_key.label("pk"))
        .cte(f"added_{number}")
    )
    removed = (
        delete(table)
        .where(primary_key == rows.c.pk, rows.c.surplus, *_unless_kept(figures[0]))
        .returning(primary_key.label("pk"))
        .cte(f"removed_{number}")
    )
    return [change, added, removed]


def _values(figures: Sequence[Figure], rows: CTE) -> dict[str, ColumnElement[Any]]:
    """The expected values by column; what may be entered is left as it is where nothing drifted.

    Another program may be entering it while we wait for its row, and what we have read is then old.
    """
    values: dict[str, ColumnElement[Any]] = {}
    for i, (figure, col) in enumerate((f, c) for f in figures for c in f.columns):
        stored, expected = rows.c[f"s{i}"], rows.c[f"e{i}"]
        untouched = stored.is_not_distinct_from(expected)
        values[col.key] = (
            case((untouched, col), else_=expected) if col in figure.entered else expected
        )
    return values


def _unless_kept(figure: Figure) -> list[Condition]:
    """Asked of the row as it is when it is locked: a fact may have been entered until then."""
    return [] if figure.keep is None else [func.coalesce(figure.keep, False).is_(False)]


def _corrections(
    figures: Sequence[Figure], rows: CTE, written: Sequence[CTE], number: int
) -> list[CTE]:
    """One permanent record per figure row that changes, once it is written."""
    stands = or_(rows.c.missing, rows.c.pk.in_(union_all(*(select(w.c.pk) for w in written))))
    records: list[CTE] = []
    position = 0
    for figure in figures:
        numbered = list(enumerate(figure.columns, start=position))
        position += len(figure.columns)
        before = _amounts({c.key: rows.c[f"s{i}"] for i, c in numbered})
        after = _amounts({c.key: rows.c[f"e{i}"] for i, c in numbered})
        apart = [rows.c[f"s{i}"].is_distinct_from(rows.c[f"e{i}"]) for i, _ in numbered]
        picked = select(
            literal(figure.name),
            rows.c.owner,
            func.jsonb_build_object(
                *_pairs({k.key: rows.c[f"k{i}"] for i, k in enumerate(figure.key)})
            ),
            case((rows.c.missing, null()), else_=before),
            case((rows.c.surplus, null()), else_=after),
            *(bindparam(n, type_=CORRECTIONS.c[n].type) for n in WHY),
        ).where(stands, or_(rows.c.missing, rows.c.surplus, *apart))
        names = ["figure", "owner", "key", "before", "after", *WHY]
        records.append(
            insert(CORRECTIONS)
            .from_select(names, picked)
            .returning(CORRECTIONS.c.id)
            .cte(f"corrected_{number}_{position}")
        )
    return records


def _amounts(columns: dict[str, ColumnElement[Any]]) -> ColumnElement[Any]:
    return func.jsonb_build_object(*_pairs({k: cast(v, Text) for k, v in columns.items()}))


def _pairs(columns: dict[str, ColumnElement[Any]]) -> list[Any]:
    return [part for name, value in columns.items() for part in (cast(name, Text), value)]
