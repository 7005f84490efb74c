"""Figures to which changes are added, rather than computed anew: the rule, the change, and its adding.

A figure is incremental where its value over two sets of rows together is the sum of its values over each. Then new
rows minus old rows is its change, in the declaration's own terms. The note triggers compute that (`delta_sql`),
the drain adds it under the owners' locks (`apply`). Verify, heal and rebuild are absolute all the same.
"""

from collections.abc import Collection, Iterator, Sequence
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Float,
    Integer,
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
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import (
    FunctionFilter,
    Grouping,
    UnaryExpression,
)
from sqlalchemy.sql.visitors import iterate

from ..declaring.declaration import Figure, Source
from ..declaring.expressions import Total, fits, is_never_null, operands, replace, unwrapped
from ..errors import DeclarationError
from .statements import Statement, drifted, plain

if TYPE_CHECKING:
    from .registry import Registry


# The rule: which declarations are incremental


def broken_rules(figure: Figure) -> Iterator[str]:
    """What keeps an incremental figure from being one, each as a sentence.

    It is a sum of totals on its owner's row, or derived rows of sums and counts.
    """
    for col in figure.columns:
        if col.nullable:
            yield f"nothing can be added to NULL; make {col} NOT NULL."
        if not _is_exact(col):
            yield f"{col} is no exact number; make it numeric or a whole number."
    if figure.derived_rows:
        yield from _not_additive(figure)
        return
    if figure.select is not None:
        yield "an incremental SELECT derives rows; a column of rows that exist is a sum of totals."
    if figure.owner is not figure.primary_key:
        yield "an incremental figure stands on its owner's row."
    for col, definition in figure.definitions.items():
        if not all(fits(col, part.argument) for _, part in _terms(figure, definition)):
            yield f"what is added to {col} has more decimals than it; round what is added."


def _terms(figure: Figure, definition: Any, sign: int = 1) -> list[tuple[int, Total]]:
    """The totals that a definition adds (+1) and subtracts (−1).

    Raises:
        DeclarationError: when the definition is anything but a sum of totals; its change could
            not be told from the changed rows alone.
    """
    if isinstance(definition, Grouping):
        return _terms(figure, definition.element, sign)
    if isinstance(definition, UnaryExpression) and definition.operator is operators.neg:
        return _terms(figure, definition.element, -sign)
    parts = operands(definition)
    if parts and definition.operator in (operators.add, operators.sub):
        first, *others = parts
        further = -sign if definition.operator is operators.sub else sign
        added = (term for part in others for term in _terms(figure, part, further))
        return [*_terms(figure, first, sign), *added]
    if getattr(definition, "name", "") == "coalesce":
        first, *rest = definition.clauses
        if isinstance(first, Total) and rest and all(_is_zero(r) for r in rest):
            return [(sign, first)]
    raise DeclarationError(
        f"{figure.name}: an incremental figure is a sum of totals, each with zero where there is "
        f"nothing to add (coalesce(total(…), 0)); “{definition}” is not one."
    )


def _not_additive(figure: Figure) -> Iterator[str]:
    """Why the change of derived rows could not be told from the changed source rows alone."""
    rows: Any = figure.rows
    is_select = isinstance(rows, Select) and len(figure.models) == 1
    if not is_select or list(rows.get_final_froms()) != list(figure.models):
        yield "an incremental figure of derived rows is one SELECT from one table."
        return
    if any(isinstance(part, Select) for part in iterate(rows) if part is not rows):
        yield "an incremental figure of derived rows has no SELECT within its SELECT."
    if rows._having_criteria or rows._distinct or rows._has_row_limiting_clause:
        yield "an incremental figure of derived rows has no HAVING, DISTINCT or LIMIT."
    selected = rows.selected_columns
    groups = {id(unwrapped(part)) for part in rows._group_by_clauses}
    if groups != {id(unwrapped(selected[k.key])) for k in figure.key}:
        yield "an incremental figure of derived rows is grouped by its key, and by nothing else."
    if counted(figure) is None:
        yield "one column of an incremental figure of derived rows is count(), so that it is known when none is left."
    for col in figure.columns:
        if not (_is_additive(selected[col.key]) and fits(col, selected[col.key])):
            yield (
                f"{col} is no sum or count that the column holds as it is; a sum may add no NULL: "
                f"coalesce(sum(…), 0) where it might."
            )


