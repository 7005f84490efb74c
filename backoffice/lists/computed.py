"""Lists of rows that are computed in Python."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Integer, cast, func, literal, select
from sqlalchemy import column as column_of
from sqlalchemy.dialects.postgresql import JSONB

from ..base import N_
from .declaration import Column, List


def computed_list(
    name: str,
    title: str,
    path: str,
    columns: Sequence[Column],
    rows: Iterable[Mapping[str, Any]],
    also: Mapping[str, Any] | None = None,
    **how: Any,
) -> List:
    """The list of these rows, in their order. The `value` of a column is the SQL type of its values, as each of `also`.

    Amounts are passed as text, so every digit is kept.
    """
    place = Column("place", N_("Line"), Integer(), kind="number", is_shown=False)
    kinds = {one.name: one.value for one in (*columns, place)} | dict(also or {})
    numbered = [{**row, place.name: number} for number, row in enumerate(rows)]
    sent = func.jsonb_to_recordset(cast(literal(json.dumps(numbered, default=str)), JSONB))
    parts: Any = (column_of(part, kind) for part, kind in kinds.items())
    table = sent.table_valued(*parts, name="computed").render_derived(with_types=True)
    held = [replace(one, value=table.c[one.name], is_sortable=False) for one in columns]
    return List(
        name,
        title,
        path,
        rows=lambda _user: select().select_from(table),
        key=table.c[place.name],
        columns=[*held, replace(place, value=table.c[place.name])],
        also={part: table.c[part] for part in also or ()},
        default_sort=place.name,
        is_computed=True,
        **how,
    )
