"""Large changes need two people: no kind of run, schedule, retry, command or second tab bypasses that."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from backoffice.app.domain import Declared
from backoffice.app.domains import DOMAINS
from backoffice.app.extensions import db
from backoffice.base.actor import acting_as
from backoffice.drift.healing.performing import performed
from backoffice.orders.models import Order
from backoffice.people.models import User
from backoffice.runs import actions
from backoffice.runs.actions import Limits
from backoffice.runs.errors import (
    MayNotApprove,
    NothingToRetry,
    NotWaiting,
    OwnApproval,
    PreviewFirst,
)
from backoffice.runs.models import Run, RunItem
from backoffice.schedules.catalog import SCHEDULES
from tests.drift.books import run_of, text_of
from tests.factories.orders import OrderFactory
from tests.factories.people import UserFactory

pytestmark = pytest.mark.slow

WRITES_UNSEEN = {
    "figures.heal": [{}, {"figures": {"orders.grand_total": [1]}}],
    "figures.rebuild": [{}],
    "figures.verify": [{"fix": True}],
    "billing.recalculate": [{}, {"customers": [1]}],
    "billing.backfill-payment-meters": [{}],
    "billing.backfill-invoice-amounts": [{}],
    "billing.meter-balances": [{}],
    "gas.change-prices": [{"prices": []}],
    "ledger.maintenance": [{"figures": {"accounts.sums": None}, "fix": True}],
}
"""Kinds of runs that write stored totals or documents, with scopes in which they do."""

SHOWN_BEFORE = {
    "figures.apply": [{"run": 1}],
    "billing.backfill-payment-meters": [{"run": 1}],
    "billing.apply-migration": [{"run": 1}],
    "gas.change-prices": [{"run": 1}, {"prices": [], "shown": True}],
}
"""Kinds that write exactly what a dry run has shown."""

WRITES_NEITHER = {
    "figures.verify", "billing.validate", "billing.prove", "billing.migration", "reconciliation.nightly", "audit.seal",
    "audit.verify", "audit.facts", "audit.anchor", "summary.daily", "database.routine", "chore",
}  # fmt: skip
"""Kinds that verify, report, seal or clean up."""

CARRIES_OUT = {"imports.lines", "ledger.post"}
"""Kinds that enter the lines of an uploaded file, each as if entered alone, or post documents."""

ONE_PRESS = Declared(DOMAINS).verbs
"""Verbs performed at one click, or by a run above the limits: shown on the card (tests/approvals)."""

FOLLOWS_WRITES = {"figures.drain"}
"""Kinds that workers start by themselves after another program's writes; no user requests them."""


@pytest.fixture
def book(session: Any, surgery: Any) -> list[Order]:
    """Three orders of 9,300,000.00 each, with wrong stored grand totals."""
    made = [OrderFactory(number=f"W-{n}") for n in range(1, 4)]
    session.commit()
    surgery.execute("UPDATE orders SET grand_total = grand_total - 100")
    yield made
    session.rollback()
    run_of("figures.heal")


def a_person(session: Any, role: str = "finance", **facts: Any) -> User:
    person: User = UserFactory(role=role, **facts)
    session.commit()
    return person


def waiting(session: Any, asker: User) -> Run:
    """A run that applies what a dry run over everything found, above the limits, so that it waits for approval."""
    dry = run_of("figures.heal", dry_run=True)
    with acting_as(f"user:{asker.id}"):
        asked = actions.apply(session, dry.id, reason="recount", limits=Limits(0, 0))
        session.commit()
    assert asked.status == "awaiting approval"
    return asked


def wrong(session: Any) -> int:
    session.rollback()
    return session.scalar(select(func.count()).where(Order.grand_total != 9_300_000)) or 0


def test_every_kind_of_run_is_spoken_for(app: Flask) -> None:
    spoken_for = (
        set(WRITES_UNSEEN) | set(SHOWN_BEFORE) | WRITES_NEITHER | FOLLOWS_WRITES | set(ONE_PRESS)
    ) | CARRIES_OUT
    assert set(app.declared.kinds) == spoken_for, (
        "a new kind says here whether it writes, and in `preview` how that is shown"
    )


@pytest.mark.parametrize(
    ("kind", "scope"), [(kind, scope) for kind, scopes in WRITES_UNSEEN.items() for scope in scopes]
)
def test_a_person_changes_totals_only_as_a_dry_run_has_shown_them(
    session: Any, kind: str, scope: dict[str, Any]
) -> None:
    with acting_as("user:1"):
        with pytest.raises(PreviewFirst):
            actions.request(session, kind, scope)
        shown = actions.request_or_preview(session, kind, scope, schedule="balance-sync-daily")
    assert (shown.dry_run, shown.schedule) == (True, None)
    assert shown.kind in {kind, "figures.heal"}
    for deployment in ("schedule:balance-sync-daily", "cli:root"):
        with acting_as(deployment):
            assert not actions.request_or_preview(session, kind, scope).dry_run
        session.rollback()


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.name)
def test_run_now_corrects_nothing(session: Any, sign_in: Any, book: Any, schedule: Any) -> None:
    answer = sign_in("admin").post(f"/schedules/{schedule.name}/run", data={"idempotency_key": "k"})
    assert answer.status_code == 303
    asked = session.scalars(select(Run).order_by(Run.id.desc()).limit(1)).one()
    performed(db.engine, asked.id)
    assert wrong(session) == 3


