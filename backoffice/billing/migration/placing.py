"""Step 1: documents without a meter get the one where they surely belong; the others are listed, with why.

Invoices first, for their payments follow them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, func, literal, select, true, update

from ...base import table_of
from ...figures import registry
from ...figures.keeping.drain import Drained
from ...figures.keeping.hooks import held, settle_connection
from ...figures.verifying.healing import Failure, Healer
from ...runs.models import APPLIED, FOUND, ITEM_FAILED, SKIPPED
from ...runs.work import Asked, Chunk, Step, Work
from ..figures import customer_balance
from ..models import Invoice, Meter, MeterAssignment
from ..payments import matching
from ..rules import POSTED
from . import report
from .documents import (
    ALL,
    BY_NAME,
    INVOICES,
    PAYMENTS,
    Documents,
    any_of,
    sure_invoices,
)
from .report import is_unreported

CHUNK = 1_000
"""Documents that get their meter in one transaction."""

NOTHING: Mapping[str, Any] = {"before": {}, "after": {}}
"""Of a document that is left: it had no meter, and has none."""

METERS, ASSIGNMENTS = table_of(Meter), table_of(MeterAssignment)


def plan(connection: Connection) -> Iterator[Chunk]:
    """The documents without a meter, invoices before payments."""
    for stage, documents in enumerate(ALL):
        yield from _ranges(connection, documents, stage)


def _ranges(connection: Connection, documents: Documents, stage: int) -> Iterator[Chunk]:
    key = documents.table.c.id
    page = ((func.row_number().over(order_by=key) - 1) // CHUNK).label("page")
    placed = select(key, page).where(documents.waiting).subquery()
    pages = select(func.min(placed.c.id), func.max(placed.c.id), func.count())
    rows = connection.execute(pages.group_by(placed.c.page).order_by(placed.c.page))
    for low, high, count in rows:
        yield Chunk({"documents": documents.name, "low": low, "high": high}, count, stage)


def again(items: Sequence[Any]) -> Iterator[Chunk]:
    """The documents that could not be placed, once more."""
    for stage, documents in enumerate(ALL):
        ids = sorted({item.owner for item in items if item.subject in documents.names})
        yield from listed(documents, ids, stage)


def listed(documents: Documents, ids: Sequence[int], stage: int) -> Iterator[Chunk]:
    """These documents in chunks."""
    for i in range(0, len(ids), CHUNK):
        page = list(ids[i : i + CHUNK])
        yield Chunk({"documents": documents.name, "ids": page}, len(page), stage)


def leave(work: Work, name: str, ids: Sequence[int]) -> None:
    """Say of these documents why they are left without a meter."""
    with work.transaction(is_last=True) as step:
        placer = Placer(work, BY_NAME[name])
        placer.step = step
        placer.leave(step.connection, ids)


def place(work: Work) -> None:
    """Give the chunk's documents their meters, or in a dry run say which."""
    placer = Placer(work, BY_NAME[work.payload["documents"]])
    with work.snapshot() as connection:
        ids = placer.left(connection)
    if work.asked.dry_run:
        with work.transaction(is_last=True) as step:
            placer.say(step, ids)
    else:
        placer.place(ids)


class Placer:
    """Places the documents of one chunk; whoever cannot be placed is found by halving, and told of."""

    def __init__(self, work: Work, documents: Documents) -> None:
        self.work = work
        self.documents = documents
        self.step: Step | None = None

    def left(self, connection: Connection) -> list[int]:
        """The chunk's documents that wait still, and of whom the run has said nothing yet."""
        key, payload = self.documents.table.c.id, self.work.payload
        mine = (
            key == any_of(payload["ids"])
            if "ids" in payload
            else key.between(payload["low"], payload["high"])
        )
        unreported = is_unreported(self.work.asked.id, self.documents.names, key)
        waiting = select(key).where(mine, self.documents.waiting, unreported)
        return list(connection.scalars(waiting.order_by(key)))

    def say(self, step: Step, ids: Sequence[int]) -> None:
        """What would be done with these, once the invoices have their meters."""
        self.step = step
        sure = [*step.connection.execute(_sure(self.documents, ids))]
        if self.documents.table is PAYMENTS:
            sure += step.connection.execute(with_their_invoice(ids))
        self._record(sure, FOUND)
        self.leave(step.connection, sorted(set(ids) - {row.id for row in sure}))

    def place(self, ids: Sequence[int]) -> None:
        """Give them their meters, in one transaction where nothing is in the way."""
        healer = Healer(registry, self._begin, self._failed)
        healer.each(ids, self._place, lambda owner, error: self._failed(Failure("", owner, error)))

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        with self.work.transaction() as step:
            self.step = step
            yield step.connection

    def _place(self, connection: Connection, ids: Sequence[int], _alone: bool) -> Drained:
        with held(connection):
            placed = give_meters(connection, self.documents, ids)
            settle(connection, {row.meter_id for row in placed})
        self._record(placed, APPLIED)
        self.leave(connection, sorted(set(ids) - {row.id for row in placed}))
        return Drained()

    def _record(self, rows: Sequence[Row[*tuple[Any, ...]]], outcome: str) -> None:
        assert self.step is not None
        for row in rows:
            self.step.item(outcome=outcome, **as_item(self.documents, row))
        self.step.tally.checked += len(rows)
        self.step.tally.changed += len(rows)

    def leave(self, connection: Connection, ids: Sequence[int]) -> None:
        """Say of these why they are left without a meter."""
        assert self.step is not None
        if not ids:
            return
        table = self.documents.table
        unsure = self.documents.among(self.documents.unsure(), ids).subquery("unsure")
        left = select(table.c.id, table.c.amount, unsure.c.why)
        left = left.join_from(unsure, table, table.c.id == unsure.c[0]).order_by(table.c.id)
        for row in connection.execute(left).all():
            case = self.documents.cases[row.why]
            self.step.item(
                case.name, SKIPPED, owner=row.id, error=case.why,
                amounts=concerning(row.amount), **NOTHING,
            )  # fmt: skip
            self.step.tally.checked += 1
            self.step.tally.skipped += 1

    def _failed(self, failure: Failure) -> None:
        with self.work.transaction() as step:
            step.item(
                self.documents.failed.name, ITEM_FAILED, owner=failure.owner, error=failure.error
            )
            step.tally.checked += 1
            step.tally.failed += 1


