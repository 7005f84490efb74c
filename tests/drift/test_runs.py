"""Runs over figures: what a verification records, what a dry run leaves, and what is applied."""

from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select, text

from backoffice.app.extensions import db
from backoffice.drift.healing.performing import performed
from backoffice.drift.models import UNEQUAL, DriftFinding, FigureCheck
from backoffice.drift.verification.checks import all_checks
from backoffice.figures import acting_as, registry
from backoffice.figures.models import Correction
from backoffice.orders.models import Order, OrderLine
from backoffice.runs import actions
from backoffice.runs.actions import Limits
from backoffice.runs.errors import AlreadyRunning, NothingToApply, OwnApproval, ReasonMissing
from backoffice.runs.models import Run, RunChunk, RunItem
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory, UserFactory
from tests.surgery import tell_of_everything

NO_LIMIT = Limits(10**9, Decimal(10**15))


@pytest.fixture
def book(session: Any) -> list[Order]:
    """Five closed orders of one manager, each of one line of 3 × 10."""
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
    """Request a run and perform it here."""
    asked = actions.request(session, kind, scope or {}, **options)
    session.commit()
    return performed(db.engine, asked.id).run


def items(session: Any, run: Run) -> list[RunItem]:
    session.expire_all()
    return list(
        session.scalars(select(RunItem).where(RunItem.run_id == run.id).order_by(RunItem.id))
    )


def findings(session: Any) -> list[DriftFinding]:
    session.expire_all()
    rows = select(DriftFinding).where(DriftFinding.kind != UNEQUAL)  # checks: test_checks.py
    return list(session.scalars(rows.order_by(DriftFinding.id)))


def test_a_verification_of_a_right_book_says_when_and_over_how_many(
    session: Any, book: list[Order]
) -> None:
    done = run(session, "figures.verify")
    assert (done.status, done.changed, done.unchanged) == ("done", 0, done.total)
    assert done.result["found"] == 0
    known = all_checks()
    checks = {c.figure: c for c in session.scalars(select(FigureCheck)) if c.figure not in known}
    counted = {
        figure.name: session.scalar(select(func.count()).select_from(figure.owner_table))
        for figure in registry.figures
    }
    assert {name: c.owners for name, c in checks.items()} == counted
    assert counted["orders.grand_total"] == len(book) == 5
    assert {(c.drifted, c.run_id, c.verified_at) for c in checks.values()} == {
        (0, done.id, done.started_at)
    }
    assert session.scalar(select(func.count()).select_from(RunChunk)) == 0


