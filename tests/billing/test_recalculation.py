"""Recalculating customers from their meters: what it covers, what it writes, what it reports."""

import os
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import func, select, text, update

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.billing.figures import RECALCULATED
from backoffice.billing.recalculation import chunks as recalculation
from backoffice.customers.models import Customer
from backoffice.drift.healing.performing import performed
from backoffice.figures import registry
from backoffice.figures.models import Correction
from backoffice.runs import actions
from backoffice.runs.actions import Limits
from backoffice.runs.models import Run, RunChunk, RunItem
from backoffice.runs.work import Work
from backoffice.runs.working import perform
from tests.billing.recalculations import (
    INDEPENDENT,
    a_customer,
    a_meter,
    ask,
    balances,
    digest,
    recalculated,
    refused,
)
from tests.factories.billing import InvoiceFactory
from tests.factories.customers import CustomerFactory
from tests.processes import killed, together

NO_LIMIT = Limits(10**9, Decimal(10**15))


@pytest.fixture
def book(session: Any) -> dict[str, Customer]:
    """Four customers: one owes, one has overpaid, one both (on two meters), one is clear."""
    owes = a_customer("OWES", invoiced="1500", paid="250.50")
    over = a_customer("OVER", invoiced="100", paid="400")
    both = a_customer("BOTH", invoiced="700")
    a_meter(both, paid="80.25")
    clear = a_customer("CLEAR", invoiced="60", paid="60")
    session.commit()
    return {customer.code: customer for customer in (owes, over, both, clear)}


RIGHT = {
    "OWES": (Decimal("1249.50"), Decimal(0)),
    "OVER": (Decimal(0), Decimal(300)),
    "BOTH": (Decimal(700), Decimal("80.25")),
    "CLEAR": (Decimal(0), Decimal(0)),
}


def corrupt(surgery: psycopg.Connection[Any]) -> None:
    """Every meter and every customer is wrong."""
    surgery.execute("UPDATE meters SET invoiced = invoiced + 7, balance = balance + 1000")
    surgery.execute("UPDATE customers SET balance = balance + 50.50, overpayment = 9")


def difference_of_sums(run: Run, name: str) -> Decimal:
    total = run.result["totals"][name]
    assert Decimal(total["after"]) - Decimal(total["before"]) == Decimal(total["difference"])
    return Decimal(total["difference"])


def test_everything_of_every_customer_is_right_afterwards(
    session: Any, book: dict[str, Customer], surgery: psycopg.Connection[Any]
) -> None:
    corrupt(surgery)
    run = recalculated()
    assert (run.status, run.failed, run.checked) == ("done", 0, run.total)
    assert run.result["customers"]["processed"] == 4
    assert (run.total, run.unchanged, run.skipped) == (run.changed, 0, 0), (
        "rows, those of meters too"
    )
    assert balances(session) == RIGHT
    assert set(session.scalars(select(Correction.cause))) == {"heal"}
    assert set(session.scalars(select(Correction.run_id))) == {run.id}


