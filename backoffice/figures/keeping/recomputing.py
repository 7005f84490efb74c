"""Writes the expected values of owners' figures where they differ, in one statement; the owners are locked before.

The recompute is absolute: from the facts, or from the stored values beneath. Compiled once, like the statements in
`statements`.
A correction knows which rows it writes, so it suppresses their notes while writing (`suppressing`).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Table,
    Text,
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
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from ...base import table_of
from ...database.proof import PROOF, token
from ..computing.registry import Bundle, Registry
from ..computing.relations import ONE_OWNER, OWNERS, Condition, Relations, Scope
from ..computing.statements import (
    Statement,
    changes,
    changes_since,
    expanded,
)
from ..declaring.continuing import along, places_given
from ..declaring.declaration import Figure, Source
from ..models import SETTLING, Correction

_say = Statement(
    select(
        func.set_config(SETTLING, bindparam("names", type_=Text), True),
        func.set_config(PROOF, bindparam("token", type_=Text), True),
    )
)


@contextmanager
def suppressing(connection: Connection, names: Sequence[str]) -> Iterator[None]:
    """Suppress the notes of these keys (see `suppression_key`) within the block, and let corrections be written.

    The triggers obey only because the transaction proves that it belongs to one of the app's processes. For one
    statement: if that fails, the rollback to its savepoint resets both settings.
    """
    if names:
        _say.run(connection, names=",".join(names), token=token(connection))
    yield
    if names:
        _say.run(connection, names="", token="")


def suppression_key(bundle: Bundle, source: Source) -> str | None:
    """The key that suppresses the notes of a bundle's owners while a correction writes to a source; None: noted.

    Rows of owners that the correction has locked, and computes by the facts in the same statement, need no note.
    Nor do owners reached from the rows through another table: the correction propagates to them by
    the rows that it has written. All other owners are noted.
    """
    if source.through is not None:
        return None if bundle.incremental else reached_by(bundle, source)
    mine = {(figure.table, figure.owner) for figure in bundle.figures}
    return bundle.name if (source.table, source.owner) in mine else None


def reached_by(bundle: Bundle, source: Source) -> str:
    """The suppression key of the bundle's owners that a source reaches through another table."""
    assert source.through is not None
    return f"{bundle.name}<{source.table.name}<{source.through.table.name}.{source.through.key}"


@cache
def led_through(
    registry: Registry, bundle: Bundle, besides: frozenset[str]
) -> Sequence[tuple[Bundle, Source]]:
    """The bundles, except `besides`, with owners reached through another table from columns that this bundle writes.

    Only columns that they read count, so that no owner is recomputed without need.
    """
    written = {col for figure in bundle.figures for col in figure.columns}
    derived = {figure.table for figure in bundle.figures if figure.derived_rows}
    return [
        (upper, source)
        for upper in registry.bundles
        if not upper.incremental and upper.name not in besides
        for source in upper.sources
        if source.through is not None
        and (
            source.table in derived
            or any(source.table.c[name] in written for name in source.columns)
        )
    ]


CORRECTIONS = table_of(Correction)
WHY = ("cause", "reason", "actor", "db_user", "run_id")
"""What a correction records beside the figure's own; parameters of `recompute`."""
CORRECTED = -1
"""The number under which `recompute` returns corrections (of the registry's second figure one less, and so on),
rather than rows of a target."""
LOCKED = 1_000_000
"""The number under which `recompute` returns owners with a wrong locked row, which it has not written."""


@cache
def recompute(
    registry: Registry,
    bundle: Bundle,
    scope: Scope = OWNERS,
    *,
    correct: bool,
    by_facts: bool,
    most_rows: int | None = None,
) -> Statement:
    """Write the expected values of the owners' figures where they differ, in one statement.

    Run it in the statement after `lock`. With `correct` every figure row that changes leaves a
    correction (parameters cause, reason, actor, db_user, run_id). `by_facts` computes down to the facts,
    ignoring stored values beneath; without it the lower figures of other
    bundles are read as stored. At most `most_rows` rows of each target are written. Returns rows,
    each with a list or None: the target's number and the primary keys of rows written, CORRECTED and ids.
    """
    known = expanded(registry, None if by_facts else bundle)
    relations = Relations(registry, known)
    answers: list[Select[Any]] = []
    for number, table in enumerate(bundle.targets):
        figures = bundle.figures_of(table)
        found = changes(relations, table, figures, scope)
        if figures[0].locked is not None:
            every = found.cte(f"found_{number}")
            is_locked = _is_locked(figures[0], every)
            wrong = select(every.c.owner).where(is_locked)
            answers.append(_answer(LOCKED, every.c.owner).where(is_locked))
            # What a heal cannot correct as a whole it leaves as it is: the rows of an owner run into each other.
            is_left = every.c.owner.in_(wrong) if correct else is_locked
            found = select(every).where(~is_left)
        rows = found.limit(most_rows).cte(f"changes_{number}")
        written = _write(table, figures, rows, number, _theirs(figures[0], scope))
        answers += (_answer(number, w.c.pk) for w in written)
        if correct:
            records = _corrections(figures, rows, written, number)
            places = (CORRECTED - registry.figures.index(figure) for figure in figures)
            answers += (
                _answer(*answer) for answer in zip(places, (r.c.id for r in records), strict=True)
            )
    return Statement(answers[0] if len(answers) == 1 else union_all(*answers))


