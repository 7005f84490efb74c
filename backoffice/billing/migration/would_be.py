"""The book as the earlier steps of a previewed migration would leave it.

The dry runs of one migration build on each other: the first step's placements are laid over the documents, and later
steps compute expected values over that, down to the facts. Nothing is written or locked. Every row is in the preview
of one step, with its value after all steps.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Table,
    any_,
    cast,
    func,
    literal,
    select,
)

from ...base import table_of
from ...customers.models import Customer
from ...drift.findings import noted_owners
from ...drift.verification import chunks as verifying
from ...drift.verification.chunks import Seen, suspected
from ...figures import registry
from ...figures.computing.dependencies import lower_bundles, owners_above, owners_beneath
from ...figures.computing.registry import Bundle
from ...figures.verifying.findings import findings_over
from ...runs.models import FOUND
from ...runs.work import ITEMS, RUNS, Asked, Work
from ..models import Meter
from .documents import DOCUMENT_KINDS, INVOICES, PAYMENTS
from .steps import KEY, STEPS

METERS, CUSTOMERS = table_of(Meter), table_of(Customer)


def is_previewed(asked: Asked) -> bool:
    """Whether the run is a step in the preview of a whole migration."""
    return asked.dry_run and KEY in asked.scope


def found_before(asked: Asked, names: Iterable[str]) -> Select[Any]:
    """The findings of these names from the earlier steps of this preview."""
    earlier = select(RUNS.c.id).where(
        RUNS.c.id <= asked.id,
        RUNS.c.dry_run,
        RUNS.c.kind.in_([step.kind for step in STEPS]),
        RUNS.c.scope[KEY].astext == asked.scope[KEY],
    )
    return select(ITEMS).where(
        ITEMS.c.run_id.in_(earlier), ITEMS.c.outcome == FOUND, ITEMS.c.subject.in_(list(names))
    )


def placed(asked: Asked, table: Table) -> Any:
    """(id, meter_id) of the documents of a table that the first step would give a meter."""
    names = next(documents.names for documents in DOCUMENT_KINDS if documents.table is table)
    found = found_before(asked, names).subquery()
    number = func.substr(found.c.after["meter"].astext, 3)  # see `placing.meter_value`
    return (
        select(found.c.owner.label("id"), METERS.c.id.label("meter_id"))
        .join_from(found, METERS, METERS.c.number == number)
        .subquery("placed")
    )


def over(statement: Select[Any], asked: Asked) -> Select[Any]:
    """A SELECT from documents, meters and customers; in a preview, over the result of the other steps.

    The tables become WITH queries of the same names, which shadow the stored ones.
    """
    if not is_previewed(asked):
        return statement
    for table in (INVOICES, PAYMENTS, METERS, CUSTOMERS):
        statement = statement.add_cte(_will_be(asked, table).cte(table.name), nest_here=True)
    return statement


def _will_be(asked: Asked, table: Table) -> Select[Any]:
    """A table's rows with the values from the items of the earlier steps."""
    values: dict[str, ColumnElement[Any]] = {c.key: c for c in table.c}
    rows: FromClause = table
    if "meter_id" in table.c:
        new = placed(asked, table)
        rows = rows.outerjoin(new, new.c.id == table.c.id)
        values["meter_id"] = func.coalesce(table.c.meter_id, new.c.meter_id)
    for figure in (f for f in registry.figures if f.table is table):
        item = found_before(asked, [figure.name]).subquery()
        rows = rows.outerjoin(item, item.c.owner == table.c.id)
        for c in figure.columns:
            values[c.key] = func.coalesce(cast(item.c.after[c.key].astext, c.type), c)
    return select(*(value.label(name) for name, value in values.items())).select_from(rows)


def _overlay(asked: Asked, meters: Iterable[int]) -> Mapping[Table, FromClause]:
    """The documents of these meters, including those that would be placed there."""
    return {table: _with_placed(asked, table, sorted(meters)) for table in (INVOICES, PAYMENTS)}


def _with_placed(asked: Asked, table: Table, meters: list[int]) -> FromClause:
    new = placed(asked, table)
    meter = func.coalesce(table.c.meter_id, new.c.meter_id)
    columns = (meter.label("meter_id") if c is table.c.meter_id else c for c in table.c)
    joined = table.outerjoin(new, new.c.id == table.c.id)
    given = literal(meters, ARRAY(BigInteger))
    return select(*columns).select_from(joined).where(meter == any_(given)).subquery()


def dry_run(work: Work) -> None:
    """As `verifying.dry_run`, over the result of the earlier steps."""
    verifying.dry_run(work, _findings if is_previewed(work.asked) else verifying.look)


def _findings(work: Work, bundle: Bundle) -> Seen:
    with work.snapshot() as connection:
        at = connection.scalar(select(func.now()))
        assert at is not None
        owners = set(suspected(connection, bundle, work.payload))
        owners |= _within(work.payload, _affected_owners(connection, work.asked, bundle))
        asked, chosen = work.asked, sorted(owners)
        meters = _meters_read_for(connection, bundle, chosen)
        over = _overlay(asked, meters)
        found = findings_over(connection, registry, bundle, chosen, over) if chosen else []
        noted = noted_owners(connection, bundle, chosen) if chosen else set()
    return Seen(found, noted, at)


def _within(payload: Mapping[str, Any], owners: set[int]) -> set[int]:
    if "owners" in payload:
        return owners & set(payload["owners"])
    return {owner for owner in owners if payload["low"] <= owner <= payload["high"]}


def _affected_owners(connection: Connection, asked: Asked, bundle: Bundle) -> set[int]:
    """The owners with documents that the first step would place, or with amounts that the second would change."""
    new = [placed(asked, table) for table in (INVOICES, PAYMENTS)]
    found = {meter for part in new for meter in connection.scalars(select(part.c.meter_id))}
    wrong = found_before(
        asked, [f.name for f in registry.figures if f.table is INVOICES]
    ).subquery()
    billed = select(INVOICES.c.meter_id).where(
        INVOICES.c.id.in_(select(wrong.c.owner)), INVOICES.c.meter_id.is_not(None)
    )
    found |= set(connection.scalars(billed))
    if bundle.owner_table is METERS or not found:
        return found
    above: set[int] = set()
    for lower in lower_bundles(registry, bundle):
        if lower.owner_table is METERS:
            above |= owners_above(connection, registry, bundle, lower, found)
    return above


def _meters_read_for(connection: Connection, bundle: Bundle, owners: list[int]) -> set[int]:
    """The meters that are read for these owners."""
    if bundle.owner_table is METERS:
        return set(owners)
    found: set[int] = set()
    for lower in lower_bundles(registry, bundle):
        if lower.owner_table is METERS:
            found |= owners_beneath(connection, registry, bundle, lower, owners)
    return found
