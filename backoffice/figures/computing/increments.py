"""Incremental figures: changes are added to them instead of recomputing them.

A figure is incremental where its value over two sets of rows together is the sum of its values over each
(`declaring/additive.py`). Then new rows minus old rows is its change, in the declaration's own terms. The note triggers
compute that change (`delta_sql`), the drain adds it under the owners' locks (`apply`). Verify, heal and rebuild are
absolute for these figures too.
"""

from decimal import Decimal
from functools import cache
from hashlib import sha256
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Numeric,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    case,
    cast,
    delete,
    func,
    literal,
    literal_column,
    not_,
    select,
    table,
    union_all,
    update,
)
from sqlalchemy import column as plain_column
from sqlalchemy.dialects.postgresql import insert as upsert

from ..declaring.additive import counted, terms_of
from ..declaring.declaration import Figure, Source
from ..declaring.expressions import Total, replace
from .registry import Bundle, Registry
from .statements import Statement, plain

# The change, as a trigger notes it


def delta_sql(figure: Figure, source: Source, *, new: bool, old: bool) -> str:
    """SELECT owner, key, delta per column, from a trigger's transition tables: new rows less old rows.

    `key` names the derived row that changes; it is null where the figure is on its owner's row. It is formatted as
    JSON, so that it does not depend on the session's DateStyle.
    """
    change_of = _of_groups if figure.derived_rows else _of_owners
    parts = [change_of(figure, source, "new_rows", 1)] if new else []
    parts += [change_of(figure, source, "old_rows", -1)] if old else []
    owner, by, key = "owner", "owner", "NULL::text[]"
    if figure.derived_rows:
        owner = f"k{figure.key.index(figure.owner)}"
        by = ", ".join(f"k{i}" for i in range(len(figure.key)))
        texts = ", ".join(f"to_jsonb(k{i}) #>> '{{}}'" for i in range(len(figure.key)))
        key = f"ARRAY[{texts}]"
    sums = ", ".join(f"sum(d{i})" for i in range(len(figure.columns)))
    moved = " OR ".join(f"sum(d{i}) <> 0" for i in range(len(figure.columns)))
    return (
        f"SELECT {owner}, {key}, ARRAY[{sums}]::numeric[] FROM ({' UNION ALL '.join(parts)}) AS changed "
        f"WHERE {owner} IS NOT NULL GROUP BY {by} HAVING {moved}"
    )


@cache
def change_name(bundle: Bundle) -> str:
    """The name under which changes of an incremental bundle are noted; they are valid for this declaration only.

    A process with another declaration leaves them for one that recomputes absolutely.
    """
    figure = bundle.figures[0]
    far = (s for s in figure.sources if s.table is not figure.table)
    reported = " ".join(delta_sql(figure, source, new=True, old=True) for source in far)
    columns = " ".join(c.key for c in (*figure.key, *figure.columns))
    return f"{bundle.name}#{sha256(f'{columns} {reported}'.encode()).hexdigest()[:12]}"


@cache
def noted_names(registry: Registry) -> list[str]:
    """The names under which this process's declarations write notes: bundles, and their changes."""
    changes = [change_name(bundle) for bundle in registry.bundles if bundle.incremental]
    return registry.bundle_names + changes


def _of_owners(figure: Figure, source: Source, rows: str, sign: int) -> str:
    """What these rows add to each owner's columns."""
    alias = table(rows, *(plain_column(c.key, c.type) for c in source.table.c))
    columns: list[ColumnElement[Any]] = [alias.c[source.owner.key].label("owner")]
    for i, col in enumerate(figure.columns):
        terms = terms_of(figure, figure.definitions[col], sign)
        added: ColumnElement[Any] = literal_column("0::numeric")
        for direction, part in terms:
            if part.by is source.owner:
                added = added + direction * _contribution(part, source.table, alias)
        columns.append(added.label(f"d{i}"))
    return plain(select(*columns))


def _contribution(part: Total, child: Table, rows: Any) -> ColumnElement[Any]:
    def leaf(col: Any) -> Any:
        return rows.c[col.key] if col.table is child else None

    amount = func.coalesce(replace(part.argument, leaf), 0)
    if part.where is None:
        return amount
    return case((replace(part.where, leaf), amount), else_=literal(0))


def _of_groups(figure: Figure, source: Source, rows: str, sign: int) -> str:
    """The figure's own SELECT over these rows."""
    assert figure.select is not None
    relation = table(rows, *(plain_column(c.key, c.type) for c in source.table.c))
    grouped = figure.select(relation)
    chosen = grouped.selected_columns
    named = [
        *(cast(chosen[k.key], k.type).label(f"k{i}") for i, k in enumerate(figure.key)),
        *(chosen[c.key].label(f"d{i}") for i, c in enumerate(figure.columns)),
    ]
    text = plain(grouped.with_only_columns(*named))
    names = [f"k{i}" for i in range(len(figure.key))]
    names += [f"{'-' * (sign < 0)}coalesce(d{i}, 0) AS d{i}" for i in range(len(figure.columns))]
    return f"SELECT {', '.join(names)} FROM ({text}) AS {rows}_"


# The addition, by which the drain applies the changes


class Delta(NamedTuple):
    """The change of each column of one row: the owner's own, or the derived one that `key` names."""

    owner: int
    key: tuple[str, ...]
    columns: list[Decimal]


Changes = list[tuple[Table, int]]
"""Rows with a figure that was written: target table and primary key."""

_IDS = bindparam("ids", type_=ARRAY(BigInteger))


def apply(connection: Connection, figure: Figure, deltas: list[Delta]) -> Changes:
    """Add the changes that the triggers computed; the owners are locked. Returns the rows written."""
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


def _given(figure: Figure, **names: Any) -> Any:
    """The changes as rows: further columns by name, then d0, d1, … in the order of the figure's columns."""
    names |= {f"d{i}": Numeric for i in range(len(figure.columns))}
    arrays = (bindparam(name, type_=ARRAY(kind)) for name, kind in names.items())
    return func.unnest(*arrays).table_valued(*names).render_derived(name="given")


def _summed(figure: Figure, given: Any, **keys: Any) -> Select[Any]:
    """The changes added up per row, over all the statements that made them."""
    sums = (func.sum(given.c[f"d{i}"]).label(f"d{i}") for i in range(len(figure.columns)))
    named = (key.label(name) for name, key in keys.items())
    return select(*named, *sums).group_by(*keys.values())


@cache
def _on_owners(figure: Figure) -> Statement:
    """UPDATE the owners' own rows; returns their primary keys."""
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
    """Add to the existing rows and insert the others; returns (primary key, none left).

    Not one upsert: the row that it would propose holds the bare change, which a CHECK may refuse.
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
    """DELETE the rows `ids` without any source row, unless they hold an entered fact."""
    count = counted(figure)
    assert count is not None
    kept = (
        literal(False) if figure.entered_rows is None else func.coalesce(figure.entered_rows, False)
    )
    return Statement(
        delete(figure.table).where(figure.primary_key == func.any(_IDS), count == 0, ~kept)
    )