@cache
def recompute_since(registry: Registry, bundle: Bundle, scope: Scope) -> Statement:
    """As `recompute`, for running rows from the given places on; see `continuing.places_given`."""
    [figure] = bundle.figures
    places = places_given(figure, of_one=scope is ONE_OWNER)
    relations = Relations(registry, expanded(registry, bundle))
    found = changes_since(relations, figure, scope, places)
    if figure.locked is not None:
        every = found.subquery()
        found = select(every).where(~_is_locked(figure, every))
    rows = found.cte("changes_0")
    first = select(func.min(places.c.place)).scalar_subquery()
    mine = [*_theirs(figure, scope), figure.table.c[along(figure).key] >= first]
    answers = [_answer(0, w.c.pk) for w in _write(figure.table, (figure,), rows, 0, mine)]
    return Statement(answers[0] if len(answers) == 1 else union_all(*answers))


def _is_locked(figure: Figure, rows: FromClause) -> Condition:
    """Whether a row of `changes` is stored as of locked days."""
    assert figure.locked is not None
    stored = figure.table.alias("locked")
    is_same = stored.c[figure.primary_key.key] == rows.c.pk
    return select(1).select_from(stored).where(is_same, figure.locked(stored)).exists()


@cache
def wrong_in_locked(registry: Registry, figure: Figure) -> Statement:
    """The given owners with a locked row of the figure that is wrong by the facts."""
    found = changes(Relations(registry, expanded(registry)), figure.table, (figure,), OWNERS)
    rows = found.subquery()
    return Statement(select(rows.c.owner).where(_is_locked(figure, rows)).distinct())


def _theirs(figure: Figure, scope: Scope) -> list[Condition]:
    """Limits a write to its owners' rows: estimating many rows, the planner would read the whole table."""
    condition = None if figure.owner is figure.primary_key else scope.condition(figure.owner)
    return [] if condition is None else [condition]


def _answer(number: int, keys: ColumnElement[Any]) -> Select[*tuple[Any, ...]]:
    """Thousands of keys as one row: fetching them one by one costs the process more than PostgreSQL."""
    return select(literal(number).label("number"), func.array_agg(keys).label("keys"))


def _write(
    table: Table,
    figures: Sequence[Figure],
    rows: CTE,
    number: int,
    mine: Sequence[Condition],
) -> list[CTE]:
    primary_key = figures[0].primary_key
    is_theirs = [*_recheck_owner(figures[0], rows), *mine]
    values = _values(figures, rows)
    change = (
        update(table)
        .values(values)
        .where(primary_key == rows.c.pk, *is_theirs, ~rows.c.surplus)
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
        .where(primary_key == rows.c.pk, *is_theirs, rows.c.surplus, *_unless_kept(figures[0]))
        .returning(primary_key.label("pk"))
        .cte(f"removed_{number}")
    )
    return [change, added, removed]


def _values(figures: Sequence[Figure], rows: CTE) -> dict[str, ColumnElement[Any]]:
    """The expected values by column; a column that may be entered is left unchanged where it has not drifted.

    Another program may be entering it while this one waits for the row, and the value read is then outdated.
    """
    values: dict[str, ColumnElement[Any]] = {}
    for i, (figure, col) in enumerate((f, c) for f in figures for c in f.columns):
        if figure.generated:
            continue
        stored, expected = rows.c[f"s{i}"], rows.c[f"e{i}"]
        untouched = stored.is_not_distinct_from(expected)
        values[col.key] = (
            case((untouched, col), else_=expected) if col in figure.entered else expected
        )
    return values


def _recheck_owner(figure: Figure, rows: CTE) -> list[Condition]:
    """Re-check the owner after the row is locked; it may have changed while waiting."""
    return [] if figure.owner is figure.primary_key else [figure.owner == rows.c.owner]


def _unless_kept(figure: Figure) -> list[Condition]:
    """Re-check after the row is locked that it holds no entered fact; one may have been entered while waiting."""
    return (
        []
        if figure.entered_rows is None
        else [func.coalesce(figure.entered_rows, False).is_(False)]
    )


def _corrections(
    figures: Sequence[Figure], rows: CTE, written: Sequence[CTE], number: int
) -> list[CTE]:
    """One permanent record per figure row that changes, inserted after the write."""
    stands = or_(rows.c.missing, rows.c.pk.in_(union_all(*(select(w.c.pk) for w in written))))
    records: list[CTE] = []
    position = 0
    for figure in figures:
        numbered = list(enumerate(figure.columns, start=position))
        position += len(figure.columns)
        before = _amounts({c.key: rows.c[f"s{i}"] for i, c in numbered})
        after = _amounts({c.key: cast(rows.c[f"e{i}"], c.type) for i, c in numbered})
        differs = [rows.c[f"s{i}"].is_distinct_from(rows.c[f"e{i}"]) for i, _ in numbered]
        picked = select(
            literal(figure.name),
            rows.c.owner,
            func.jsonb_build_object(
                *_pairs({k.key: rows.c[f"k{i}"] for i, k in enumerate(figure.key)})
            ),
            case((rows.c.missing, null()), else_=before),
            case((rows.c.surplus, null()), else_=after),
            *(bindparam(n, type_=CORRECTIONS.c[n].type) for n in WHY),
        ).where(stands, or_(rows.c.missing, rows.c.surplus, *differs))
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
