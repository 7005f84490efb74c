"""Runs over figures that meet obstacles: retries, floods that cannot be drained, failing ends."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select, text, update

from backoffice import figures
from backoffice.app.domain import declared
from backoffice.app.extensions import db
from backoffice.database.proof import prove
from backoffice.drift.healing.performing import performed, resume
from backoffice.drift.models import DriftFinding, FigureCheck
from backoffice.drift.outside import watch
from backoffice.drift.verification import chunks as verifying
from backoffice.drift.verification.checks import all_checks
from backoffice.figures import acting_as, registry
from backoffice.figures.models import Correction, FigureNote
from backoffice.orders.figures import ORDER_FIGURES
from backoffice.orders.models import Order
from backoffice.runs import actions
from backoffice.runs.actions import Limits
from backoffice.runs.errors import NothingToRetry, StillWaiting
from backoffice.runs.models import Run, RunChunk, RunItem
from backoffice.runs.working import perform
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory, UserFactory
from tests.surgery import tell_of_everything

pytestmark = pytest.mark.slow

NO_LIMIT = Limits(10**9, Decimal(10**15))
ORDERS = {"figures": {"orders.grand_total": None}}


@pytest.fixture
def book(session: Any) -> list[Order]:
    """Five closed orders of one manager."""
    manager = AccountManagerFactory()
    orders = [
        OrderFactory(
            account_manager=manager, closing_date="2026-03-01",
            lines=[("package", "Tofu", "3", "10")], total_price=0, additions=0, promo=0,
            reductions=0,
        )
        for _ in range(5)
    ]  # fmt: skip
    session.commit()
    return orders


def run(session: Any, kind: str, scope: Any = None, **options: Any) -> Run:
    asked = actions.request(session, kind, scope or {}, **options)
    session.commit()
    return performed(db.engine, asked.id).run


def done(session: Any, asked: Run) -> Run:
    session.commit()
    return performed(db.engine, asked.id).run


def test_a_cancelled_application_that_is_retried_applies_the_rest(
    session: Any, book: list[Order], surgery: psycopg.Connection[Any], monkeypatch: Any
) -> None:
    surgery.execute("UPDATE orders SET grand_total = 0")
    monkeypatch.setattr("backoffice.drift.healing.applying.WRITE_CHUNK", 1)
    dry = run(session, "figures.heal", dry_run=True)
    asked = actions.apply(session, dry.id, reason="x", limits=NO_LIMIT)
    session.commit()

    def cancel() -> None:
        if session.scalar(select(func.count()).select_from(Correction)) == 2:
            actions.cancel(session, asked.id)
        session.commit()

    perform(db.engine, asked.id, progress=cancel)
    again = done(session, actions.retry(session, asked.id))
    assert (again.status, again.changed) == ("done", 3)


def test_a_run_that_was_never_planned_is_planned_when_it_is_retried(
    session: Any, book: list[Order], surgery: psycopg.Connection[Any], monkeypatch: Any
) -> None:
    surgery.execute("UPDATE orders SET grand_total = 0")
    asked = actions.request(session, "figures.verify", {})
    session.commit()
    session.execute(
        update(RunChunk).values(status="failed", error="RuntimeError: no plan", attempts=4)
    )
    session.commit()
    perform(db.engine, asked.id)
    session.refresh(asked)
    assert asked.status == "failed"
    assert session.scalar(select(func.count()).select_from(FigureCheck)) == 0
    again = done(session, actions.retry(session, asked.id))
    assert again.result["found"] == 5
    run(session, "figures.heal")


def test_what_was_cancelled_before_it_began_is_asked_for_and_approved_anew(
    session: Any, book: list[Order], surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute("UPDATE orders SET grand_total = 0")
    dry = run(session, "figures.heal", dry_run=True)
    with acting_as("user:1"):
        asked = actions.apply(session, dry.id, reason="x", limits=Limits(1, Decimal(1)))
        session.commit()
        with pytest.raises(StillWaiting):
            resume(db.engine, asked.id)
        actions.cancel(session, asked.id)
        session.commit()
        with pytest.raises(NothingToRetry):
            actions.retry(session, asked.id)
        session.rollback()
        again = actions.apply(session, dry.id, reason="x", limits=Limits(1, Decimal(1)))
        assert again.status == "awaiting approval"
        session.commit()
    with acting_as(f"user:{UserFactory(role='finance').id}"):
        actions.approve(session, again.id)
    assert done(session, again).changed == 5


def test_nothing_is_called_verified_of_which_anything_failed(
    session: Any, book: list[Order], monkeypatch: Any
) -> None:
    look = verifying.look

    def fail(work: Any, bundle: Any) -> Any:
        if bundle.name == "orders":
            raise RuntimeError("no snapshot")
        return look(work, bundle)

    monkeypatch.setattr(verifying, "look", fail)
    asked = actions.request(session, "figures.verify", {})
    session.commit()
    while True:
        perform(db.engine, asked.id)
        session.execute(text("UPDATE run_chunks SET lease_until = NULL"))
        session.commit()
        session.refresh(asked)
        if not asked.is_live:
            break
    assert asked.status == "finished with failures"
    checked = set(session.scalars(select(FigureCheck.figure))) - set(all_checks())
    failed = {figure.name for figure in ORDER_FIGURES}
    assert checked == {figure.name for figure in registry.figures} - failed


def test_a_verification_heals_what_another_one_has_seen_in_between(
    session: Any, book: list[Order], surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute("UPDATE orders SET grand_total = 0")
    fixing = actions.request(session, "figures.verify", {"fix": True})
    session.commit()
    seen: list[int] = []

    def verify_too() -> None:
        if session.scalar(select(func.count()).select_from(DriftFinding)) == 5 and not seen:
            session.commit()
            seen.append(run(session, "figures.verify").result["found"])
        session.commit()

    perform(db.engine, fixing.id, progress=verify_too)
    session.refresh(fixing)
    assert seen == [5]
    assert (fixing.status, fixing.changed, fixing.result["found"]) == ("done", 5, 5)


def test_a_month_alone_is_right_by_the_facts_before_the_orders_beneath_it_are(
    session: Any, book: list[Order], surgery: psycopg.Connection[Any]
) -> None:
    """It need not wait for them: it is computed from the lines, and no later correction is added to it."""
    surgery.execute("UPDATE orders SET grand_total = 0 WHERE id = %s", [book[0].id])
    surgery.execute("UPDATE account_manager_targets SET achieved = 1")
    month = {"figures": {"account_manager_targets.achieved": [book[0].account_manager_id]}}
    dry = run(session, "figures.heal", month, dry_run=True)
    asked = done(session, actions.apply(session, dry.id, reason="x", limits=NO_LIMIT))
    assert (asked.changed, asked.skipped) == (1, 0)
    assert [f.figure.name for f in figures.verify(session)] == ["orders.grand_total"]
    healed = run(session, "figures.heal")
    assert (healed.status, healed.changed, healed.skipped) == ("done", 1, 0)


@pytest.mark.leaves_drift
def test_a_flood_that_cannot_be_drained_is_tried_later_and_not_for_ever(
    session: Any,
    book: list[Order],
    surgery: psycopg.Connection[Any],
    owner_connection: psycopg.Connection[Any],
    monkeypatch: Any,
) -> None:
    monkeypatch.setattr(watch, "FLOOD", 3)
    surgery.execute("UPDATE order_lines SET quantity = 999999999999, unit_price = 99999999999")
    tell_of_everything(surgery)
    owner_connection.execute("UPDATE order_lines SET position = position + 1, kind = 'addition'")
    rounds, waits = 0, list[timedelta]()
    while watch.look(db.engine) and rounds < 50:
        rounds += 1
        # Even on a slow machine, no deferred note is due again meanwhile.
        soon = FigureNote.retry_at < func.now() + timedelta(minutes=30)
        put_off_for = select(FigureNote.retry_at - FigureNote.noted_at).where(soon)
        waits += session.scalars(put_off_for).all()
        prove(session.connection())
        later = func.now() + timedelta(hours=1)
        session.execute(update(FigureNote).where(soon).values(retry_at=later))
        session.commit()
    assert rounds < 10
    assert session.scalar(select(func.count()).where(Run.kind == "figures.drain"))
    deferred_bundles = session.scalars(select(FigureNote)).all()
    assert deferred_bundles
    assert all(1 <= note.attempts <= rounds for note in deferred_bundles), "each try puts them off"
    assert min(waits) >= timedelta(seconds=1)
    prove(session.connection())
    session.execute(update(FigureNote).values(retry_at=func.now() + timedelta(minutes=1)))
    session.commit()
    assert not watch.look(db.engine), "it waits"


def test_a_small_note_does_not_wait_behind_a_flood(
    session: Any, book: list[Order], owner_connection: psycopg.Connection[Any]
) -> None:
    owner_connection.execute("UPDATE orders SET promo = 1 WHERE id <> %s", [book[4].id])
    high = session.scalar(select(func.max(FigureNote.id)))
    asked = actions.request(session, "figures.drain", {"high": high}, is_paced=False)
    session.commit()
    session.execute(
        update(RunChunk).values(lease_until=func.now() + timedelta(minutes=1))
    )  # another transaction holds it
    session.commit()
    owner_connection.execute("UPDATE orders SET promo = 2 WHERE id = %s", [book[4].id])
    assert watch.look(db.engine)
    session.rollback()
    assert session.get_one(Order, book[4].id, populate_existing=True).grand_total == 28
    session.execute(update(RunChunk).values(lease_until=None))
    session.commit()
    while watch.look(db.engine):
        pass
    session.refresh(asked)
    assert asked.status == "done"
    assert list(figures.verify(db.session)) == []


def test_a_run_whose_result_cannot_be_said_has_failed_and_lets_others_begin(
    session: Any, book: list[Order], monkeypatch: Any
) -> None:
    kind = declared().kinds["figures.heal"]

    def fail(*_: Any) -> Any:
        raise ValueError("no result")

    broken = {**kind.__dict__, "finish": fail}
    monkeypatch.setitem(declared().kinds, kind.name, type(kind)(**broken))
    asked = run(session, "figures.heal")
    assert (asked.status, asked.error) == ("failed", "ValueError: no result")
    monkeypatch.undo()
    assert run(session, "figures.heal").status == "done"


def test_a_chunk_that_kills_whoever_begins_it_is_given_up(session: Any, book: list[Order]) -> None:
    asked = actions.request(session, "figures.heal", ORDERS)
    session.commit()
    session.execute(update(RunChunk).values(attempts=12))
    session.commit()
    perform(db.engine, asked.id)
    session.refresh(asked)
    assert asked.status == "failed"
    assert "never finished" in asked.error


def test_amounts_that_are_wrong_by_as_much_in_opposite_directions_are_not_nothing(
    session: Any, book: list[Order], surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute(
        "UPDATE orders SET total_price = total_price + 1000, promo = promo + 1000, itemised = "
        "'{package,promo}' WHERE id = %s", [book[0].id]
    )  # fmt: skip
    tell_of_everything(surgery)
    run(session, "figures.verify")
    [wrong] = session.scalars(
        select(DriftFinding).where(DriftFinding.figure == "orders.components")
    )
    assert (wrong.amount, wrong.gross) == (-1000, 1000)
    healed = run(session, "figures.heal")
    [item] = session.scalars(
        select(RunItem).where(RunItem.run_id == healed.id, RunItem.subject == "orders.components")
    )
    assert (item.amount, item.gross) == (-1000, 1000), "in SQL as in Python"
    assert (item.amount_before, item.amount_after) == (1030, 30)


def test_findings_of_owners_who_are_all_gone_are_closed(
    session: Any, book: list[Order], surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute("UPDATE orders SET grand_total = 0")
    run(session, "figures.verify")
    for order in book:
        session.delete(order)
    session.commit()
    run(session, "figures.verify")
    assert session.scalar(select(func.count()).where(DriftFinding.healed_at.is_(None))) == 0
