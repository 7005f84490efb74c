"""The stored totals that a transaction has changed so far, before and after: count, difference, largest.

Nothing is predicted: the change is carried out, and its writes are read while it can still be
rolled back. The values before are read on a connection of its own, which sees the committed state; the rows are locked
by the transaction that has written them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Column, Connection, Table, any_, literal, select
from sqlalchemy.orm import Session

from ...figures import Figure, registry
from ...figures.verifying.findings import text_of
from ...runs.queries import Found
from ...web.record_links import called
from ..amounts import amounts_of, as_fields

Item = dict[str, Any]
"""The fields of a run's item, but for its outcome; `amounts` are those of the item by name."""

SHOWN = 50
"""Rows that are kept for display; sums cover all."""


@dataclass(frozen=True)
class Moved:
    """Row count, net and gross difference, and the largest rows."""

    rows: int = 0
    net: Decimal = Decimal(0)
    gross: Decimal = Decimal(0)
    sample: tuple[dict[str, Any], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON, amounts as strings."""
        sums = {"rows": self.rows, "net": str(self.net), "gross": str(self.gross)}
        return {**sums, "items": list(self.sample)}


def moved_by(session: Session, rows: Iterable[tuple[Table, int]]) -> Moved:
    """What this transaction has written to these rows of figures, while it can still be rolled back."""
    connection = session.connection()
    items = sorted(
        totals_moved(connection, rows), key=lambda item: -(item["amounts"].get("gross") or 0)
    )
    shown = items[:SHOWN]
    names = called(connection, ((item["subject"], item["owner"], item["key"]) for item in shown))
    found = found_in(items)
    return Moved(
        found.count, found.net, found.gross,
        tuple(_as_dict(item, name) for item, name in zip(shown, names, strict=True)),
    )  # fmt: skip


def _as_dict(item: dict[str, Any], name: str | None) -> dict[str, Any]:
    amounts = {key: None if value is None else str(value) for key, value in item["amounts"].items()}
    net = amounts.pop("amount", None)
    reported = {key: item[key] for key in ("subject", "owner", "key", "before", "after")}
    return {"name": name, **reported, **amounts, "net": net}


def found_in(items: Sequence[Item]) -> Found:
    """The number of items, and the sum of their differences, net and gross."""
    net, gross = (
        sum((item["amounts"].get(name) or Decimal(0) for item in items), Decimal(0))
        for name in ("amount", "gross")
    )
    return Found(len(items), net, gross)


def totals_written(connection: Connection, rows: Iterable[tuple[Table, int]]) -> list[Item]:
    """The items of these rows, written by this transaction, that differ from the committed state.

    An account whose balance changes has one gross amount, the balance's: an entry is not added up twice.
    """
    ids: dict[Table, set[int]] = {}
    for table, key in rows:
        ids.setdefault(table, set()).add(key)
    found: dict[tuple[Figure, int], Item] = {}
    with connection.engine.connect() as outside:
        for figure in registry.figures:
            if keys := ids.get(figure.table):
                before, after = (_stored(seen, figure, keys) for seen in (outside, connection))
                found |= {(figure, pk): item for pk, item in _apart(figure, before, after)}
    for (figure, pk), item in found.items():
        if figure.amounts and not figure.has_net:
            leading = next(other for other in registry.figures if figure.leading in other.columns)
            _state_once(item["amounts"], found.get((leading, pk), {}).get("amounts"))
    return list(found.values())


def _state_once(amounts: dict[str, Decimal], leading: dict[str, Decimal] | None) -> None:
    """Move the gross amount to the item of the leading amount, where that one changes, too."""
    if leading and amounts:
        leading["gross"] = max(leading["gross"], amounts.pop("gross"))


def totals_moved(connection: Connection, rows: Iterable[tuple[Table, int]]) -> list[Item]:
    """As `totals_written`, without records that this transaction has created: their totals are new with them."""
    ids: dict[Table, set[int]] = {}
    for table, key in rows:
        ids.setdefault(table, set()).add(key)
    own = {figure.table: figure for figure in registry.figures if not figure.derived_rows}
    with connection.engine.connect() as outside:
        for table in ids.keys() & own.keys():
            pk: Column[Any] = own[table].primary_key
            mine = pk == any_(literal(sorted(ids[table]), ARRAY(BigInteger)))
            ids[table] = set(outside.scalars(select(pk).where(mine)))
    return totals_written(connection, ((table, key) for table, keys in ids.items() for key in keys))


def _stored(connection: Connection, figure: Figure, keys: Iterable[int]) -> dict[int, Any]:
    """Primary key → the figure's row as this connection sees it."""
    columns = [figure.primary_key.label("pk"), figure.owner.label("owner")]
    columns += [column.label(f"k{n}") for n, column in enumerate(figure.key)]
    columns += [column.label(f"v{n}") for n, column in enumerate(figure.columns)]
    chosen = figure.primary_key == any_(literal(sorted(keys), ARRAY(BigInteger)))
    return {row.pk: row for row in connection.execute(select(*columns).where(chosen))}


def _apart(
    figure: Figure, before: Mapping[int, Any], after: Mapping[int, Any]
) -> Iterator[tuple[int, Item]]:
    """Each row that differs: its primary key, and the item."""
    for pk in sorted({*before, *after}):
        old, new = before.get(pk), after.get(pk)
        reported = [
            (column.key, getattr(old, f"v{n}", None), getattr(new, f"v{n}", None))
            for n, column in enumerate(figure.columns)
        ]
        reported = [(name, a, b) for name, a, b in reported if old is None or new is None or a != b]
        if not reported:
            continue
        row: Any = new if new is not None else old
        is_new_row = old is None and figure.owner is figure.primary_key
        was = None if old is None else {name: text_of(a) for name, a, _b in reported}
        is_now = None if new is None else {name: text_of(b) for name, _a, b in reported}
        yield pk, {
            "subject": figure.name,
            "owner": None if is_new_row else row.owner,
            "key": {} if is_new_row else {
                column.key: _plain(getattr(row, f"k{n}")) for n, column in enumerate(figure.key)
            },
            "before": was,
            "after": is_now,
            "amounts": as_fields(amounts_of(figure, was, is_now)),
        }  # fmt: skip


def _plain(value: Any) -> Any:
    """A key's value as corrections store it: numbers as numbers, all else as text."""
    return value if isinstance(value, int) else str(value)
