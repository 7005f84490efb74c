"""Groups of changes that belong together: documents of a customer that get a meter, and the totals that follow.

A **group** is a customer with their active meters, or a meter without a customer, or an invoice that stays without a
meter. No row of billing is in two groups, so each can be applied in a transaction of its own.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    String,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    select,
    union_all,
)

from ...base import table_of
from ...customers.models import Customer
from ...figures import registry
from ...runs.models import FOUND
from ...runs.work import ITEMS, Chunk, Work
from ..models import Meter, MeterAssignment
from . import placing
from .documents import DOCUMENT_KINDS, INVOICES, PAYMENTS, DocumentKind, any_of

METERS, CUSTOMERS = table_of(Meter), table_of(Customer)
ASSIGNMENTS = table_of(MeterAssignment)

GROUP = "group"
"""The key of the group's name in the details of an item."""

GROUP_NAME = ITEMS.c.details[GROUP].astext


@dataclass
class Group:
    """A group: its documents that get a meter, by table; for an application, the listed items."""

    name: str
    documents: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    listed: list[Row[*tuple[Any, ...]]] = field(default_factory=list)


def of_customer(customer: ColumnElement[int]) -> ColumnElement[str]:
    """The name of a customer's group."""
    return literal("c", String).concat(cast(customer, String))


def of_meter(meter: ColumnElement[int]) -> ColumnElement[str]:
    """The name of a meter's group."""
    is_theirs = and_(ASSIGNMENTS.c.meter_id == meter, ASSIGNMENTS.c.is_active)
    customer = select(of_customer(ASSIGNMENTS.c.customer_id)).where(is_theirs).scalar_subquery()
    return func.coalesce(customer, literal("m", String).concat(cast(meter, String)))


def of_document(table: Any, id_: ColumnElement[int]) -> ColumnElement[str]:
    """The name of the group of an invoice or a payment."""
    theirs = select(of_meter(table.c.meter_id)).where(table.c.id == id_).scalar_subquery()
    return func.coalesce(theirs, literal(f"{table.name[0]}-", String).concat(cast(id_, String)))


def of_item(item: Any) -> ColumnElement[str]:
    """The name of the group of a run's item: `item` has the columns of `run_items`."""
    tables: dict[Any, list[str]] = {
        documents.table: documents.names for documents in DOCUMENT_KINDS
    }
    for figure in registry.figures:
        tables.setdefault(figure.table, []).append(figure.name)
    groups = {
        INVOICES: of_document(INVOICES, item.owner),
        PAYMENTS: of_document(PAYMENTS, item.owner),
        METERS: of_meter(item.owner),
        CUSTOMERS: of_customer(item.owner),
    }
    return case(*((item.subject.in_(tables[table]), group) for table, group in groups.items()))


def waiting(connection: Connection) -> Iterator[Chunk]:
    """Chunks of the documents without a meter: group by group those that get one, then the others."""
    placed = _placed().subquery("placed")
    rows = select(of_meter(placed.c.meter_id).label("name"), placed.c.documents, placed.c.id)
    found = connection.execute(rows.order_by("name", "documents", "id"))
    reported = ((name, (documents, id_)) for name, documents, id_ in found)
    for groups, size in _pages(reported):
        by_table = {name: _by_table(ids) for name, ids in groups.items()}
        yield Chunk({"groups": by_table}, size)
    for stage, documents in enumerate(DOCUMENT_KINDS, start=1):
        theirs = and_(placed.c.documents == documents.name, placed.c.id == documents.table.c.id)
        left = select(documents.table.c.id).where(documents.waiting, ~exists().where(theirs))
        ids = connection.scalars(left.order_by(documents.table.c.id)).all()
        yield from placing.listed(documents, ids, stage)


