"""The dry run of a whole migration as its steps see it: each takes its part of the list that the first run made.

That run (`whole`) has carried out the migration group by group and rolled it back. Steps 1, 2, 4 and 5 copy its items
of their own documents and totals. Steps 3 and 6 read the stored tables with the listed values in place.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Table,
    cast,
    func,
    insert,
    literal,
    select,
)

from ...base import table_of
from ...customers.models import Customer
from ...figures import Figure, registry
from ...runs.models import COMPLETED, FOUND, ITEM_FAILED, SKIPPED
from ...runs.work import ITEMS, RUNS, Asked, Chunk, Work
from ..models import Meter
from .documents import DOCUMENT_KINDS, INVOICES, PAYMENTS
from .report import ITEM_COLUMNS
from .steps import KEY, WHOLE

METERS, CUSTOMERS = table_of(Meter), table_of(Customer)

COPIED = 10_000
"""Items that are copied in one transaction."""

SHARE = "share"
"""In a chunk's payload: the names of the listed items that it copies."""

_COUNTED = {FOUND: "changed", SKIPPED: "skipped", ITEM_FAILED: "failed"}


def is_previewed(asked: Asked) -> bool:
    """Whether the run is a step in the dry run of a whole migration."""
    return asked.dry_run and KEY in asked.scope


def share(connection: Connection, asked: Asked, names: Iterable[str]) -> Iterator[Chunk]:
    """Chunks that copy the listed items of these names into the step's run."""
    mine = _listed(asked, names).subquery()
    page = ((func.row_number().over(order_by=mine.c.id) - 1) // COPIED).label("page")
    paged = select(mine.c.id, page).subquery()
    pages = select(func.min(paged.c.id), func.max(paged.c.id), func.count())
    rows = connection.execute(pages.group_by(paged.c.page).order_by(paged.c.page))
    for low, high, count in rows:
        yield Chunk({SHARE: list(names), "low": low, "high": high}, count)


def share_of(connection: Connection, asked: Asked, figures: Iterable[Figure]) -> Iterator[Chunk]:
    """The same for totals; a failure is named by its bundle."""
    bundles = registry.bundles_of(figures)
    names = [*(b.name for b in bundles), *(f.name for b in bundles for f in b.figures)]
    return share(connection, asked, names)


def copy(work: Work) -> None:
    """Copy the items of such a chunk."""
    listed = _listed(work.asked, work.payload[SHARE]).subquery()
    values = [
        literal(work.asked.id) if name == "run_id" else listed.c[name] for name in ITEM_COLUMNS
    ]
    is_mine = listed.c.id.between(work.payload["low"], work.payload["high"])
    rows = select(*values).where(is_mine).order_by(listed.c.id)
    add = insert(ITEMS).from_select(ITEM_COLUMNS, rows, include_defaults=False)
    added = add.returning(ITEMS.c.outcome).cte("added")
    with work.transaction(is_last=True) as step:
        counts = select(added.c.outcome, func.count()).group_by(added.c.outcome)
        for outcome, count in step.connection.execute(counts):
            setattr(step.tally, _COUNTED[outcome], count)
            step.tally.checked += count


def _listed(asked: Asked, names: Iterable[str]) -> Select[Any]:
    """The items of these names that this migration's list has; after a retry, the later list."""
    lists = select(func.max(RUNS.c.id)).where(
        RUNS.c.kind == WHOLE,
        RUNS.c.dry_run,
        RUNS.c.scope[KEY].astext == asked.scope[KEY],
        RUNS.c.status.in_(COMPLETED),
    )
    return select(ITEMS).where(
        ITEMS.c.run_id == lists.scalar_subquery(), ITEMS.c.subject.in_(list(names))
    )


def over(statement: Select[Any], asked: Asked) -> Select[Any]:
    """A SELECT from documents, meters and customers; in a dry run of all steps with the listed values in place.

    The tables become WITH queries of the same names, which shadow the stored ones.
    """
    if not is_previewed(asked):
        return statement
    for table in (INVOICES, PAYMENTS, METERS, CUSTOMERS):
        statement = statement.add_cte(_will_be(asked, table).cte(table.name), nest_here=True)
    return statement


def _will_be(asked: Asked, table: Table) -> Select[Any]:
    """A table's rows with the listed values."""
    values: dict[str, ColumnElement[Any]] = {c.key: c for c in table.c}
    rows: FromClause = table
    for documents in DOCUMENT_KINDS:
        if documents.table is table:
            item = _found(asked, documents.names)
            rows = rows.outerjoin(item, item.c.owner == table.c.id)
            number = func.substr(item.c.after["meter"].astext, 3)  # see `placing.meter_value`
            rows = rows.outerjoin(METERS, METERS.c.number == number)
            values["meter_id"] = func.coalesce(table.c.meter_id, METERS.c.id)
    for figure in (f for f in registry.figures if f.table is table):
        item = _found(asked, [figure.name])
        rows = rows.outerjoin(item, item.c.owner == table.c.id)
        for c in figure.columns:
            values[c.key] = func.coalesce(cast(item.c.after[c.key].astext, c.type), c)
    return select(*(value.label(name) for name, value in values.items())).select_from(rows)


def _found(asked: Asked, names: Iterable[str]) -> Any:
    return _listed(asked, names).where(ITEMS.c.outcome == FOUND).subquery()
