"""The whole migration: its order, killed workers, repetition without effect, and dry runs."""

import itertools
import os
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text, update

from backoffice.app.domain import declared
from backoffice.app.extensions import db
from backoffice.billing.migration import chain, placing
from backoffice.billing.migration.checks import CHECKS
from backoffice.billing.migration.lines import ties_out
from backoffice.billing.migration.steps import STEP_NAMED, STEPS
from backoffice.customers.models import Customer
from backoffice.runs import actions, ending, kinds, working
from backoffice.runs.errors import AlreadyRunning
from backoffice.runs.models import Run, RunChunk, RunItem
from backoffice.runs.work import Work
from tests.billing.books_of_meters import (
    a_customer,
    a_payment,
    an_invoice,
    digest,
    ended,
    items_of,
    meter_named,
    meters_of,
    migrated,
    step,
)
from tests.drift.every_figure import changes, reported, stored
from tests.processes import killed
from tests.surgery import past_every_trigger

pytestmark = pytest.mark.slow


@pytest.fixture
def legacy(session: Any, admin_database_url: str) -> None:
    """A legacy book: no meters on the documents, wrong amounts, balances that were never computed."""
    for code in ("A", "B", "C"):
        customer = a_customer(code, f"M-{code}")
        invoice = an_invoice(f"INV-{code}", customer)
        a_payment(f"P-{code}1", customer, invoice=invoice)
        a_payment(f"P-{code}2", customer, amount=Decimal("100.25"))
    unsure = a_customer("D", "M-D1", "M-D2")
    a_payment("P-D", unsure)
    an_invoice("INV-D", unsure, meter=meter_named("M-D1"))
    session.commit()
    with past_every_trigger(admin_database_url) as connection:
        connection.execute("UPDATE invoices SET amount = 0 WHERE number IN ('INV-A', 'INV-D')")
        connection.execute("UPDATE meters SET balance = 7, invoiced = 7 WHERE number = 'M-D1'")
        connection.execute("UPDATE customers SET balance = 3 WHERE code = 'B'")


def balances(session: Any) -> dict[str, Decimal]:
    session.rollback()
    session.expire_all()
    found = session.execute(select(Customer.code, Customer.balance - Customer.overpayment))
    return dict(found.all())


MIGRATED = {
    "A": Decimal("899.75"),
    "B": Decimal("899.75"),
    "C": Decimal("899.75"),
    "D": Decimal("1500.00"),
}


def test_six_steps_bring_a_legacy_book_to_balances_that_tie_out(session: Any, legacy: None) -> None:
    runs = migrated()
    assert [run.kind for run in runs] == [step.kind for step in STEPS]
    assert {run.status for run in runs} == {"done"}
    assert [run.follows for run in runs] == [None, *(run.id for run in runs[:-1])]
    assert balances(session) == MIGRATED
    assert ties_out(runs[-1])
    assert runs[-1].result["left"] == {}
    assert meters_of("P-D") == {"P-D": None}


def test_the_whole_again_changes_nothing_and_begins_after_what_is_finished(
    session: Any, legacy: None, owner_database_url: str
) -> None:
    migrated()
    before = digest(owner_database_url, without=("figure_checks",))
    again = migrated()
    assert [run.kind for run in again] == [step.kind for step in STEPS[2:]]
    assert sum(run.changed for run in again) == 0
    assert digest(owner_database_url, without=("figure_checks",)) == before


def test_it_begins_at_the_first_step_again_as_soon_as_that_has_something_to_do(
    session: Any, legacy: None
) -> None:
    migrated()
    customer = session.scalar(select(Customer).where(Customer.code == "A"))
    a_payment("P-NEW", customer, amount=Decimal("0.75"))
    session.commit()
    runs = migrated()
    assert runs[0].kind == STEPS[0].kind
    assert balances(session) == {**MIGRATED, "A": Decimal("899.00")}


def test_a_dry_run_of_the_whole_writes_only_runs_and_their_items(
    session: Any, legacy: None, owner_database_url: str, admin_database_url: str
) -> None:
    before = digest(owner_database_url)
    runs = migrated(dry_run=True)
    assert digest(owner_database_url) == before
    kinds = ["billing.migration", *(step.kind for step in STEPS)]
    assert [(run.kind, run.dry_run) for run in runs] == [(kind, True) for kind in kinds]
    placed = {name: reported["rows"] for name, reported in runs[1].result["done"].items()}
    assert placed == {
        "billing.invoice-by-assignment": 3,
        "billing.payment-by-assignment": 3,
        "billing.payment-by-invoice": 3,
    }
    migrated()


BILLED = {"invoices.amount", "meters.documents", "meters.balance", "customers.balance"}
"""The figures that the steps write, or change by what they place."""


