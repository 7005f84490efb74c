"""Adding the noted changes to an incremental figure, under its owners' locks."""

from collections.abc import Collection, Sequence
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Connection,
    Numeric,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    cast,
    delete,
    func,
    literal,
    not_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from .declaration import Figure
from .groups import counted
from .registry import Registry
from .relations import OWNERS, Relations
from .statements import Statement, changes, expanded


class Delta(NamedTuple):
    """The change of each column of one row: the owner's own, or the derived one that `key` names."""

    owner: int
    key: tuple[str, ...]
    columns: list[Decimal]


Changes = list[tuple[Table, int]]
"""Rows of which a figure was written: target table and primary key."""

_IDS = bindparam("ids", type_=ARRAY(BigInteger))


def apply(connection: Connection, figure: Figure, deltas: list[Delta]) -> Changes:
    """Add the changes that the triggers computed; the owners are locked. Answers the rows written."""
    given: dict[str, Any] = {
        f"d{i}": [d.columns[i] for d in deltas] for i in range(len(figure.columns))
    }
    if not figure.derived_rows:
        given["owner"] = [d.owner for d in deltas]
        return [(figure.table, key) for (key,) in _on_owners(figure).rows(connection, **given)]
    given |= {f"k{i}": [d.key[i] for d in deltas] for i in range(len(figure.key))}
    written = _on_derived_rows(figure).rows(connection, **given)
    emptied = [key for key, is_empty in written if is_empty]
    if emptied:
        _remove(figure).run(connection, ids=emptied)
    return [(figure.table, key) for key, _ in written]


def unaccounted(
    connection: Connection,
    registry: Registry,
    figure: Figure,
    deltas: Sequence[Delta],
    owners: Collection[int],
) -> set[int]:
    """The owners, locked, whose expected values are not what is stored and these changes together."""
    noted: dict[tuple[Any, ...], list[Decimal]] = {}
    for delta in deltas:
        known = noted.get((delta.owner, *delta.key), [Decimal(0)] * len(delta.columns))
        sums = [a + b for a, b in zip(known, delta.columns, strict=True)]
        noted[delta.owner, *delta.key] = sums
    found = set()
    for row in _compared(registry, figure).run(connection, owners=sorted(owners)).mappings():
        key = (str(row[f"k{i}"]) for i in range(len(figure.key) if figure.derived_rows else 0))
        changed = noted.get((row["owner"], *key), [Decimal(0)] * len(figure.columns))
        for i, change in enumerate(changed):
            if (row[f"s{i}"] or 0) + change != (row[f"e{i}"] or 0):
                found.add(row["owner"])
    return found


@cache
def _compared(registry: Registry, figure: Figure) -> Statement:
    """The rows of which the figure is wrong by the facts."""
    relations = Relations(registry, expanded(registry))
    return Statement(changes(relations, figure.table, (figure,), OWNERS))


def _given(figure: Figure, **names: Any) -> Any:
    """The changes as rows: further columns by name, then d0, d1, … by the figure's columns."""
    names |= {f"d{i}": Numeric for i in range(len(figure.columns))}
    arrays = (bindparam(name, type_=ARRAY(kind)) for name, kind in names.items())
    return func.unnest(*arrays).table_valued(*names).render_derived(name="given")


def _summed(figure: Figure, given: Any, **keys: Any) -> Select[Any]:
    """The changes of each row together, whatever the number of statements that made them."""
    sums = (func.sum(given.c[f"d{i}"]).label(f"d{i}") for i in range(len(figure.columns)))
    named = (key.label(name) for name, key in keys.items())
    return select(*named, *sums).group_by(*keys.values())


@cache
def _on_owners(figure: Figure) -> Statement:
    """UPDATE the owners' own rows; answers their primary keys."""
    given = _given(figure, owner=BigInteger)
    changed = _summed(figure, given, owner=given.c.owner).subquery("changed")
    return Statement(
        update(figure.table)
        .values({c.key: c + changed.c[f"d{i}"] for i, c in enumerate(figure.columns)})
        .where(figure.primary_key == changed.c.owner)
        .returning(figure.primary_key)
    )


@cache
def _on_derived_rows(figure: Figure) -> Statement:
    """Add to the rows that are there, make the others; answers (primary key, none left).

    Not by one upsert: the row that it proposes holds the bare change, which a CHECK may refuse.
    """
    count = counted(figure)
    assert count is not None
    given = _given(figure, **{f"k{i}": Text for i in range(len(figure.key))})
    keys = {f"k{i}": cast(given.c[f"k{i}"], k.type) for i, k in enumerate(figure.key)}
    changed = _summed(figure, given, **keys).cte("changed")
    answer = (figure.primary_key.label("pk"), (count == 0).label("is_empty"))
    same = [k == changed.c[f"k{i}"] for i, k in enumerate(figure.key)]
    raised = (
        update(figure.table)
        .values({c.key: c + changed.c[f"d{i}"] for i, c in enumerate(figure.columns)})
        .where(*same)
        .returning(*answer, *(changed.c[name] for name in keys))
        .cte("raised")
    )
    is_there = select(raised.c.pk).where(and_(*(raised.c[n] == changed.c[n] for n in keys)))
    amounts = [cast(changed.c[f"d{i}"], c.type) for i, c in enumerate(figure.columns)]
    new = select(*(changed.c[name] for name in keys), *amounts).where(not_(is_there.exists()))
    add = upsert(figure.table).from_select(
        [c.key for c in (*figure.key, *figure.columns)],
        new.order_by(*(changed.c[name] for name in keys)),
        include_defaults=False,
    )
    made = (
        add.on_conflict_do_update(
            index_elements=[k.key for k in figure.key],
            set_={c.key: c + add.excluded[c.key] for c in figure.columns},
        )
        .returning(*answer)
        .cte("made")
    )
    return Statement(
        union_all(select(raised.c.pk, raised.c.is_empty), select(made.c.pk, made.c.is_empty))
    )


@cache
def _remove(figure: Figure) -> Statement:
    """DELETE the rows `ids` behind which no source row stands, unless they hold an entered fact."""
    count = counted(figure)
    assert count is not None
    kept = literal(False) if figure.keep is None else func.coalesce(figure.keep, False)
    return Statement(
        delete(figure.table).where(figure.primary_key == func.any(_IDS), count == 0, ~kept)
    )
