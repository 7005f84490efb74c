"""Notes of another program that cannot be drained are deferred, and delay no others."""

from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import select

from backoffice.app.extensions import db
from backoffice.drift.outside import watch
from backoffice.figures.models import FigureNote
from backoffice.orders.models import Order

Outside = psycopg.Connection[Any]

TOO_MUCH = """UPDATE order_lines SET quantity = 999999999999, unit_price = 99999999999
FROM orders AS o WHERE o.id = order_id AND o.number = 'A-1'"""
"""The amount of this line exceeds every column."""


@pytest.fixture
def stuck(orders: dict[str, Order], owner_connection: Outside) -> Order:
    """A-1's notes cannot be drained."""
    owner_connection.execute(TOO_MUCH)
    assert watch.drain(db.engine).failures
    return orders["A-1"]


def totals(session: Any) -> dict[str, Decimal]:
    session.rollback()
    return dict(session.execute(select(Order.number, Order.grand_total)).all())


def put_off(surgery: Outside, *, until: str, attempts: int) -> None:
    surgery.execute(
        "UPDATE figure_notes SET attempts = %s, retry_at = now() + %s::interval", [attempts, until]
    )


@pytest.mark.leaves_drift
@pytest.mark.parametrize("attempts", [0, 9, 10, 1_023, 1_024, 50_000])
def test_it_is_put_off_for_ten_minutes_at_most_however_often_it_was_tried(
    stuck: Order, session: Any, surgery: Outside, owner_connection: Outside, attempts: int
) -> None:
    put_off(surgery, until="-1 second", attempts=attempts)
    owner_connection.execute("UPDATE orders SET grand_total = 7 WHERE number = 'A-3'")
    assert len(watch.drain(db.engine).failures) == 1
    assert totals(session)["A-3"] == 30, "another order does not wait for it"
    wait = FigureNote.retry_at - FigureNote.noted_at
    [(tried, seconds)] = session.execute(
        select(FigureNote.attempts, wait).where(FigureNote.attempts > 0)
    )
    assert tried == attempts + 1
    assert 0 < seconds.total_seconds() < 660


def test_whoever_asks_for_it_by_hand_does_not_wait(
    orders: dict[str, Order], session: Any, surgery: Outside, owner_connection: Outside,
    run_command: Any,
) -> None:  # fmt: skip
    owner_connection.execute("UPDATE orders SET grand_total = 7 WHERE number = 'A-3'")
    put_off(surgery, until="5 minutes", attempts=8)
    assert watch.drain(db.engine).notes == 0, "the watch waits"
    dry = run_command("figures", "heal", "--noted", "--dry-run")
    assert (dry.exit_code, "A-3" in dry.stdout) == (1, True)
    done = run_command("figures", "heal", "--noted")
    assert (done.exit_code, done.stdout) == (0, "1 notes drained, 1 corrections.\n")
    assert totals(session)["A-3"] == 30
    assert session.scalars(select(FigureNote)).all() == []


@pytest.mark.leaves_drift
def test_what_cannot_be_followed_by_hand_either_is_said(stuck: Order, run_command: Any) -> None:
    done = run_command("figures", "heal", "--noted")
    assert (done.exit_code, "A-1" in done.stderr) == (1, True)
