"""The statement that writes the expected values of a bundle's owners where they differ, and says so.

Absolute: from the facts, or from what is stored beneath. Compiled once, like those in `statements`.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
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

from ..base import table_of
from .declaration import Figure
from .models import Correction
from .registry import Bundle, Registry
from .relations import OWNERS, Condition, Relations, Scope
from .statements import NOTHING, Statement, changes, expanded

CORRECTIONS = table_of(Correction)
WHY = ("cause", "reason", "actor", "db_user", "run_id")
"""What a correction records beside the figure's own; parameters of `recompute`."""
CORRECTED = -1
"""The number under which `recompute` answers corrections (of the bundle's second figure one less, and so on),
rather than rows of a target."""


@cache
def recompute(
    registry: Registry,
    bundle: Bundle,
    scope: Scope = OWNERS,
    *,
    correct: bool,
    by_facts: bool,
    trusted: frozenset[Bundle] = NOTHING,
) -> Statement:
    """Write the expected values of the owners' figures where they differ, in one statement.

    Run it in the statement after `lock`. With `correct` every figure row that changes leaves a
    correction (parameters cause, reason, actor, db_user, run_id). `by_facts` computes down to the facts,
    whatever is stored beneath, but for bundles that are `trusted`; without it the lower figures of other
    bundles are read as they are stored. Answers, each with a list or None: the target's number and the
    primary keys of rows written, CORRECTED and ids.
    """
    known = expanded(registry, None if by_facts else bundle, trusted)
    relations = Relations(registry, known)
    answers: list[Select[Any]] = []
    for number, table in enumerate(bundle.targets):
        figures = bundle.figures_of(table)
        rows = changes(relations, table, figures, scope).cte(f"changes_{number}")
        written = _write(table, figures, rows, number)
        answers += (_answer(number, w.c.pk) for w in written)
        if correct:
            records = _corrections(figures, rows, written, number)
            places = (CORRECTED - bundle.figures.index(figure) for figure in figures)
            answers += (
                _answer(*answer) for answer in zip(places, (r.c.id for r in records), strict=True)
            )
    return Statement(answers[0] if len(answers) == 1 else union_all(*answers))


def _answer(number: int, keys: ColumnElement[Any]) -> Select[*tuple[Any, ...]]:
    """Thousands of keys as one row: fetched one by one they cost the process more than PostgreSQL."""
    return select(literal(number).label("number"), func.array_agg(keys).label("keys"))


def _write(table: Table, figures: Sequence[Figure], rows: CTE, number: int) -> list[CTE]:
    primary_key = figures[0].primary_key
    is_theirs = _still_theirs(figures[0], rows)
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


def _still_theirs(figure: Figure, rows: CTE) -> list[Condition]:
    """Whose the row is, asked again once it is locked: we may have waited for who gave it to another owner."""
    return [] if figure.owner is figure.primary_key else [figure.owner == rows.c.owner]


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
        after = _amounts({c.key: cast(rows.c[f"e{i}"], c.type) for i, c in numbered})
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
