"""Adding the noted changes to an incremental figure, under its owners' locks."""

from decimal import Decimal
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Connection,
    Numeric,
    Table,
    Text,
    bindparam,
    cast,
    delete,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from .declaration import Figure
from .deltas import counted
from .statements import Statement

Deltas = dict[tuple[int, tuple[str, ...]], list[Decimal]]
"""Owner and key of the derived row (none: the owner's own row) → the change of each column."""

Changes = list[tuple[Table, int]]
"""Rows of which a figure was written: target table and primary key."""

_IDS = bindparam("ids", type_=ARRAY(BigInteger))


def apply(connection: Connection, figure: Figure, deltas: Deltas) -> Changes:
    """Add the changes that the triggers computed; the owners are locked. Answers the rows written."""
    columns: dict[str, Any] = {
        f"d{i}": [d[i] for d in deltas.values()] for i in range(len(figure.columns))
    }
    if not figure.derived_rows:
        columns["owner"] = [owner for owner, _ in deltas]
        return [(figure.table, key) for (key,) in _on_owners(figure).rows(connection, **columns)]
    columns |= {f"k{i}": [key[i] for _, key in deltas] for i in range(len(figure.key))}
    written = _on_derived_rows(figure).rows(connection, **columns)
    emptied = [key for key, is_empty in written if is_empty]
    if emptied:
        _remove(figure).run(connection, ids=emptied)
    return [(figure.table, key) for key, _ in written]


def _given(figure: Figure, **names: Any) -> Any:
    """The changes as rows: further columns by name, then d0, d1, … by the figure's columns."""
    names |= {f"d{i}": Numeric for i in range(len(figure.columns))}
    arrays = (bindparam(name, type_=ARRAY(kind)) for name, kind in names.items())
    return func.unnest(*arrays).table_valued(*names).render_derived(name="given")


@cache
def _on_owners(figure: Figure) -> Statement:
    """UPDATE the owners' own rows; answers their primary keys."""
    given = _given(figure, owner=BigInteger)
    return Statement(
        update(figure.table)
        .values({c.key: c + given.c[f"d{i}"] for i, c in enumerate(figure.columns)})
        .where(figure.primary_key == given.c.owner)
        .returning(figure.primary_key)
    )


@cache
def _on_derived_rows(figure: Figure) -> Statement:
    """Add to the rows, making those that are not there yet; answers (primary key, none left).

    In the order of the key, as everybody writes them.
    """
    count = counted(figure)
    assert count is not None
    given = _given(figure, **{f"k{i}": Text for i in range(len(figure.key))})
    keys = [cast(given.c[f"k{i}"], k.type) for i, k in enumerate(figure.key)]
    amounts = [cast(given.c[f"d{i}"], c.type) for i, c in enumerate(figure.columns)]
    names = [c.key for c in (*figure.key, *figure.columns)]
    add = upsert(figure.table).from_select(
        names, select(*keys, *amounts).order_by(*keys), include_defaults=False
    )
    return Statement(
        add.on_conflict_do_update(
            index_elements=[k.key for k in figure.key],
            set_={c.key: c + add.excluded[c.key] for c in figure.columns},
        ).returning(figure.primary_key, count == 0)
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