def _placed() -> Any:
    """(documents, id, meter_id) of every document that gets a meter."""
    parts = [
        select(literal(documents.name, String).label("documents"), rule.c[0].label("id"), rule.c.meter_id)
        for documents in DOCUMENT_KINDS
        for rule in (documents.sure().subquery(),)
    ]  # fmt: skip
    follow = placing.with_their_invoice().subquery()
    return union_all(*parts, select(literal(PAYMENTS.name, String), follow.c.id, follow.c.meter_id))


def _by_table(ids: Iterable[tuple[str, int]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for table, id_ in ids:
        found[table].append(id_)
    return found


def listed(connection: Connection, run_id: int) -> Iterator[Chunk]:
    """Chunks of a dry run's findings, group by group."""
    found = select(GROUP_NAME.label("name"), ITEMS.c.id).where(_is_found(run_id))
    for groups, size in _pages(connection.execute(found.order_by("name", ITEMS.c.id))):
        yield Chunk({"items": [id_ for ids in groups.values() for id_ in ids]}, size)


def _pages(rows: Iterable[Any]) -> Iterator[tuple[Mapping[str, list[Any]], int]]:
    """Whole groups, in pages of about as many rows as one transaction writes."""
    groups: dict[str, list[Any]] = {}
    size = 0
    for name, row in rows:
        if size >= placing.CHUNK and name not in groups:
            yield groups, size
            groups, size = {}, 0
        groups.setdefault(name, []).append(row)
        size += 1
    if groups:
        yield groups, size


def again(items: Sequence[Any]) -> Iterator[Chunk]:
    """Chunks that retry failures: documents of a dry run, whole groups of an application."""
    refused = {documents.failed.name: documents.name for documents in DOCUMENT_KINDS}
    looked: dict[str, dict[str, list[int]]] = {}
    names = []
    for item in items:
        name = item.details.get(GROUP)
        if name and item.subject in refused:
            looked.setdefault(name, {}).setdefault(refused[item.subject], []).append(item.owner)
        elif name:
            names.append(name)
    if looked:
        count = sum(len(ids) for tables in looked.values() for ids in tables.values())
        yield Chunk({"groups": looked}, count)
    if names:
        yield Chunk({"names": sorted(set(names))}, len(names))
    yield from placing.again([item for item in items if GROUP not in item.details])


def of_chunk(connection: Connection, work: Work) -> list[Group]:
    """The chunk's groups without items in this run yet: a chunk may be started twice."""
    groups = _groups(connection, work)
    reported = (
        select(GROUP_NAME)
        .where(ITEMS.c.run_id == work.asked.id, _is_one_of([group.name for group in groups]))
        .distinct()
    )
    known = set(connection.scalars(reported))
    return [group for group in groups if group.name not in known]


def _groups(connection: Connection, work: Work) -> list[Group]:
    payload = work.payload
    if "groups" in payload:
        return [Group(name, dict(ids)) for name, ids in payload["groups"].items()]
    chosen = (
        _is_one_of(payload["names"])
        if "names" in payload
        else ITEMS.c.id == any_of(payload["items"])
    )
    rows = select(ITEMS).where(_is_found(work.asked.scope["run"]), chosen).order_by(ITEMS.c.id)
    found: dict[str, Group] = {}
    for row in connection.execute(rows):
        name = row.details[GROUP]
        group = found.setdefault(name, Group(name))
        group.listed.append(row)
        if (documents := documents_of(row.subject)) is not None:
            group.documents[documents.name].append(row.owner)
    return list(found.values())


def documents_of(subject: str) -> DocumentKind | None:
    """The kind of documents that items of this name are about; None for a stored total."""
    return next((documents for documents in DOCUMENT_KINDS if subject in documents.names), None)


def _is_one_of(names: Sequence[str]) -> ColumnElement[bool]:
    return cast(GROUP_NAME, String).in_(names)


def _is_found(run_id: int) -> ColumnElement[bool]:
    return and_(ITEMS.c.run_id == run_id, ITEMS.c.outcome == FOUND)