def test_a_finding_is_one_row_from_first_seen_until_healed(
    session: Any, book: list[Order], surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute("UPDATE orders SET grand_total = grand_total - 5 WHERE id = %s", [book[0].id])
    first = run(session, "figures.verify")
    [finding] = findings(session)
    assert (finding.figure, finding.owner, finding.cause) == (
        "orders.grand_total", book[0].id, "unnoticed",
    )  # fmt: skip
    assert (finding.stored, finding.expected, finding.amount) == (
        {"grand_total": "25.00"}, {"grand_total": "30.00"}, Decimal("5.00"),
    )  # fmt: skip
    surgery.execute("UPDATE orders SET grand_total = grand_total - 1 WHERE id = %s", [book[0].id])
    second = run(session, "figures.verify")
    [again] = findings(session)
    assert (again.id, again.first_seen_at) == (finding.id, finding.first_seen_at)
    assert again.last_seen_at > again.first_seen_at
    assert (again.amount, again.run_id) == (Decimal("6.00"), second.id)
    assert first.id != second.id
    healed = run(session, "figures.heal", reason="again")
    [closed] = findings(session)
    correction = session.scalar(select(Correction))
    assert (closed.healed_by, closed.correction_id) == ("run", correction.id)
    assert (healed.changed, correction.run_id, correction.reason) == (1, healed.id, "again")
    assert run(session, "figures.verify").result["found"] == 0
    session.expire_all()
    assert session.get_one(FigureCheck, "orders.grand_total").drifted == 0


def test_a_finding_that_a_save_has_mended_is_closed_by_the_next_verification(
    session: Any, book: list[Order], surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute("UPDATE order_lines SET amount = 1")
    run(session, "figures.verify", {"figures": {"order_lines.amount": None}})
    assert {f.healed_at for f in findings(session)} == {None}
    for line in session.scalars(select(OrderLine)):
        line.quantity = Decimal(4)
    session.commit()
    run(session, "figures.verify")
    assert {f.healed_by for f in findings(session)} == {"save"}


def test_a_tampered_quantity_is_found_with_all_above_it_and_their_root(
    session: Any, book: list[Order], surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute("UPDATE order_lines SET quantity = 4 WHERE order_id = %s", [book[0].id])
    tell_of_everything(surgery)
    run(session, "figures.verify")
    found = {f.figure: f for f in findings(session)}
    assert set(found) == {
        "order_lines.amount", "orders.components", "orders.grand_total",
        "account_manager_targets.achieved",
    }  # fmt: skip
    assert {name: f.is_root for name, f in found.items()} == {
        name: name == "order_lines.amount" for name in found
    }
    assert {f.cause for name, f in found.items() if name != "order_lines.amount"} == {"follows"}
    fixed = run(session, "figures.verify", {"fix": True})
    assert (fixed.status, fixed.changed, fixed.result["found"]) == ("done", 4, 4)
    assert {f.healed_by for f in findings(session)} == {"run"}
    assert session.scalar(select(func.count()).select_from(Correction)) == 4


def test_a_dry_run_writes_its_items_and_nothing_else(
    session: Any, book: list[Order], surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute("UPDATE orders SET grand_total = 0")
    before = contents(surgery)
    done = run(session, "figures.heal", dry_run=True)
    assert (done.status, done.changed) == ("done", 5)
    assert {i.outcome for i in items(session, done)} == {"found"}
    assert contents(surgery) == before
    run(session, "figures.heal")


def contents(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """A digest of every table except those that a dry run may write."""
    names = connection.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' "
        "AND tablename NOT IN ('runs', 'run_items')"
    ).fetchall()
    return {
        name: connection.execute(
            f"SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {name} t"  # type: ignore[arg-type]
        ).fetchone()[0]  # type: ignore[index]
        for (name,) in names
    }


def test_exactly_what_a_dry_run_found_is_applied_and_what_moved_is_left_alone(
    session: Any, book: list[Order], surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute("UPDATE orders SET grand_total = 0 WHERE id <> %s", [book[4].id])
    dry = run(session, "figures.heal", dry_run=True)
    surgery.execute("UPDATE orders SET grand_total = 7 WHERE id = %s", [book[0].id])
    surgery.execute("UPDATE orders SET grand_total = 30 WHERE id = %s", [book[1].id])
    surgery.execute("UPDATE orders SET grand_total = 9 WHERE id = %s", [book[4].id])
    with pytest.raises(ReasonMissing):
        actions.apply(session, dry.id, reason=" ", limits=NO_LIMIT)
    asked = actions.apply(session, dry.id, reason="month end", limits=NO_LIMIT)
    session.commit()
    done = performed(db.engine, asked.id).run
    outcomes = {i.owner: (i.outcome, i.error) for i in items(session, done)}
    assert {owner: outcome for owner, (outcome, _) in outcomes.items()} == {
        book[0].id: "skipped", book[2].id: "applied", book[3].id: "applied",
    }  # fmt: skip
    assert "changed since" in outcomes[book[0].id][1]
    assert done.result == {"found": 4, "applied": 2, "moved": 1, "failed": 0}
    assert (done.changed, done.skipped, done.unchanged) == (2, 1, 1)
    assert dict(surgery.execute("SELECT id, grand_total FROM orders").fetchall()) == {
        book[0].id: 7, book[1].id: 30, book[2].id: 30, book[3].id: 30, book[4].id: 9,
    }  # fmt: skip
    with pytest.raises(NothingToApply):
        actions.apply(session, dry.id, reason="twice", limits=NO_LIMIT)
    session.rollback()
    run(session, "figures.heal")


def test_above_the_limit_a_second_person_approves(
    session: Any, book: list[Order], surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute("UPDATE orders SET grand_total = 0")
    dry = run(session, "figures.heal", dry_run=True)
    ana, budi = (f"user:{UserFactory(role='finance').id}" for _ in range(2))
    session.commit()
    with acting_as(ana):
        asked = actions.apply(session, dry.id, reason="x", limits=Limits(4, Decimal(10**9)))
        session.commit()
        assert asked.status == "awaiting approval"
        with pytest.raises(OwnApproval):
            actions.approve(session, asked.id)
        session.rollback()
    with acting_as(budi):
        actions.approve(session, asked.id)
        session.commit()
    done = performed(db.engine, asked.id).run
    assert (done.status, done.approved_by, done.changed) == ("done", budi, 5)


def test_one_run_of_a_kind_and_scope_lives_at_a_time(session: Any, book: list[Order]) -> None:
    first = actions.request(session, "figures.heal", {})
    session.commit()
    with pytest.raises(AlreadyRunning) as refused:
        actions.request(session, "figures.heal", {})
    assert refused.value.values == {"run": first.id}
    session.rollback()
    other = actions.request(session, "figures.heal", {"figures": {"orders.grand_total": None}})
    session.commit()
    performed(db.engine, first.id)
    performed(db.engine, other.id)
    run(session, "figures.heal")


@pytest.mark.leaves_drift
def test_an_owner_that_cannot_be_corrected_is_an_item_and_never_stops_the_rest(
    session: Any, book: list[Order], surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute("UPDATE orders SET grand_total = 0")
    surgery.execute(
        "UPDATE order_lines SET quantity = 999999999999, unit_price = 99999999999 WHERE order_id = %s",
        [book[2].id],
    )
    tell_of_everything(surgery)
    done = run(session, "figures.heal", {"figures": {"orders.grand_total": None}})
    assert (done.status, done.changed, done.failed) == ("finished with failures", 4, 2)
    failed = [i for i in items(session, done) if i.outcome == "failed"]
    months = "account_manager_targets.achieved"  # add up what cannot be stored, and are left wrong
    assert {(i.subject, i.owner) for i in failed} == {
        ("orders", book[2].id),
        (months, book[2].account_manager_id),
    }
    assert all("overflow" in i.error for i in failed)
    surgery.execute("UPDATE order_lines SET quantity = 3, unit_price = 10")
    tell_of_everything(surgery)
    again = actions.retry(session, done.id)
    session.commit()
    assert performed(db.engine, again.id).run.changed == 1


def test_a_cancelled_run_does_no_further_chunk_and_can_be_retried(
    session: Any,
    book: list[Order],
    surgery: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    surgery.execute("UPDATE orders SET grand_total = 0")
    monkeypatch.setattr("backoffice.drift.verification.scope.SCAN", 1)
    asked = actions.request(session, "figures.heal", {"figures": {"orders.grand_total": None}})
    session.commit()

    def cancel() -> None:
        if session.scalar(select(func.count()).select_from(Correction)) == 2:
            actions.cancel(session, asked.id)
        session.commit()

    from backoffice.runs.working import perform

    perform(db.engine, asked.id, progress=cancel)
    session.refresh(asked)
    assert (asked.status, asked.changed) == ("cancelled", 2)
    again = actions.retry(session, asked.id)
    session.commit()
    assert performed(db.engine, again.id).run.changed == 3


def test_a_rebuild_looks_at_every_owner_and_writes_only_differences(
    session: Any, book: list[Order], surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute("UPDATE orders SET grand_total = 0 WHERE id = %s", [book[0].id])
    done = run(session, "figures.rebuild")
    assert (done.changed, done.checked, done.unchanged) == (1, done.total, done.total - 1)


def test_what_a_whole_heal_looks_at_later_is_not_recomputed_with_every_transaction(
    session: Any, book: list[Order], surgery: psycopg.Connection[Any]
) -> None:
    """The month was right all along; only the orders are corrected, and it stays right."""
    surgery.execute("UPDATE orders SET grand_total = 0")
    done = run(session, "figures.heal")
    assert {c.figure for c in session.scalars(select(Correction))} == {"orders.grand_total"}
    assert done.changed == 5
    assert session.execute(text("SELECT count(*) FROM figure_notes")).scalar() == 0
