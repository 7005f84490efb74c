"""Groups of changes that belong together: documents of a customer that get a meter, and the totals that follow.

A **group** is a customer with their active meters, or a meter without a customer, or an invoice that stays without a
meter. No row of billing is in two groups, so each can be applied in a transaction of its own.
"""

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
from ..models import Invoice, Meter, MeterAssignment
from . import placing
from .documents import (
    DOCUMENT_KINDS,
    INVOICES,
    PAYMENTS,
    DocumentKind,
    any_of,
    sure_invoices,
)

METERS, CUSTOMERS = table_of(Meter), table_of(Customer)
ASSIGNMENTS = table_of(MeterAssignment)

PAGE = 300
"""Documents, or listed rows, of the groups in one transaction: about half a second on a busy machine."""

GROUP = "group"
"""The key of the group's name in the details of an item."""

GROUP_NAME = ITEMS.c.details[GROUP].astext


@dataclass
class Group:
    """A group. An application knows its `listed` items, and so the `documents` by table that get a meter."""

    name: str
    documents: dict[str, list[int]] | None = None
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


@dataclass(frozen=True)
class _Sort:
    """One sort of group: the letter of its names, its rows, and the owner columns of its documents."""

    letter: str
    table: Any
    condition: ColumnElement[bool]
    documents: tuple[Any, ...] = ()


SORTS = (
    _Sort(
        "c", CUSTOMERS, exists().where(ASSIGNMENTS.c.customer_id == CUSTOMERS.c.id),
        (INVOICES.c.customer_id, PAYMENTS.c.customer_id),
    ),
    _Sort(
        "m", METERS, ~exists().where(ASSIGNMENTS.c.meter_id == METERS.c.id, ASSIGNMENTS.c.is_active),
        (INVOICES.c.meter_id, PAYMENTS.c.meter_id),
    ),
    _Sort("i", INVOICES, INVOICES.c.meter_id.is_(None)),
)  # fmt: skip
"""Customers who have or had a meter, meters without a customer, invoices without a meter."""


def everything(connection: Connection) -> Iterator[Chunk]:
    """Chunks of all groups, each with about as many documents as one transaction writes."""
    for stage, sort in enumerate(SORTS):
        key = sort.table.c.id
        rows = [select(key.label("owner")), *(select(c.label("owner")) for c in sort.documents)]
        each = union_all(*rows).subquery("each")
        sized = select(key, func.count().label("rows")).join_from(
            sort.table, each, each.c.owner == key
        )
        sizes = sized.where(sort.condition).group_by(key).subquery("sizes")
        so_far = func.sum(sizes.c.rows).over(order_by=sizes.c.id)
        paged = select(sizes.c.id, func.div(so_far - 1, PAGE).label("page")).subquery()
        pages = select(func.min(paged.c.id), func.max(paged.c.id), func.count())
        for low, high, count in connection.execute(
            pages.group_by(paged.c.page).order_by(func.min(paged.c.id))
        ):
            yield Chunk({"of": sort.letter, "low": low, "high": high}, count, stage)


def ids_of(part: Sequence[Group], letter: str) -> list[int]:
    """The ids in the names of the groups of this sort."""
    return [int(group.name[1:].lstrip("-")) for group in part if group.name[0] == letter]


def meters_of(connection: Connection, part: Sequence[Group]) -> list[int]:
    """The meters of these groups."""
    theirs = select(ASSIGNMENTS.c.meter_id).where(
        ASSIGNMENTS.c.customer_id == any_of(ids_of(part, "c")), ASSIGNMENTS.c.is_active
    )
    return sorted({*connection.scalars(theirs), *ids_of(part, "m")})


def to_place(connection: Connection, documents: DocumentKind, part: Sequence[Group]) -> list[int]:
    """The documents of these groups that get a meter: the listed ones, or those with a sure meter now."""
    if part[0].documents is not None:
        return sorted(id_ for g in part for id_ in (g.documents or {}).get(documents.name, ()))
    meters = any_of(meters_of(connection, part))
    table = documents.table
    had = select(ASSIGNMENTS.c.customer_id).where(ASSIGNMENTS.c.meter_id == meters)
    may = select(table.c.id).where(documents.waiting, table.c.customer_id.in_(had))
    waiting = set(connection.scalars(may))
    if table is PAYMENTS:
        billed = select(INVOICES.c.id).where(INVOICES.c.meter_id == meters)
        may = select(table.c.id).where(documents.waiting, table.c.invoice_id.in_(billed))
        waiting |= set(connection.scalars(may))
    sure = documents.among(documents.sure(), sorted(waiting)).subquery("sure")
    return sorted(connection.scalars(select(sure.c[0]).where(sure.c.meter_id == meters)))


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
        if size >= PAGE and name not in groups:
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
        yield Chunk({"groups": looked}, len(looked))
    if names:
        yield Chunk({"names": sorted(set(names))}, len(names))
    yield from placing.again([item for item in items if GROUP not in item.details])


def of_chunk(connection: Connection, work: Work) -> list[Group]:
    """The chunk's groups without items in this run yet: a chunk may be started twice."""
    groups = _groups(connection, work)
    if work.claim.fence == 1:
        return groups
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
    if "of" in payload:
        sort = next(sort for sort in SORTS if sort.letter == payload["of"])
        key = sort.table.c.id
        between = key.between(payload["low"], payload["high"])
        ids = set(connection.scalars(select(key).where(between, sort.condition)))
        dash = ""
        if sort.table is INVOICES:  # those with a sure meter are in the group of its customer
            sure = sure_invoices().where(Invoice.id == any_of(sorted(ids))).subquery()
            ids, dash = ids.difference(connection.scalars(select(sure.c.invoice_id))), "-"
        return [Group(f"{sort.letter}{dash}{id_}") for id_ in sorted(ids)]
    chosen = (
        _is_one_of(payload["names"])
        if "names" in payload
        else ITEMS.c.id == any_of(payload["items"])
    )
    rows = select(ITEMS).where(_is_found(work.asked.scope["run"]), chosen).order_by(ITEMS.c.id)
    found: dict[str, Group] = {}
    for row in connection.execute(rows):
        name = row.details[GROUP]
        group = found.setdefault(name, Group(name, {}))
        group.listed.append(row)
        assert group.documents is not None
        if (documents := documents_of(row.subject)) is not None:
            group.documents.setdefault(documents.name, []).append(row.owner)
    return list(found.values())


def documents_of(subject: str) -> DocumentKind | None:
    """The kind of documents that items of this name are about; None for a stored total."""
    return next((documents for documents in DOCUMENT_KINDS if subject in documents.names), None)


def _is_one_of(names: Sequence[str]) -> ColumnElement[bool]:
    return cast(GROUP_NAME, String).in_(names)


def _is_found(run_id: int) -> ColumnElement[bool]:
    return and_(ITEMS.c.run_id == run_id, ITEMS.c.outcome == FOUND)
