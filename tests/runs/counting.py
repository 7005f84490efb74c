"""A kind of run for tests: it adds one to a number per item, so that an item done twice is visible."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, select, text, update
from sqlalchemy.exc import DBAPIError

from backoffice.app.domain import Domain
from backoffice.base import table_of
from backoffice.customers.models import Customer
from backoffice.runs.kinds import RunKind
from backoffice.runs.models import APPLIED, ITEM_FAILED
from backoffice.runs.work import Asked, Chunk, Work

CUSTOMERS = table_of(Customer)
SIZE, STEPS = 6, 3
"""The number of items of a chunk, and of one of its transactions."""


def plan(connection: Connection, _asked: Asked) -> Iterator[Chunk]:
    """Every customer twice: the second stage may begin only after the first."""
    ids = list(connection.scalars(select(CUSTOMERS.c.id).order_by(CUSTOMERS.c.id)))
    for stage in (0, 1):
        for i in range(0, len(ids), SIZE):
            yield Chunk({"ids": ids[i : i + SIZE]}, len(ids[i : i + SIZE]), stage)


def work(work: Work) -> None:
    """Count each customer that this run's stage has not counted; a transaction for a few of them."""
    ids = work.payload["ids"]
    for i in range(0, len(ids), STEPS):
        with work.transaction() as step:
            for key in ids[i : i + STEPS]:
                if not _is_due(step.connection, key, work.claim.stage):
                    continue
                try:
                    with step.savepoint():
                        step.tally.checked += 1
                        _count(step.connection, key)
                        step.item("customer", APPLIED, owner=key)
                        step.tally.changed += 1
                except DBAPIError as error:
                    step.tally.checked += 1
                    step.tally.failed += 1
                    step.item(
                        "customer", ITEM_FAILED, owner=key, error=str(error.orig).splitlines()[0]
                    )


def _is_due(connection: Connection, key: int, stage: int) -> bool:
    city = connection.scalar(select(CUSTOMERS.c.city).where(CUSTOMERS.c.id == key))
    return len(city or "") == stage


def _count(connection: Connection, key: int) -> None:
    name = connection.scalar(select(CUSTOMERS.c.name).where(CUSTOMERS.c.id == key))
    if name == "Broken":
        connection.execute(text("SELECT 1 / 0"))
    counted = CUSTOMERS.c.city + "x"
    connection.execute(update(CUSTOMERS).where(CUSTOMERS.c.id == key).values(city=counted))


COUNTING = RunKind("test.counting", "Count", "figures.heal", plan, work)
SCRATCH = Domain("counting", kinds=(COUNTING,))

Counted = dict[str, Any]
