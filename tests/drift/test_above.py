"""Owners above what a heal corrects: each is corrected once, whatever happens in between."""

from collections import Counter
from collections.abc import Iterable
from datetime import date
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.drift.healing import chunks as healing
from backoffice.drift.healing.performing import performed
from backoffice.drift.models import DriftFinding
from backoffice.figures.models import Correction
from backoffice.orders.models import Order
from backoffice.runs import actions
from backoffice.runs.models import DONE_WITH_FAILURES, ITEM_FAILED, Run, RunChunk, RunItem
from backoffice.runs.working import perform
from tests.drift.books import run_of
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory

pytestmark = [pytest.mark.slow, pytest.mark.leaves_drift]

ORDERS = {"figures": {"orders.grand_total": None}}
ORDER, MONTH = "orders.grand_total", "account_manager_targets.achieved"


@pytest.fixture
def book(session: Any, surgery: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Five closed orders of one manager, all of them wrong, and their month too; a chunk for each of them."""
    manager = AccountManagerFactory()
    for _ in range(5):
        OrderFactory(
            account_manager=manager, closing_date="2026-03-01", lines=[("package", "Tofu", "3", "10")],
            total_price=0, additions=0, promo=0, reductions=0,
        )  # fmt: skip
    session.commit()
    monkeypatch.setattr("backoffice.drift.verification.scope.SCAN", 1)
    surgery.execute("UPDATE orders SET grand_total = 0")
    surgery.execute("UPDATE account_manager_targets SET achieved = 0")
    session.rollback()


def asked(session: Any, kind: str = "figures.heal", **options: Any) -> int:
    run = actions.request(session, kind, ORDERS, is_paced=False, **options)
    session.commit()
    return int(run.id)


def corrected(session: Any, runs: Iterable[int]) -> Counter[str]:
    """How often each figure was corrected by these runs."""
    session.rollback()
    rows = select(Correction.figure, func.count()).where(Correction.run_id.in_(runs))
    return Counter(dict(session.execute(rows.group_by(Correction.figure)).all()))


def test_a_heal_comes_to_an_owner_above_once_when_everything_beneath_is_right(
    session: Any, book: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    led: list[tuple[str, list[int], int]] = []
    heal_led = healing.RunHealer.heal_led

    def reported(healer: healing.RunHealer, owners: list[int]) -> None:
        wrong = session.scalar(select(func.count()).where(Order.grand_total != 30))
        session.rollback()
        led.append((healer.bundle.name, owners, wrong))
        heal_led(healer, owners)

    monkeypatch.setattr(healing.RunHealer, "heal_led", reported)
    dry = performed(db.engine, asked(session, dry_run=True)).run
    listed = select(RunItem.subject, RunItem.owner, RunItem.before, RunItem.after).order_by(
        RunItem.subject, RunItem.owner
    )
    shown = session.execute(listed.where(RunItem.run_id == dry.id)).all()
    session.rollback()
    done = performed(db.engine, asked(session)).run
    assert (done.status, done.changed, done.checked, done.total) == ("done", 6, 6, 6)
    assert corrected(session, [done.id]) == {ORDER: 5, MONTH: 1}
    assert [(name, len(owners), wrong) for name, owners, wrong in led] == [(MONTH, 1, 0)]
    assert session.execute(listed.where(RunItem.run_id == done.id)).all() == shown
    assert list(figures.verify(session)) == []


def test_where_a_correction_itself_says_who_is_above_it_is_not_put_off(
    session: Any, book: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backoffice.drift.healing.above.names_owners", lambda *_: False)
    done = performed(db.engine, asked(session)).run
    assert corrected(session, [done.id]) == {ORDER: 5, MONTH: 1}
    led = select(func.count()).where(RunChunk.run_id == done.id, RunChunk.payload.has_key("led"))
    assert session.scalar(led) == 0
    assert list(figures.verify(session)) == []


@pytest.mark.parametrize("is_cancelled", [True, False])
def test_whoever_goes_on_comes_to_the_owners_above_of_what_was_corrected_before(
    session: Any, book: None, *, is_cancelled: bool
) -> None:
    """The run stops when the orders are right and their month is not: it is cancelled and retried, or taken over."""
    run = asked(session)

    def is_beneath_right() -> bool:
        return corrected(session, [run])[ORDER] == 5

    def cancel() -> None:
        if is_cancelled and is_beneath_right():
            actions.cancel(session, run)
            session.commit()

    perform(
        db.engine, run, stopping=lambda: not is_cancelled and is_beneath_right(), progress=cancel
    )
    assert corrected(session, [run]) == {ORDER: 5}
    assert session.get_one(Run, run).is_live is not is_cancelled
    runs = [run]
    if is_cancelled:
        runs.append(actions.retry(session, run).id)
        session.commit()
    session.rollback()
    performed(db.engine, runs[-1])
    assert corrected(session, runs) == {ORDER: 5, MONTH: 1}
    assert list(figures.verify(session)) == []


@pytest.mark.leaves_drift
@pytest.mark.parametrize("kind", ["figures.heal", "figures.rebuild"])
def test_whoever_builds_on_a_correction_and_cannot_be_corrected_is_told_of(
    orders: dict[str, Order], session: Any, surgery: Any, owner_connection: Any, kind: str
) -> None:
    """The sum of two orders exceeds the column of their manager's month."""
    chosen = [orders["A-1"], orders["A-2"]]
    for order in chosen:
        order.closing_date = date(2026, 3, 5)
    session.commit()
    ids = [order.id for order in chosen]
    session.rollback()
    owner_connection.execute("UPDATE order_lines SET quantity = 900000000, unit_price = 10000")
    surgery.execute("DELETE FROM figure_notes")
    names = ("order_lines.amount", "orders.components", "orders.grand_total")
    run = run_of(kind, {"figures": dict.fromkeys(names, ids)})
    session.rollback()
    assert set(session.scalars(select(Order.grand_total).where(Order.id.in_(ids)))) == {9 * 10**12}
    failed = session.scalars(select(RunItem).where(RunItem.outcome == ITEM_FAILED)).all()
    assert [item.subject for item in failed] == ["account_manager_targets.achieved"]
    assert (run.status, run.failed, run.checked) == (DONE_WITH_FAILURES, 1, run.total)
    assert session.scalars(select(DriftFinding.figure)).all() == [failed[0].subject]
