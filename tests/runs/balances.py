"""A kind of run for tests: one item per customer, with before and after, as a dry run and applied.

It corrects a customer's phone number, which must be the length of their name: it stands
for a stored balance without being a figure.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from backoffice.app.domain import Domain
from backoffice.app.domains import DOMAINS
from backoffice.base import table_of
from backoffice.customers.models import Customer
from backoffice.runs.kinds import RunKind
from backoffice.runs.models import APPLIED, FOUND, ITEM_FAILED, RunItem
from backoffice.runs.work import Asked, Chunk, Step, Work

CUSTOMERS, ITEMS = table_of(Customer), table_of(RunItem)
SIZE = 2


def plan(connection: Connection, asked: Asked) -> Iterator[Chunk]:
    """Every customer, or those that the dry run has found."""
    ids = list(connection.scalars(select(CUSTOMERS.c.id).order_by(CUSTOMERS.c.id)))
    if asked.follows and "run" in asked.scope:
        found = select(ITEMS.c.owner).where(ITEMS.c.run_id == asked.follows)
        ids = sorted(connection.scalars(found.where(ITEMS.c.outcome == FOUND)))
    for start in range(0, len(ids), SIZE):
        part = ids[start : start + SIZE]
        yield Chunk({"ids": part}, size=len(part))


def again(items: Sequence[Any]) -> Iterable[Chunk]:
    """The customers with failed items."""
    return [Chunk({"ids": [item.owner for item in items]}, size=len(items))]


def work(work: Work) -> None:
    """Compare, and write unless it is a dry run."""
    with work.transaction(is_last=True) as step:
        ids = work.payload["ids"]
        rows = step.connection.execute(select(CUSTOMERS).where(CUSTOMERS.c.id.in_(ids)))
        for row in rows.mappings().all():
            _one(work, step, row)


def _one(work: Work, step: Step, row: Mapping[str, Any]) -> None:
    step.tally.checked += 1
    stored, expected = row["phone"] or "0.00", f"{len(row['name'])}000000.00"
    if stored == expected:
        step.tally.unchanged += 1
        return
    reported: dict[str, Any] = {
        "owner": row["id"],
        "key": {"code": row["code"]},
        "before": {"balance": stored},
        "after": {"balance": expected},
        "amounts": amounts(Decimal(stored), Decimal(expected)),
    }
    if row["city"] == "Broken":
        step.tally.failed += 1
        step.item(
            "customer", ITEM_FAILED, error="the ledger of this customer is closed", **reported
        )
    elif work.asked.dry_run:
        step.tally.changed += 1
        step.item("customer", FOUND, **reported)
    else:
        write = update(CUSTOMERS).where(CUSTOMERS.c.id == row["id"]).values(phone=expected)
        step.connection.execute(write)
        step.tally.changed += 1
        step.item("customer", APPLIED, **reported)


def amounts(before: Decimal, after: Decimal) -> dict[str, Decimal]:
    """The amounts of an item of one column."""
    return {
        "amount_before": before,
        "amount_after": after,
        "amount": after - before,
        "gross": abs(after - before),
    }


BALANCES = RunKind(
    "test.balances", "Recalculate customer balances", "figures.heal", plan, work,
    again=again, apply_as="test.balances-apply",
)  # fmt: skip
APPLYING = RunKind(
    "test.balances-apply", "Apply customer balances", "figures.heal", plan, work, again=again
)
CHORE = RunKind(
    "test.chore", "A chore", "users.manage", lambda _c, _a: (), lambda _w: None, is_quiet=True
)


SCRATCH = Domain("balances", kinds=(BALANCES, APPLYING, CHORE))


@pytest.fixture
def domains() -> Sequence[Domain]:
    """The product's domains, and one with these kinds of runs."""
    return (*DOMAINS, SCRATCH)
