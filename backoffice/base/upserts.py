"""Creates and updates many rows at once, by their unique names."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Select,
    and_,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from . import Base


class Upserted(NamedTuple):
    """How many rows an upsert created and updated; the others were already equal."""

    created: int
    updated: int


def upsert(
    session: Session,
    model: type[Base],
    rows: Select[Any],
    *key: str,
    initial: frozenset[str] = frozenset(),
    on_change: Mapping[str, Any] | None = None,
    only: ColumnElement[bool] | None = None,
) -> Upserted:
    """Insert or update the rows of `model` from `rows`, by the unique columns `key`.

    One statement; no commit. `rows` labels its columns as the table does, with each key once. Columns in `initial` are
    set on new rows only. Equal rows are not written; updated ones get `on_change` too. With `only`, existing rows are
    updated only where that condition holds.
    """
    table = model.__table__
    names = [str(column.key) for column in rows.selected_columns]
    statement = insert(model).from_select(names, rows)
    given = {n: statement.excluded[n] for n in names if n not in key and n not in initial}
    changed = or_(*(table.c[name].is_distinct_from(value) for name, value in given.items()))
    # A row that this statement inserted has no deleting transaction; one that it updated has.
    is_new = literal_column("xmax = 0", Boolean).label("is_new")
    written = (
        statement.on_conflict_do_update(
            index_elements=[table.c[name] for name in key],
            set_={**given, **(on_change or {})},
            where=and_(changed, true() if only is None else only),
        )
        .returning(is_new)
        .cte("written")
    )
    count = func.count()
    created, updated = session.execute(
        select(count.filter(written.c.is_new), count.filter(not_(written.c.is_new))).select_from(
            written
        )
    ).one()
    return Upserted(created, updated)
