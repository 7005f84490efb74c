"""The changes a transaction has made so far: every stored total and every document, before and after.

Nothing is predicted: the verb itself runs inside a savepoint, and its writes are read. The values before are read on
a separate connection, as other transactions still see them; the written rows are locked by their writer.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    DateTime,
    Table,
    Text,
    any_,
    cast,
    func,
    literal,
    select,
)
from sqlalchemy.orm import Session

from .. import figures
from ..audit.models import AuditEvent
from ..audit.tables import recorded
from ..base import Base
from ..base.identifiers import is_id
from ..base.money_columns import is_money
from ..drift.facts.findings import name_of
from ..drift.healing.moved import Item, found_in, totals_written
from ..runs.queries import Found


@dataclass(frozen=True)
class Outlook:
    """The changes of a verb, for any user: stored totals first, by greatest difference."""

    items: tuple[Item, ...]
    result: Any = None
    """The verb's return value."""

    @cached_property
    def found(self) -> Found:
        """The number of items, and their total difference, net and gross."""
        return found_in(self.items)

    @cached_property
    def digest(self) -> str:
        """A digest that differs as soon as the changes would differ.

        New rows have no id yet; they are identified by their values.
        """
        names = ("subject", "owner", "key", "before", "after")
        reported = sorted(
            json.dumps([item[name] for name in names], sort_keys=True) for item in self.items
        )
        return digest_of(reported)


def digest_of(texts: Iterable[str]) -> str:
    """A digest that differs as soon as any of these texts, or their order, differs."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def changed_by(session: Session, act: Callable[[], object]) -> Outlook:
    """Run `act` and return its changes; the caller decides whether they stay."""
    mark = session.scalar(select(func.coalesce(func.max(AuditEvent.id), 0)).where(_is_mine())) or 0
    with figures.written(session) as rows:
        result = act()
        figures.settle(session)
    events = session.scalars(
        select(AuditEvent).where(_is_mine(), AuditEvent.id > mark).order_by(AuditEvent.id)
    ).all()
    totals = totals_written(session.connection(), [*rows, *_added_to(events)])
    totals.sort(key=lambda item: -(item["amounts"].get("gross") or Decimal(0)))
    return Outlook((*totals, *_documents(session, events)), result)


def _is_mine() -> Any:
    return AuditEvent.xid == func.pg_current_xact_id()


def _added_to(events: Sequence[AuditEvent]) -> Iterator[tuple[Table, int]]:
    """The owners named by changed rows for which PostgreSQL adds to the sums itself."""
    bundles = [
        b for b in figures.registry.bundles if b.owner_table in figures.registry.added_at_once
    ]
    sources = {(s.table.name, s.owner.key, b.owner_table) for b in bundles for s in b.sources}
    for event in events:
        for table, key, owners in sources:
            if event.table_name == table:
                named = {
                    side[key] for side in (event.before, event.after) if side and side.get(key)
                }
                yield from ((owners, owner) for owner in named)


def _documents(session: Session, events: Sequence[AuditEvent]) -> Iterator[Item]:
    """The rows that were entered, changed or removed, from the audit trail."""
    rows: dict[tuple[str, str | None], list[AuditEvent]] = {}
    for event in events:
        rows.setdefault((event.table_name, event.row_id), []).append(event)
    names, amounts = _Names(session), _amounts(session, rows)
    for (table, row_id), reported in rows.items():
        before, after = _ends(reported)
        if before == after:
            continue
        is_new, is_whole = reported[0].action == "INSERT", before is None or after is None
        yield {
            "subject": name_of(table),
            "owner": _shown_with(session, table, None if is_new else row_id, before, after),
            "key": {},
            "before": names.reported(table, before, is_whole=is_whole),
            "after": names.reported(table, after, is_whole=is_whole),
            "amounts": {"concerns": amounts.get((table, row_id))},
        }


def _shown_with(
    session: Session,
    table: str,
    row_id: str | None,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> int | None:
    """The id of the record that shows a row: itself, or the record it is part of; None for a new record."""
    known = recorded(table)
    own = int(row_id) if row_id is not None and is_id(row_id) else None
    if known is None or known.part_of is None:
        return own
    named: int | None = {**(before or {}), **(after or {})}.get(known.part_of.key)
    if named is None and own is not None:
        named = session.scalar(select(known.part_of).where(Base.metadata.tables[table].c.id == own))
    return named


def _ends(events: Sequence[AuditEvent]) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The values of a row's recorded columns before the first of its events and after the last."""
    first: dict[str, Any] = {}
    last: dict[str, Any] = {}
    for event in events:
        first = {**(event.before or {}), **first}
        last = {**last, **(event.after or {})}
    is_there = events[0].action != "INSERT", events[-1].action != "DELETE"
    if all(is_there):
        same = {name for name in first if first[name] == last.get(name)}
        first, last = ({k: v for k, v in side.items() if k not in same} for side in (first, last))
    return first if is_there[0] else None, last if is_there[1] else None


def _amounts(
    session: Session, rows: Iterable[tuple[str, str | None]]
) -> dict[tuple[str, str | None], Decimal]:
    """The amount of each document that has one."""
    wanted: dict[str, list[int]] = {}
    for table, row_id in rows:
        if row_id is not None and is_id(row_id):
            wanted.setdefault(table, []).append(int(row_id))
    found: dict[tuple[str, str | None], Decimal] = {}
    for name, ids in wanted.items():
        documents = Base.metadata.tables[name]
        amount = documents.c.get("amount")
        if amount is None or not is_money(amount):
            continue
        chosen = documents.c.id == any_(literal(ids, ARRAY(BigInteger)))
        reported = session.execute(select(cast(documents.c.id, Text), amount).where(chosen))
        found |= {(name, key): value for key, value in reported if value is not None}
    return found


class _Names:
    """The values of a document's columns as displayed: a customer's code instead of an id."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[tuple[str, Any], str] = {}

    def reported(
        self, table: str, values: Mapping[str, Any] | None, *, is_whole: bool
    ) -> dict[str, Any] | None:
        """The columns to show, with names for ids; None for no row. `is_whole`: the row is added or removed."""
        if values is None:
            return None
        columns = Base.metadata.tables[table].c
        found: dict[str, Any] = {}
        for name, value in values.items():
            column = columns.get(name)
            if column is None or column.primary_key or isinstance(column.type, DateTime):
                continue
            if isinstance(value, dict) or (is_whole and value in (None, "")):
                continue
            target = next((key.column.table.name for key in column.foreign_keys), None)
            found[name] = value if target is None or value is None else self._name(target, value)
            if isinstance(found[name], list):
                found[name] = ", ".join(map(str, found[name]))
        return {
            name: v if isinstance(v, bool) or v is None else str(v) for name, v in found.items()
        }

    def _name(self, table: str, key: Any) -> str:
        known = recorded(table)
        if (table, key) not in self._known:
            of_it = None if known is None or known.called is None else self._session.scalar(
                select(known.called).where(Base.metadata.tables[table].c.id == key)
            )  # fmt: skip
            self._known[table, key] = of_it or "#"
        return self._known[table, key]