def test_the_schedule_itself_still_heals_as_the_deployment_chose(session: Any, book: Any) -> None:
    with acting_as("schedule:balance-verify-sync"):
        run_of("figures.verify", {"fix": True})
    assert wrong(session) == 0


def test_a_heal_that_a_schedule_began_is_retried_by_a_person_as_a_preview(
    session: Any, sign_in: Any, book: Any
) -> None:
    with acting_as("schedule:balance-sync-daily"):
        asked = actions.request(session, "figures.heal", {})
    session.commit()
    session.execute(
        Run.__table__.update()
        .where(Run.id == asked.id)
        .values(status="failed", started_at=func.now(), finished_at=func.now())
    )
    session.commit()
    answer = sign_in("finance").post(f"/runs/{asked.id}/retry", data={"idempotency_key": "k"})
    retried = performed(db.engine, int(answer.location.rsplit("/", 1)[1])).run
    assert (retried.dry_run, retried.scope, retried.changed) == (True, {}, 3)
    assert wrong(session) == 3


def test_whoever_asked_cannot_approve_in_any_way(
    session: Any, sign_in: Any, run_command: Any, book: Any
) -> None:
    ana = a_person(session)
    asked = waiting(session, ana)
    window, second_tab = sign_in(ana), sign_in(ana)
    for number, browser in enumerate((window, second_tab)):
        answer = browser.post(f"/runs/{asked.id}/approve", data={"idempotency_key": f"k{number}"})
        assert answer.status_code == 403
    with acting_as(f"user:{ana.id}"), pytest.raises(OwnApproval):
        actions.approve(session, asked.id)
    session.rollback()
    assert run_command("runs", "approve", str(asked.id)).exit_code == 2
    assert run_command("figures", "heal", "--resume", str(asked.id)).exit_code == 2
    for who in (f"user:{ana.id}", "cli:root", "schedule:balance-sync-daily"):
        with acting_as(who), pytest.raises(NothingToRetry):
            actions.retry(session, asked.id)
        session.rollback()
    assert (
        window.post("/runs/1/apply", data={"idempotency_key": "x", "reason": "again"}).status_code
        == 409
    )
    for schedule in ("balance-sync-daily", "balance-verify-sync"):
        window.post(f"/schedules/{schedule}/run", data={"idempotency_key": schedule})
    session.rollback()
    for run in session.scalars(select(Run.id).where(Run.finished_at.is_(None))).all():
        if run != asked.id:
            performed(db.engine, run)
    assert wrong(session) == 3


@pytest.mark.parametrize(
    "who", ["", "cli:root", "token:1", "schedule:nightly", "worker:x", "user:999", "user:x"]
)
def test_a_command_a_program_or_nobody_approves_nothing(session: Any, book: Any, who: str) -> None:
    asked = waiting(session, a_person(session))
    with acting_as(who), pytest.raises(MayNotApprove):
        actions.approve(session, asked.id)
    session.rollback()
    assert wrong(session) == 3


@pytest.mark.parametrize("role", ["viewer", "account_manager"])
def test_who_lacks_the_right_approves_nothing(
    session: Any, sign_in: Any, book: Any, role: str
) -> None:
    asked = waiting(session, a_person(session))
    other = a_person(session, role)
    answer = sign_in(other).post(f"/runs/{asked.id}/approve", data={"idempotency_key": "k"})
    assert answer.status_code == 403
    with acting_as(f"user:{other.id}"), pytest.raises(MayNotApprove):
        actions.approve(session, asked.id)
    session.rollback()


def test_who_has_lost_the_right_or_was_disabled_approves_nothing(session: Any, book: Any) -> None:
    asked = waiting(session, a_person(session))
    gone = a_person(session, is_active=False)
    with acting_as(f"user:{gone.id}"), pytest.raises(MayNotApprove):
        actions.approve(session, asked.id)
    session.rollback()


def test_the_approver_sees_what_how_much_which_why_and_by_whom_and_exactly_that_is_written(
    session: Any, sign_in: Any, book: list[Order], surgery: Any
) -> None:
    asked = waiting(session, a_person(session, name="Ana Asker"))
    budi = sign_in("finance", name="Budi Second")
    page = budi.get(f"/runs/{asked.id}").text
    reported = text_of(page)
    for words in (
        "Items 3",
        "Net total Rp 300.00",
        "Gross total Rp 300.00",
        "Ana Asker",
        "recount",
    ):
        assert words in reported, words
    for order in book:
        assert f'href="/orders/{order.number}"' in page
    listed = budi.get(f"/runs/{asked.id}/items.csv").get_data(as_text=True)
    assert [order.number for order in book if order.number not in listed] == []

    surgery.execute("UPDATE orders SET grand_total = 1 WHERE number = 'W-1'")
    assert budi.post(f"/runs/{asked.id}/approve", data={"idempotency_key": "k"}).status_code == 303
    done = performed(db.engine, asked.id).run
    assert (done.changed, done.skipped) == (2, 1), "what was shown, and nothing else"
    assert wrong(session) == 1
    with acting_as("user:999"), pytest.raises(NotWaiting):
        actions.approve(session, asked.id)
    session.rollback()
    outcomes = session.scalars(select(RunItem.outcome).where(RunItem.run_id == asked.id))
    assert sorted(outcomes) == ["applied", "applied", "skipped"]