def test_the_report_counts_adds_up_and_names_what_is_significant(
    session: Any, book: dict[str, Customer], surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute("UPDATE customers SET balance = balance - 100 WHERE code = 'OWES'")
    surgery.execute("UPDATE customers SET balance = 599.99 WHERE code = 'BOTH'")
    surgery.execute("UPDATE customers SET overpayment = 512 WHERE code = 'OVER'")
    surgery.execute("UPDATE customers SET overpayment = 250 WHERE code = 'CLEAR'")
    report = recalculated().result
    assert report["customers"] == {
        "processed": 4, "with_balance": 2, "with_overpayment": 2, "clear": 1,
        "balances_changed": 2, "overpayments_changed": 2,
    }  # fmt: skip
    assert report["totals"] == {
        "balance": {"before": "1749.49", "after": "1949.50", "difference": "200.01"},
        "overpayment": {"before": "842.25", "after": "380.25", "difference": "-462.00"},
    }
    significant = report["significant"]
    assert (significant["above"], significant["count"]) == ("100", 3), "exactly 100 is not above it"
    reported = [(c["code"], c["type"], c["difference"]) for c in significant["changes"]]
    assert reported == [
        ("CLEAR", "overpayment", "-250.00"),
        ("OVER", "overpayment", "-212.00"),
        ("BOTH", "balance", "100.01"),
    ]
    assert significant["changes"][0] == {
        "customer_id": book["CLEAR"].id, "code": "CLEAR", "name": book["CLEAR"].name,
        "type": "overpayment", "before": "250.00", "after": "0.00", "difference": "-250.00",
    }  # fmt: skip


@pytest.mark.parametrize("dry_run", [True, False])
def test_before_and_the_differences_make_after_by_an_independent_sum(
    session: Any, book: dict[str, Customer], surgery: psycopg.Connection[Any], dry_run: bool
) -> None:
    corrupt(surgery)
    sums = "SELECT sum(balance), sum(overpayment) FROM "
    before = session.execute(text(f"{sums} customers")).one()
    run = recalculated(dry_run=dry_run)
    after = session.execute(text(f"{sums} ({INDEPENDENT}) AS right_ones")).one()
    differences = session.execute(
        text(
            "SELECT sum((after->>'balance')::numeric - (before->>'balance')::numeric), "
            "sum((after->>'overpayment')::numeric - (before->>'overpayment')::numeric) "
            "FROM run_items WHERE run_id = :run AND subject = 'customers.balance'"
        ),
        {"run": run.id},
    ).one()
    for i, name in enumerate(("balance", "overpayment")):
        total = run.result["totals"][name]
        assert (Decimal(total["before"]), Decimal(total["after"])) == (before[i], after[i])
        assert difference_of_sums(run, name) == differences[i] == after[i] - before[i]
    recalculated()


def test_a_dry_run_says_the_same_and_writes_nothing_but_its_run(
    session: Any, book: dict[str, Customer], surgery: psycopg.Connection[Any]
) -> None:
    corrupt(surgery)
    run_tables = ("runs", "run_items")
    before = digest(surgery, but=run_tables)
    dry = recalculated(dry_run=True)
    assert digest(surgery, but=run_tables) == before, "the chunks are gone too"
    assert (dry.status, dry.checked) == ("done", dry.total)
    assert dry.changed == 5 + 5 + 4
    assert set(session.scalars(select(RunItem.outcome))) == {"found"}
    applied = recalculated()
    assert applied.result == dry.result
    assert balances(session) == RIGHT


def test_what_a_dry_run_found_is_applied_as_it_was_found(
    session: Any, book: dict[str, Customer], surgery: psycopg.Connection[Any]
) -> None:
    corrupt(surgery)
    dry = recalculated(dry_run=True)
    asked = actions.apply(session, dry.id, reason="Closing of March", limits=NO_LIMIT)
    session.commit()
    done = performed(db.engine, asked.id).run
    assert (done.status, done.failed, done.result["moved"]) == ("done", 0, 0)
    assert balances(session) == RIGHT
    assert set(session.scalars(select(Correction.reason))) == {"Closing of March"}


def test_a_second_recalculation_changes_nothing(
    session: Any, book: dict[str, Customer], surgery: psycopg.Connection[Any]
) -> None:
    corrupt(surgery)
    recalculated()
    again = recalculated()
    assert (again.changed, again.checked, again.unchanged) == (0, again.total, again.total)
    assert again.result["significant"] == {"above": "100", "count": 0, "changes": []}
    assert difference_of_sums(again, "balance") == 0


def test_inactive_meters_are_recomputed_and_count_for_no_customer(
    session: Any, surgery: psycopg.Connection[Any]
) -> None:
    former = CustomerFactory(code="FORMER")
    meter = a_meter(former, invoiced="500", is_active=False)
    session.commit()
    surgery.execute("UPDATE meters SET balance = 1")
    surgery.execute("UPDATE customers SET balance = 1")
    run = recalculated()
    assert run.result["customers"]["processed"] == 1
    assert run.result["customers"]["clear"] == 1
    assert balances(session)["FORMER"] == (0, 0)
    session.refresh(meter)
    assert meter.balance == 500


def test_customers_without_a_meter_are_neither_counted_nor_touched(
    session: Any, book: dict[str, Customer], surgery: psycopg.Connection[Any]
) -> None:
    without_meter = CustomerFactory(code="NONE")
    session.commit()
    surgery.execute("UPDATE customers SET balance = 5 WHERE code = 'NONE'")
    dry = recalculated(dry_run=True)
    assert (dry.changed, dry.result["customers"]["processed"]) == (0, 4)
    assert dry.result["totals"]["balance"]["after"] == "1949.50"
    assert recalculated().changed == 0
    assert balances(session)["NONE"] == (5, 0)
    surgery.execute("UPDATE customers SET balance = 0 WHERE id = %s", [without_meter.id])


def test_without_any_assignment_there_is_nothing_to_do(session: Any) -> None:
    CustomerFactory()
    session.commit()
    run = recalculated()
    assert (run.status, run.total, run.result["customers"]["processed"]) == ("done", 0, 0)
    assert run.result["totals"]["balance"] == {
        "before": "0.00", "after": "0.00", "difference": "0.00",
    }  # fmt: skip


@pytest.mark.leaves_drift
def test_given_customers_alone(
    session: Any, book: dict[str, Customer], surgery: psycopg.Connection[Any]
) -> None:
    corrupt(surgery)
    wrong = balances(session)
    both = book["BOTH"].id
    run = recalculated({"customers": [both, book["CLEAR"].id]})
    assert run.result["customers"]["processed"] == 2
    assert run.total == run.checked == run.changed + run.unchanged
    now = balances(session)
    assert {code: now[code] for code in ("BOTH", "CLEAR")} == {
        code: RIGHT[code] for code in ("BOTH", "CLEAR")
    }
    assert {code: now[code] for code in ("OWES", "OVER")} == {
        code: wrong[code] for code in ("OWES", "OVER")
    }


def test_the_present_owner_of_a_given_customers_former_meter_is_recalculated_too(
    session: Any, surgery: psycopg.Connection[Any]
) -> None:
    former, present = CustomerFactory(code="FORMER"), CustomerFactory(code="PRESENT")
    meter = a_meter(former, invoiced="500", is_active=False)
    session.execute(
        text("INSERT INTO meter_assignments (meter_id, customer_id) VALUES (:meter, :customer)"),
        {"meter": meter.id, "customer": present.id},
    )
    session.commit()
    surgery.execute("UPDATE meters SET invoiced = 1, balance = 1")
    surgery.execute("UPDATE customers SET balance = 1 WHERE code = 'PRESENT'")
    run = recalculated({"customers": [former.id]})
    assert run.result["customers"]["processed"] == 2
    assert balances(session)["PRESENT"] == (500, 0)


def test_a_customer_that_cannot_be_written_stops_no_other_and_is_retried(
    session: Any,
    book: dict[str, Customer],
    surgery: psycopg.Connection[Any],
    owner_connection: psycopg.Connection[Any],
) -> None:
    corrupt(surgery)
    wrong = balances(session)["OVER"]
    with refused(owner_connection, "customers", book["OVER"].id):
        run = recalculated()
    assert (run.status, run.failed) == ("finished with failures", 1)
    [item] = session.scalars(select(RunItem).where(RunItem.outcome == "failed"))
    assert (item.owner, item.error) == (book["OVER"].id, "this row is sealed")
    assert balances(session) == {**RIGHT, "OVER": wrong}
    assert difference_of_sums(run, "balance") == sum(
        (RIGHT[code][0] for code in RIGHT if code != "OVER"), wrong[0]
    ) - Decimal(run.result["totals"]["balance"]["before"])
    again = actions.retry(session, run.id)
    session.commit()
    assert performed(db.engine, again.id).run.changed == 3, (
        "the customer, and both figures of the meter"
    )
    assert balances(session) == RIGHT


def test_nothing_is_changed_of_a_customer_with_a_meter_that_cannot_be_written(
    session: Any,
    book: dict[str, Customer],
    surgery: psycopg.Connection[Any],
    owner_connection: psycopg.Connection[Any],
) -> None:
    corrupt(surgery)
    both = book["BOTH"].id
    mine = text("SELECT max(meter_id) FROM meter_assignments WHERE customer_id = :customer")
    meter = session.scalar(mine, {"customer": both})
    session.rollback()
    wrong = balances(session)["BOTH"]
    with refused(owner_connection, "meters", meter):
        run = recalculated()
    assert (run.status, run.failed, run.checked) == ("finished with failures", 1, run.total)
    [item] = session.scalars(select(RunItem).where(RunItem.outcome == "failed"))
    assert (item.subject, item.owner) == ("customers.balance", both)
    assert item.error == "this row is sealed"
    assert balances(session) == {**RIGHT, "BOTH": wrong}
    again = actions.retry(session, run.id)
    session.commit()
    assert performed(db.engine, again.id).run.status == "done"
    assert balances(session) == RIGHT


def large(session: Any, surgery: psycopg.Connection[Any], monkeypatch: Any) -> None:
    """A book of 24 customers in pages of five, all wrong."""
    for number in range(24):
        a_customer(f"C-{number:02}", invoiced=str(100 * number), paid="1000")
    session.commit()
    corrupt(surgery)
    monkeypatch.setattr(recalculation, "CHUNK", 5)


def test_killed_between_its_chunks_it_goes_on_and_reports_the_same(
    app: Flask, session: Any, surgery: psycopg.Connection[Any], monkeypatch: Any
) -> None:
    large(session, surgery, monkeypatch)
    undisturbed = recalculated(dry_run=True).result
    run_id, deaths = ask(), 0
    while session.get_one(Run, run_id, populate_existing=True).is_live:
        session.rollback()
        deaths += killed(app, lambda: die_after_a_chunk(run_id)) == 9
        session.execute(update(RunChunk).values(lease_until=None, attempts=0))  # its lease is over
        session.commit()
    assert deaths == 1 + 2 + 5, "after its plan, both comparisons of facts, and each of its chunks"
    run = session.get_one(Run, run_id)
    assert (run.status, run.checked, run.failed) == ("done", run.total, 0)
    assert run.result == undisturbed
    of_customers = RunItem.subject == "customers.balance"
    items = select(func.count()).where(RunItem.run_id == run_id, of_customers)
    assert session.scalar(items) == 24, "each customer was corrected once"


def die_after_a_chunk(run_id: int) -> None:
    record = Work._record

    def dying(self: Work, step: Any, is_last: bool) -> None:
        record(self, step, is_last)
        if is_last:
            step.connection.commit()
            os._exit(9)

    Work._record = dying  # type: ignore[method-assign]
    perform(db.engine, run_id)


def test_two_workers_share_it(
    app: Flask, session: Any, surgery: psycopg.Connection[Any], monkeypatch: Any
) -> None:
    large(session, surgery, monkeypatch)
    undisturbed = recalculated(dry_run=True).result
    run_id = ask()
    together(app, *([lambda: perform(db.engine, run_id)] * 2))
    session.rollback()
    run = session.get_one(Run, run_id, populate_existing=True)
    assert (run.status, run.failed, run.checked) == ("done", 0, run.total)
    assert run.result == undisturbed


def test_the_result_holds_the_greatest_changes_and_the_items_all(
    session: Any, surgery: psycopg.Connection[Any], monkeypatch: Any
) -> None:
    monkeypatch.setattr("backoffice.billing.recalculation.report.MOST_CHANGES", 3)
    for number in range(5):
        a_customer(f"C-{number}", invoiced=str(1000 + 200 * number))
    session.commit()
    surgery.execute("UPDATE customers SET balance = 0")
    significant = recalculated().result["significant"]
    assert (significant["count"], len(significant["changes"])) == (5, 3)
    assert [c["difference"] for c in significant["changes"]] == ["1800.00", "1600.00", "1400.00"]


def test_nothing_builds_on_what_is_recalculated_that_is_not_recalculated_too() -> None:
    """A figure that did would be left stale: it would have to be in RECALCULATED."""
    above = {f.name for f in registry.figures if registry.depends_on(f) & set(RECALCULATED)}
    assert above <= {figure.name for figure in RECALCULATED}


def test_meters_with_a_wrong_invoice_are_right_by_the_facts_and_the_invoice_stays_found(
    session: Any, surgery: psycopg.Connection[Any]
) -> None:
    customers = [a_customer(f"C-{n}", invoiced="10") for n in range(3)]
    for _ in range(5):
        meter = a_meter(customers[0])
        InvoiceFactory(customer=customers[0], meter=meter)
    session.commit()
    surgery.execute("UPDATE invoices SET amount = 1 WHERE units IS NOT NULL")
    surgery.execute(
        "UPDATE meters SET invoiced = invoiced + 7, balance = balance + 7 "
        "WHERE id IN (SELECT meter_id FROM invoices WHERE units IS NOT NULL)"
    )
    run = recalculated()
    assert (run.skipped, run.failed) == (0, 0)
    assert (run.changed, run.unchanged) == (10, 3), "the meters' sums and balances; no customer's"
    assert {f.figure.name for f in figures.verify(session)} == {"invoices.amount"}
    figures.heal(session)