@pytest.mark.parametrize("is_tampered", [False, True])
def test_a_dry_run_of_the_whole_shows_every_amount_as_it_will_be(
    session: Any, legacy: None, surgery: Any, is_tampered: bool
) -> None:
    """Every figure as it will be at the end, what is left without a meter, and the tie-out table."""
    if is_tampered:
        surgery.execute("UPDATE meters SET balance = balance + 9 WHERE id % 2 = 1")
        surgery.execute("UPDATE customers SET overpayment = overpayment + 4 WHERE id = 1")
        surgery.execute("UPDATE invoices SET amount = amount + 3 WHERE units IS NOT NULL")
    before = stored(session)
    whole, *dry = migrated(dry_run=True)
    listed = reported(
        item
        for run in dry
        for item in session.scalars(
            select(RunItem).where(RunItem.run_id == run.id, RunItem.outcome == "found")
        )
        if item.subject in BILLED
    )
    assert whole.changed == sum(run.changed for run in dry), "all of it is one list"
    done = migrated()
    moved = {
        row: reported
        for row, reported in changes(before, stored(session)).items()
        if row[0] in BILLED
    }
    assert moved == listed
    assert any(row[0] == "customers.balance" for row in listed)
    assert dry[3].result["meters"] == done[3].result["meters"]
    assert (
        dry[4].result["totals"]["balance"]["after"] == done[4].result["totals"]["balance"]["after"]
    )
    assert dry[2].result["left"] == done[2].result["left"]
    assert dry[5].result["totals"] == done[5].result["totals"]
    assert dry[5].result["left"] == done[5].result["left"] == {}


def everything(session: Any, migration: str) -> Any:
    """What all steps of a migration have recorded, except ids and timestamps."""
    session.rollback()
    session.expire_all()
    mine = Run.scope[chain.KEY].astext == migration
    runs = session.scalars(select(Run).where(mine).order_by(Run.id)).all()
    counts = [(r.kind, r.status, r.total, r.checked, r.changed, r.skipped) for r in runs]
    return counts, [r.result for r in runs], [sorted(items_of(r)) for r in runs]


CHANGED = {
    "payments": ("meter_id", "version"),
    "invoices": ("meter_id", "amount", "paid", "version"),
    "meters": ("invoiced", "adjusted", "paid", "balance", "overpayment"),
    "customers": ("balance", "overpayment"),
}
"""Table → columns that a migration writes."""