def concerning(amount: Decimal) -> dict[str, Decimal]:
    """The amounts of an item about a document that gets its meter: its own amount does not change."""
    return {"gross": abs(amount), "concerns": amount}


def shown(number: str) -> str:
    """A meter's number as an item holds it, so that nobody takes it for an amount."""
    return f"№ {number}"


def lock(connection: Connection, table: Table, ids: Sequence[int]) -> None:
    """Hold what says where these documents belong, then the documents: nothing of it changes meanwhile."""
    mine = table.c.id == any_of(ids)
    owner = select(table.c.customer_id).where(mine)
    theirs = ASSIGNMENTS.c.customer_id.in_(owner)
    connection.execute(
        select(ASSIGNMENTS.c.id).where(theirs).order_by(ASSIGNMENTS.c.id).with_for_update(read=True)
    )
    if table is PAYMENTS:
        named = INVOICES.c.id.in_(select(table.c.invoice_id).where(mine))
        connection.execute(
            select(INVOICES.c.id).where(named).order_by(INVOICES.c.id).with_for_update(read=True)
        )
    connection.execute(
        select(table.c.id).where(mine).order_by(table.c.id).with_for_update(key_share=True)
    )


def give_meters(
    connection: Connection, documents: Documents, ids: Sequence[int]
) -> Sequence[Row[*tuple[Any, ...]]]:
    """Give these documents the meter where they surely belong; answers those that got one, as `as_item` wants them."""
    table = documents.table
    lock(connection, table, ids)
    sure = _rule(documents, ids)
    number = select(METERS.c.number).where(METERS.c.id == sure.c.meter_id).scalar_subquery()
    given = (
        update(table)
        .where(table.c.id == sure.c[0], table.c.meter_id.is_(None))
        .values(meter_id=sure.c.meter_id, version=table.c.version + 1, updated_at=func.now())
        .returning(table.c.id, number.label("number"), table.c.amount, table.c.meter_id, sure.c.why)
    )
    return connection.execute(given).all()


def settle(connection: Connection, meters: Iterable[int]) -> None:
    """Let the totals of these meters follow, and their customers', by the facts: whatever else is placed besides.

    Nothing changes for whoever had one of the meters once; who has it now stands while the meter is locked.
    """
    mine = any_of(sorted(meters))
    connection.execute(
        select(METERS.c.id).where(METERS.c.id == mine).order_by(METERS.c.id).with_for_update(key_share=True)
    )  # fmt: skip
    theirs = select(ASSIGNMENTS.c.customer_id)
    theirs = theirs.where(ASSIGNMENTS.c.meter_id == mine, ASSIGNMENTS.c.is_active)
    customers = set(connection.scalars(theirs))
    settle_connection(
        connection, registry, by_facts=True,
        only={registry.bundle_of(registry.get(customer_balance.name)).name: customers},
    )  # fmt: skip


def as_item(documents: Documents, row: Any) -> dict[str, Any]:
    """A document that gets its meter as the fields of a run's item, but for its outcome."""
    case = documents.cases[row.why]
    return {
        "subject": case.name, "owner": row.id, "error": case.why, "amounts": concerning(row.amount),
        "before": {"meter": ""}, "after": {"meter": shown(row.number)},
    }  # fmt: skip


def _sure(documents: Documents, ids: Sequence[int]) -> Select[Any]:
    """(id, meter_id, number, amount, why) of those whose place is sure."""
    table, sure = documents.table, _rule(documents, ids)
    return (
        select(table.c.id, METERS.c.id.label("meter_id"), METERS.c.number, table.c.amount, sure.c.why)
        .join_from(sure, table, table.c.id == sure.c[0])
        .join(METERS, METERS.c.id == sure.c.meter_id)
    )  # fmt: skip


def _rule(documents: Documents, ids: Sequence[int]) -> Any:
    return documents.among(documents.sure(), ids).subquery("sure")


def with_their_invoice(ids: Sequence[int] | None = None) -> Select[Any]:
    """Of these payments, or of all, those whose invoice waits for its own meter, and surely gets one.

    They will follow it.
    """
    named = select(PAYMENTS.c.invoice_id)
    mine = true() if ids is None else PAYMENTS.c.id == any_of(ids)
    theirs = sure_invoices().where(Invoice.id.in_(named.where(mine))).subquery("theirs")
    return (
        select(
            PAYMENTS.c.id, METERS.c.id.label("meter_id"), METERS.c.number, PAYMENTS.c.amount,
            literal(matching.INVOICE).label("why"),
        )
        .join_from(theirs, PAYMENTS, PAYMENTS.c.invoice_id == theirs.c.invoice_id)
        .join(METERS, METERS.c.id == theirs.c.meter_id)
        .where(mine, PAYMENTS.c.meter_id.is_(None), PAYMENTS.c.status == POSTED)
    )  # fmt: skip


def finish(connection: Connection, asked: Asked) -> dict[str, Any]:
    """Which documents got their meter, and by what; which are left, and why."""
    return report.of_items(connection, asked.id)