def counted(figure: Figure) -> Column[Any] | None:
    """The column that says how many source rows stand behind a derived row: `count(*)`, unfiltered."""
    selected = figure.rows.selected_columns
    return next((c for c in figure.columns if _is_count(unwrapped(selected[c.key]))), None)


def summand(selected: Any) -> ColumnElement[Any] | None:
    """What one source row adds to a selected sum or count; None where that is not so simple."""
    part = unwrapped(selected)
    if _is_count(part):
        return literal(1)
    if getattr(part, "name", "") == "coalesce" and _is_zero(list(part.clauses)[-1]):
        part = unwrapped(next(iter(part.clauses)))
    is_sum = getattr(part, "name", "") == "sum" and not isinstance(part, FunctionFilter)
    return next(iter(part.clauses)) if is_sum else None


def _is_zero(part: Any) -> bool:
    """Whether a part of a definition is the constant 0."""
    return getattr(part, "value", None) == 0


def _is_exact(part: Any) -> bool:
    return isinstance(part.type, Numeric | Integer) and not isinstance(part.type, Float)


def _is_count(part: Any) -> bool:
    clauses = list(getattr(part, "clauses", ()))
    return getattr(part, "name", "") == "count" and all(
        getattr(c, "name", "") == "*" for c in clauses
    )


def _is_additive(part: Any, may_be_null: bool = False) -> bool:
    """Whether the value over two sets of rows together is the sum of its values over each."""
    part = unwrapped(part)
    if isinstance(part, FunctionFilter):
        return _is_additive(part.func, may_be_null) and (may_be_null or part.func.name == "count")
    if isinstance(part, UnaryExpression):
        return part.operator is operators.neg and _is_additive(part.element)
    if parts := operands(part):
        is_sum = part.operator in (operators.add, operators.sub)
        return is_sum and all(map(_is_additive, parts))
    name, clauses = getattr(part, "name", ""), list(getattr(part, "clauses", ()))
    if name == "coalesce":
        first, *rest = clauses
        return bool(rest) and all(map(_is_zero, rest)) and _is_additive(first, may_be_null=True)
    if name not in ("sum", "count") or any(_is_distinct(c) for c in clauses):
        return False
    return name == "count" or (_is_exact(clauses[0]) and (may_be_null or is_never_null(clauses[0])))


def _is_distinct(part: Any) -> bool:
    return any(getattr(p, "operator", None) is operators.distinct_op for p in iterate(part)) or (
        getattr(part, "name", "") == "distinct"
    )


# The change: what a trigger notes


def delta_sql(figure: Figure, source: Source, *, new: bool, old: bool) -> str:
    """SELECT owner, key, delta per column, from a trigger's transition tables: new rows less old rows.

    `key` names the derived row that changes; it is null where the figure stands on its owner's row. It is told as
    JSON tells it: what it says does not depend on anybody's DateStyle.
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


def _of_owners(figure: Figure, source: Source, rows: str, sign: int) -> str:
    """What these rows add to each owner's columns."""
    alias = table(rows, *(plain_column(c.key, c.type) for c in source.table.c))
    columns: list[ColumnElement[Any]] = [alias.c[source.owner.key].label("owner")]
    for i, col in enumerate(figure.columns):
        terms = _terms(figure, figure.definitions[col], sign)
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


# The adding: what the drain does with the changes


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
    registry: "Registry",
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
    for row in drifted(registry, figure).run(connection, owners=sorted(owners)).mappings():
        key = (str(row[f"k{i}"]) for i in range(len(figure.key) if figure.derived_rows else 0))
        changed = noted.get((row["owner"], *key), [Decimal(0)] * len(figure.columns))
        for i, change in enumerate(changed):
            if (row[f"s{i}"] or 0) + change != (row[f"e{i}"] or 0):
                found.add(row["owner"])
    return found


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
    kept = (
        literal(False) if figure.entered_rows is None else func.coalesce(figure.entered_rows, False)
    )
    return Statement(
        delete(figure.table).where(figure.primary_key == func.any(_IDS), count == 0, ~kept)
    )
