"""Step 1: documents without a meter get their sure meter; the others are listed, with why.

Invoices first, for their payments follow them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, Table, func, select, update

from ...base import table_of
from ...figures import registry
from ...figures.keeping.drain import Drained
from ...figures.keeping.hooks import held, settle_connection
from ...figures.verifying.healing import Failure, Healer
from ...runs.models import APPLIED, ITEM_FAILED, SKIPPED
from ...runs.work import Asked, Chunk, Step, Work
from ..figures import customer_balance
from ..models import Meter, MeterAssignment
from . import report
from .documents import (
    BY_NAME,
    DOCUMENT_KINDS,
    INVOICES,
    PAYMENTS,
    DocumentKind,
    any_of,
)
from .report import is_unreported

CHUNK = 1_000
"""Documents that get a meter in one transaction."""

NOTHING: Mapping[str, Any] = {"before": {}, "after": {}}
"""The values of an item of a document that is left without a meter."""

AFTER_GROUPS = 3
"""The first stage after the groups of a dry run (see `groups.SORTS`)."""

METERS, ASSIGNMENTS = table_of(Meter), table_of(MeterAssignment)


def plan(connection: Connection) -> Iterator[Chunk]:
    """Chunks of the documents without a meter, invoices before payments."""
    for stage, documents in enumerate(DOCUMENT_KINDS):
        yield from _ranges(connection, documents, stage)


def _ranges(connection: Connection, documents: DocumentKind, stage: int) -> Iterator[Chunk]:
    key = documents.table.c.id
    page = ((func.row_number().over(order_by=key) - 1) // CHUNK).label("page")
    placed = select(key, page).where(documents.waiting).subquery()
    pages = select(func.min(placed.c.id), func.max(placed.c.id), func.count())
    rows = connection.execute(pages.group_by(placed.c.page).order_by(placed.c.page))
    for low, high, count in rows:
        yield Chunk({"documents": documents.name, "low": low, "high": high}, count, stage)


def again(items: Sequence[Any]) -> Iterator[Chunk]:
    """Chunks that retry the documents that could not be given a meter."""
    for stage, documents in enumerate(DOCUMENT_KINDS):
        ids = sorted({item.owner for item in items if item.subject in documents.names})
        yield from listed(documents, ids, stage)


def listed(documents: DocumentKind, ids: Sequence[int], stage: int) -> Iterator[Chunk]:
    """These documents in chunks."""
    for i in range(0, len(ids), CHUNK):
        page = list(ids[i : i + CHUNK])
        yield Chunk({"documents": documents.name, "ids": page}, len(page), stage)


def left(connection: Connection) -> Iterator[Chunk]:
    """Chunks of a dry run that list the documents without a meter which nothing before them has listed."""
    for chunk in plan(connection):
        yield Chunk(chunk.payload, 0, AFTER_GROUPS + chunk.stage)


def leave(work: Work) -> None:
    """List the chunk's documents that have no item yet as left without a meter, each with why."""
    with work.transaction(is_last=True) as step:
        placer = Placer(work, BY_NAME[work.payload["documents"]])
        placer.step = step
        placer.leave(step.connection, placer.left(step.connection))
        step.more = step.tally.checked


def place(work: Work) -> None:
    """Give the chunk's documents their meters."""
    placer = Placer(work, BY_NAME[work.payload["documents"]])
    with work.snapshot() as connection:
        ids = placer.left(connection)
    placer.place(ids)


