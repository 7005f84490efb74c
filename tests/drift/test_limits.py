"""A limit by amount is exceeded by every drift of money: of one column alone, and of two that cancel out."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import combinations
from typing import Any

import psycopg
import pytest
from sqlalchemy import select

from backoffice.base.money_columns import is_money
from backoffice.figures import Figure, registry
from backoffice.ledger.models import Account
from backoffice.orders.models import COMPONENT_OF_KIND
from backoffice.runs import actions
from backoffice.runs.actions import Limits
from backoffice.runs.models import AWAITING_APPROVAL, Run, RunItem
from backoffice.runs.queries import found_by
from tests.drift.books import run_of
from tests.drift.every_figure import fill
from tests.factories.orders import OrderFactory

pytestmark = [pytest.mark.slow, pytest.mark.leaves_drift]

ANY_AMOUNT = Limits(10**9, Decimal(0))
HIGH = 900_000_000_000


def drifts(figure: Figure) -> Iterator[dict[str, int]]:
    """By how much each money column of a row is wrong."""
    money = [c.key for c in figure.columns if is_money(c)]
    yield from ({name: 70} for name in money)
    for one, other in combinations(money, 2):
        yield from ({one: 70, other: by} for by in (70, -70))


def dry(figure: str) -> Run:
    return run_of("figures.heal", {"figures": {figure: None}}, dry_run=True)


def test_every_drift_of_money_exceeds_a_limit_of_none(
    app: Any, session: Any, surgery: psycopg.Connection[Any]
) -> None:
    fill(session)
    OrderFactory(lines=[(kind, kind, "1", "10") for kind in COMPONENT_OF_KIND])
    session.commit()
    seen: dict[str, set[str]] = {}
    for figure in registry.figures:
        if figure.generated:
            continue  # PostgreSQL computes it from columns that are in this list
        for drift in drifts(figure):
            keep = ", ".join(drift)
            rows = surgery.execute(
                f"SELECT id, {keep} FROM {figure.table.name}".encode()
            ).fetchall()
            added = ", ".join(f"{name} = {name} + {by}" for name, by in drift.items())
            surgery.execute(f"UPDATE {figure.table.name} SET {added}".encode())
            found = found_by(session, dry(figure.name).id)
            if found.count:
                assert found.gross >= 70, (figure.name, drift)
                assert ANY_AMOUNT.are_exceeded_by(found.count, found.gross), (figure.name, drift)
                seen.setdefault(figure.name, set()).update(drift)
            back = ", ".join(f"{name} = %s" for name in drift)
            for row_id, *values in rows:
                statement = f"UPDATE {figure.table.name} SET {back} WHERE id = %s"
                surgery.execute(statement.encode(), (*values, row_id))
    money = {f.name: set(f.amounts) for f in registry.figures if f.amounts and not f.generated}
    assert seen == money, "each column was wrong at least once"


def test_debits_and_credits_that_are_too_high_by_as_much_wait_for_approval(
    app: Any, session: Any, surgery: psycopg.Connection[Any]
) -> None:
    fill(session)
    account = session.scalars(select(Account.id).order_by(Account.id)).first()
    surgery.execute(
        "UPDATE accounts SET debits = debits + %s, credits = credits + %s WHERE id = %s",
        (HIGH, HIGH, account),
    )
    shown = dry("accounts.sums")
    [item] = session.scalars(select(RunItem).where(RunItem.run_id == shown.id))
    assert (item.amount, item.gross) == (None, HIGH), "the balance has not changed"
    found = found_by(session, shown.id)
    assert (found.count, found.net, found.gross) == (1, 0, HIGH)
    asked = actions.apply(
        session, shown.id, reason="as listed", limits=Limits(10**9, Decimal(HIGH - 1))
    )
    assert asked.status == AWAITING_APPROVAL