def test_killed_at_every_transaction_the_end_is_that_of_an_undisturbed_migration(
    app: Flask, session: Any, legacy: None, monkeypatch: pytest.MonkeyPatch,
    admin_database_url: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(placing, "CHUNK", 2)
    for name in list(CHECKS)[4:]:  # each is a transaction of its own, like any other
        monkeypatch.delitem(CHECKS, name)
    with past_every_trigger(admin_database_url) as connection:
        kept = {
            table: connection.execute(f"SELECT {', '.join(columns)}, id FROM {table}").fetchall()
            for table, columns in CHANGED.items()
        }
    undisturbed = migrated()
    expected = everything(session, undisturbed[0].scope[chain.KEY])
    with past_every_trigger(admin_database_url) as connection:
        for table, rows in kept.items():
            values = ", ".join(f"{column} = %s" for column in CHANGED[table])
            for row in rows:
                connection.execute(f"UPDATE {table} SET {values} WHERE id = %s", row)
        connection.execute("DELETE FROM figure_notes")
        connection.execute("UPDATE runs SET kind = 'forgotten'")
    run = chain.request_all(session(), is_paced=False)
    session.commit()
    migration = run.scope[chain.KEY]
    deaths, nth = 0, 1
    while (live := chain.under_way(session(), dry_run=False)) is not None:
        run_id, before = live.id, how_far(session)
        for after in (False, True):
            code = killed(app, lambda a=(run_id, nth, after): die_at(*a))
            deaths += code == 9
            session.execute(update(RunChunk).values(lease_until=None, attempts=0))
            session.commit()
        nth = 1 if how_far(session) != before else nth + 1
    assert deaths > 40
    assert balances(session) == MIGRATED
    assert everything(session, migration) == expected


def how_far(session: Any) -> Any:
    """A measure that changes with all progress, but not when work is only repeated."""
    session.rollback()
    return session.execute(
        select(
            select(func.count()).select_from(RunItem).scalar_subquery(),
            select(func.count()).select_from(Run).scalar_subquery(),
            select(func.count()).where(RunChunk.status == "open").scalar_subquery(),
        )
    ).one()


def die_at(run_id: int, nth: int, after: bool) -> None:
    """Work on the run until its nth transaction has done something; die before or after it commits."""
    record, finish = Work._record, ending._finish
    done = itertools.count(1)

    def dying(self: Work, step: Any, is_last: bool) -> None:
        record(self, step, is_last)
        if (step.tally.checked or is_last) and next(done) == nth:
            if after:
                step.connection.commit()
            os._exit(9)

    def dying_at_the_end(connection: Any, *asked: Any) -> str:
        status = finish(connection, *asked)
        if not after:
            os._exit(9)
        return status

    Work._record = dying  # type: ignore[method-assign]
    left = select(func.count()).where(RunChunk.run_id == run_id, RunChunk.status == "open")
    if db.session.scalar(left) == 0:
        ending._finish = dying_at_the_end
    db.session.rollback()
    working.perform(db.engine, run_id)


def test_two_migrations_at_a_time_are_refused_and_a_preview_blocks_none(
    session: Any, legacy: None
) -> None:
    first = chain.request_all(session(), is_paced=False)
    session.commit()
    with pytest.raises(AlreadyRunning) as refused:
        chain.request_all(session())
    assert refused.value.values["run"] == first.id
    session.rollback()
    chain.request_all(session(), dry_run=True)
    session.rollback()
    while (live := chain.under_way(session(), dry_run=False)) is not None:
        ended(live.id)
    assert balances(session) == MIGRATED


def test_rows_that_fail_are_reported_and_the_steps_after_them_are_done(
    session: Any, legacy: None
) -> None:
    customer = session.scalar(select(Customer).where(Customer.code == "A"))
    a_payment("P-0", customer, meter=meter_named("M-A"), amount=Decimal("9999999990000.00"))
    a_payment("P-HUGE", customer, amount=Decimal("9999999990000.00"))
    session.commit()
    runs = migrated()
    assert [run.status for run in runs[:2]] == ["finished with failures", "done"]
    assert runs[0].failed == 1
    assert runs[1].follows is None, "a run that another one follows counts as mended"
    assert len(runs) == 6
    retried = actions.retry(session(), runs[0].id)
    session.commit()
    ended(retried.id)
    assert chain.next_run(session(), retried) is None, "it has gone on already"


def test_a_step_that_cannot_be_done_stops_the_whole_and_a_retry_goes_on(
    session: Any, legacy: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    validate = declared().kinds["billing.validate"]

    def broken(*_: Any) -> Any:
        raise RuntimeError("no plan")

    monkeypatch.setitem(
        declared().kinds,
        validate.name,
        kinds.RunKind(validate.name, "", "figures.heal", broken, broken),
    )
    first = chain.request_all(session(), is_paced=False)
    session.commit()
    second = chain.next_run(session(), ended(first.id))
    third = chain.next_run(session(), ended(second.id))  # type: ignore[union-attr]
    while session.get_one(Run, third.id).is_live:  # type: ignore[union-attr]
        working.perform(db.engine, third.id)  # type: ignore[union-attr]
        session.execute(text("UPDATE run_chunks SET lease_until = NULL"))
        session.commit()
        session.expire_all()
    assert third.status == "failed"  # type: ignore[union-attr]
    assert chain.next_run(session(), third) is None  # type: ignore[arg-type]
    monkeypatch.setitem(declared().kinds, validate.name, validate)
    run: Run | None = actions.retry(session(), third.id)  # type: ignore[union-attr]
    session.commit()
    done = []
    while run is not None:
        done.append(ended(run.id))
        run = chain.next_run(session(), done[-1])
    assert [run.kind for run in done] == [step.kind for step in STEPS[2:]]
    assert balances(session) == MIGRATED


@pytest.mark.leaves_drift
@pytest.mark.parametrize("name", ["billing.migration", "billing.meter-balances", "billing.prove"])
def test_a_dry_run_of_which_a_run_failed_is_the_same_after_its_retry(
    session: Any, legacy: None, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    expected = [(run.kind, run.changed, run.result) for run in migrated(dry_run=True)]
    kind = declared().kinds[name]

    def broken(*_: Any) -> Any:
        raise RuntimeError("no plan")

    failing = kinds.RunKind(name, "", "figures.heal", broken, broken)
    run: Run | None = chain.request_all(session(), dry_run=True, is_paced=False)
    session.commit()
    done = []
    while run is not None:
        if run.kind == name:
            monkeypatch.setitem(declared().kinds, name, failing)
            while session.get_one(Run, run.id).is_live:
                working.perform(db.engine, run.id)
                session.execute(text("UPDATE run_chunks SET lease_until = NULL"))
                session.commit()
                session.expire_all()
            assert run.status == "failed"
            assert chain.next_run(session(), run) is None
            monkeypatch.setitem(declared().kinds, name, kind)
            run = actions.retry(session(), run.id)
            session.commit()
        done.append(ended(run.id))
        run = chain.next_run(session(), done[-1])
    assert [(run.kind, run.changed, run.result) for run in done] == expected


def test_a_cancelled_step_is_the_last_one(session: Any, legacy: None) -> None:
    run = chain.request_all(session(), is_paced=False)
    session.commit()
    actions.cancel(session(), run.id)
    session.commit()
    assert chain.under_way(session(), dry_run=False) is None
    assert session.scalar(select(func.count()).select_from(RunItem)) == 0
    migrated()


def test_a_step_alone_asks_for_no_other(session: Any, legacy: None) -> None:
    step("payment-meters")
    assert session.scalar(select(func.count()).select_from(Run)) == 1
    assert chain.under_way(session(), dry_run=False) is None
    for name in STEP_NAMED:
        assert step(name).status == "done"
    assert balances(session) == MIGRATED