class Placer:
    """Gives the documents of one chunk their meters; those that fail are isolated by halving, and reported."""

    def __init__(self, work: Work, documents: DocumentKind) -> None:
        self.work = work
        self.documents = documents
        self.step: Step | None = None

    def left(self, connection: Connection) -> list[int]:
        """The ids of the chunk's documents that still lack a meter and have no item in this run yet."""
        key, payload = self.documents.table.c.id, self.work.payload
        chosen = (
            key == any_of(payload["ids"])
            if "ids" in payload
            else key.between(payload["low"], payload["high"])
        )
        unreported = is_unreported(self.work.asked.id, self.documents.names, key)
        waiting = select(key).where(chosen, self.documents.waiting, unreported)
        return list(connection.scalars(waiting.order_by(key)))

    def place(self, ids: Sequence[int]) -> None:
        """Give them their meters, in one transaction unless one of them fails."""
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
        self._record(placed)
        self.leave(connection, sorted(set(ids) - {row.id for row in placed}))
        return Drained()

    def _record(self, rows: Sequence[Row[*tuple[Any, ...]]]) -> None:
        assert self.step is not None
        for row in rows:
            self.step.item(outcome=APPLIED, **as_item(self.documents, row))
        self.step.tally.checked += len(rows)
        self.step.tally.changed += len(rows)

    def leave(self, connection: Connection, ids: Sequence[int]) -> None:
        """List these as left without a meter, each with why."""
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
    """The amounts of an item of a document that gets a meter: the document's own amount does not change."""
    return {"gross": abs(amount), "concerns": amount}


def meter_value(number: str) -> str:
    """A meter's number as a value of an item; the sign keeps it from being read as an amount."""
    return f"№ {number}"


def lock(connection: Connection, table: Table, ids: Sequence[int]) -> None:
    """Lock the rows that decide these documents' meters, then the documents."""
    chosen = table.c.id == any_of(ids)
    owner = select(table.c.customer_id).where(chosen)
    theirs = ASSIGNMENTS.c.customer_id.in_(owner)
    connection.execute(
        select(ASSIGNMENTS.c.id).where(theirs).order_by(ASSIGNMENTS.c.id).with_for_update(read=True)
    )
    if table is PAYMENTS:
        named = INVOICES.c.id.in_(select(table.c.invoice_id).where(chosen))
        connection.execute(
            select(INVOICES.c.id).where(named).order_by(INVOICES.c.id).with_for_update(read=True)
        )
    connection.execute(
        select(table.c.id).where(chosen).order_by(table.c.id).with_for_update(key_share=True)
    )


def give_meters(
    connection: Connection, documents: DocumentKind, ids: Sequence[int]
) -> Sequence[Row[*tuple[Any, ...]]]:
    """Give these documents their sure meters; returns those that got one, in the form that `as_item` takes."""
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
    """Settle the totals of these meters and of their customers from the facts.

    Former owners' totals do not change; the present assignments cannot change while the meters are locked.
    """
    chosen = any_of(sorted(meters))
    connection.execute(
        select(METERS.c.id).where(METERS.c.id == chosen).order_by(METERS.c.id).with_for_update(key_share=True)
    )  # fmt: skip
    theirs = select(ASSIGNMENTS.c.customer_id)
    theirs = theirs.where(ASSIGNMENTS.c.meter_id == chosen, ASSIGNMENTS.c.is_active)
    customers = set(connection.scalars(theirs))
    settle_connection(
        connection, registry, by_facts=True,
        only={registry.bundle_of(registry.get(customer_balance.name)).name: customers},
    )  # fmt: skip


def as_item(documents: DocumentKind, row: Any) -> dict[str, Any]:
    """A document that gets a meter as the fields of a run's item, except the outcome."""
    case = documents.cases[row.why]
    return {
        "subject": case.name, "owner": row.id, "error": case.why, "amounts": concerning(row.amount),
        "before": {"meter": ""}, "after": {"meter": meter_value(row.number)},
    }  # fmt: skip


def _rule(documents: DocumentKind, ids: Sequence[int]) -> Any:
    return documents.among(documents.sure(), ids).subquery("sure")


def finish(connection: Connection, asked: Asked) -> dict[str, Any]:
    """The report: documents that got a meter, and by which rule; documents that are left, and why."""
    return report.of_items(connection, asked.id)
