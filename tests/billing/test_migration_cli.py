"""`backoffice migrate|backfill|validate …`: reports, JSON and exit statuses. FAULTS.md, line 32."""

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from backoffice.app.domain import declared
from backoffice.billing.migration import chain
from backoffice.billing.migration.steps import STEPS
from backoffice.customers.models import Customer
from backoffice.runs.models import Run
from tests.billing.books_of_meters import (
    a_customer,
    a_payment,
    an_invoice,
    digest,
    ended,
    meter_named,
    meters_of,
)
from tests.surgery import past_every_trigger

Command = Callable[..., Any]


@pytest.fixture
def book(session: Any) -> None:
    """One payment with a sure meter."""
    ada = a_customer("A", "M-A")
    an_invoice("INV-A", ada)
    a_payment("P-A", ada)
    session.commit()


@pytest.fixture
def unsure(session: Any, book: None) -> None:
    """One more payment without a sure meter."""
    a_payment("P-B", a_customer("B", "M-B1", "M-B2"))
    session.commit()


def reported(done: Any) -> Any:
    """The one JSON object on standard output."""
    return json.loads(done.stdout)


def test_the_whole_migration_exits_0_when_nothing_is_left(run_command: Command, book: None) -> None:
    done = run_command("migrate", "meter-financials")
    assert done.exit_code == 0, done.output
    for step in STEPS:
        assert f"Step {step.number}: {step.title}" in done.stdout
    assert "= Balances − overpayments of all customers" in done.stdout
    assert meters_of("P-A", "INV-A") == {"P-A": "M-A", "INV-A": "M-A"}


def test_rows_that_are_left_do_not_stop_it_and_exit_1(run_command: Command, unsure: None) -> None:
    done = run_command("migrate", "meter-financials", "--json")
    assert done.exit_code == 1, done.output
    report = reported(done)
    assert [step["step"] for step in report["steps"]] == [1, 2, 3, 4, 5, 6]
    assert (report["is_complete"], report["left"]) == (True, 2)
    first, third, sixth = (report["steps"][number - 1] for number in (1, 3, 6))
    several = "billing.payment-several-assignments"
    assert first["report"]["left"] == {several: {"rows": 1, "amount": "500.00"}}
    assert third["report"]["severities"] == {"error": 1, "warning": 0, "info": 0}
    assert (sixth["ties_out"], sixth["report"]["totals"]["customers"]) == (True, "1000.00")


def test_a_dry_run_writes_only_runs_and_says_what_it_knows(
    run_command: Command, unsure: None, owner_database_url: str
) -> None:
    before = digest(owner_database_url)
    done = run_command("migrate", "meter-financials", "--dry-run")
    assert done.exit_code == 1, done.output
    assert digest(owner_database_url) == before
    assert done.stdout.startswith("Dry run: nothing is changed.")
    assert "Would be done" in done.stdout
    assert "Shows the result after all six steps." in done.stdout


TOTALS = {"meters.documents", "meters.balance", "customers.balance"}


def test_a_dry_run_lists_every_row_that_changes_with_before_difference_and_after(
    session: Any, run_command: Command, unsure: None
) -> None:
    """The first step's dry run used to list the documents it would place, but not the balances that follow."""
    for words in (("migrate", "meter-financials"), ("backfill", "payment-meter-ids")):
        done = run_command(*words, "--dry-run", "--json")
        assert done.exit_code == 1
        outlook = reported(done)["outlook"]
        rows = {row["subject"]: row for row in outlook["items"]}
        assert rows.keys() - TOTALS == {
            "billing.invoice-by-assignment", "billing.payment-by-assignment",
        }  # fmt: skip
        assert outlook["rows"] == len(outlook["items"]) == 5
        balance = rows["customers.balance"]
        assert (balance["name"], balance["before"], balance["after"]) == (
            "A", {"balance": "0.00"}, {"balance": "1000.00"},
        )  # fmt: skip
        assert (balance["amount_before"], balance["net"], balance["amount_after"]) == (
            "0.00", "1000.00", "1000.00",
        )  # fmt: skip
        amounts = [Decimal(row["net"] or 0) for row in outlook["items"]]
        assert Decimal(outlook["net"]) == sum(amounts)
        again = run_command(*words, "--dry-run")
        lists = Run.kind.in_(("billing.migration", "billing.backfill-payment-meters"))
        number = session.scalar(
            select(Run.id)
            .where(lists, Run.dry_run)
            .order_by(Run.changed.desc(), Run.id.desc())
            .limit(1)
        )
        session.rollback()
        assert f"backoffice runs apply {number} --reason" in again.stdout
        for name in ("M-A", "INV-A", "P-A"):
            assert name in again.stdout


def test_what_the_dry_run_of_all_steps_lists_is_applied_by_one_number(
    session: Any, run_command: Command, book: None
) -> None:
    number = reported(run_command("migrate", "meter-financials", "--dry-run", "--json"))["outlook"][
        "run"
    ]
    for step in range(number + 1, number + 7):
        refused = run_command("runs", "apply", str(step), "--reason", "a part of it")
        assert refused.exit_code == 2
    done = run_command("runs", "apply", str(number), "--reason", "Looked at")
    assert done.exit_code == 0, done.output
    assert meters_of("P-A", "INV-A") == {"P-A": "M-A", "INV-A": "M-A"}


@pytest.mark.parametrize("ended_before", [0, 1, 4])
def test_a_dry_run_that_was_interrupted_is_continued_with_its_list(
    session: Any, run_command: Command, book: None, ended_before: int
) -> None:
    run = first = chain.request_all(session(), dry_run=True, is_here=True, is_paced=False)
    session.commit()
    for _ in range(ended_before):
        run = chain.next_run(session(), ended(run.id))
        session.rollback()
    done = run_command("migrate", "meter-financials", "--dry-run", "--json")
    assert (done.exit_code, reported(done)["outlook"]["run"]) == (1, first.id)
    assert reported(done)["outlook"]["rows"] == 5


def test_again_it_begins_after_what_is_finished(run_command: Command, book: None) -> None:
    assert run_command("migrate", "meter-financials").exit_code == 0
    again = run_command("migrate", "meter-financials")
    assert again.exit_code == 0
    assert again.stdout.count("It is done, and there is nothing further to do.") == 2
    assert "Step 3" in again.stdout


def test_it_goes_on_with_a_step_that_was_interrupted(
    session: Any, run_command: Command, book: None
) -> None:
    run = chain.request_all(session(), is_here=True, is_paced=False)
    session.commit()
    second = chain.next_run(session(), ended(run.id))
    assert second is not None
    session.rollback()
    done = run_command("migrate", "meter-financials", "--json")
    assert done.exit_code == 0, done.output
    assert reported(done)["steps"][0]["run"] == second.id
    assert len(reported(done)["steps"]) == 5


def test_a_step_that_does_not_end_well_stops_it_with_a_sentence(
    run_command: Command, book: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("it cannot be reported")

    amounts = declared().kinds["billing.backfill-invoice-amounts"]
    monkeypatch.setitem(declared().kinds, amounts.name, replace(amounts, finish=broken))
    done = run_command("migrate", "meter-financials", "--json")
    assert done.exit_code == 2
    assert "Step 2 did not finish" in done.stderr
    assert "it cannot be reported" in done.stderr
    assert [step["step"] for step in reported(done)["steps"]] == [1, 2]
    assert not reported(done)["is_complete"]


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "json"])
def test_payments_get_their_meters(
    run_command: Command, unsure: None, options: tuple[str, ...]
) -> None:
    dry = run_command("backfill", "payment-meter-ids", "--dry-run", *options)
    assert dry.exit_code == 1
    assert meters_of("P-A") == {"P-A": None}
    done = run_command("backfill", "payment-meter-ids", *options)
    assert done.exit_code == 1, "P-B is left"
    assert meters_of("P-A", "P-B") == {"P-A": "M-A", "P-B": None}


def test_what_its_dry_run_found_is_applied_by_its_number(
    session: Any, run_command: Command, book: None
) -> None:
    dry = run_command("backfill", "payment-meter-ids", "--dry-run")
    number = session.scalar(select(Run.id))
    assert f"backoffice runs apply {number} --reason" in dry.stdout
    session.rollback()
    done = run_command("runs", "apply", str(number), "--reason", "Looked at")
    assert done.exit_code == 0, done.output
    assert meters_of("P-A") == {"P-A": "M-A"}


def test_payments_that_have_their_meters_leave_nothing_to_do(
    run_command: Command, book: None
) -> None:
    run_command("backfill", "payment-meter-ids")
    again = run_command("backfill", "payment-meter-ids")
    assert (again.exit_code, "Nothing to do." in again.stdout) == (0, True)


def test_invoice_amounts_are_computed(
    session: Any, run_command: Command, book: None, admin_database_url: str
) -> None:
    with past_every_trigger(admin_database_url) as connection:
        connection.execute("UPDATE invoices SET amount = 0")
    dry = run_command("backfill", "invoice-amounts", "--dry-run", "--json")
    assert dry.exit_code == 1
    assert reported(dry)["report"]["done"] == {"invoices.amount": {"rows": 1, "amount": "1500.00"}}
    done = run_command("backfill", "invoice-amounts", "--json")
    assert done.exit_code == 0, done.output
    assert reported(done)["changed"] == 1


def test_entered_amounts_are_reported_and_leave_nothing_to_do(
    session: Any, run_command: Command, book: None
) -> None:
    ada = session.scalar(select(Customer).where(Customer.code == "A"))
    an_invoice("INV-E", ada, meter=meter_named("M-A"), units=None, rate=None, amount=Decimal(3))
    session.commit()
    done = run_command("backfill", "invoice-amounts", "--json")
    assert done.exit_code == 0
    assert reported(done)["report"]["left"] == {
        "billing.invoice-entered": {"rows": 1, "amount": "3.00"}
    }


def test_meter_balances_are_calculated_from_their_documents(
    session: Any, run_command: Command, book: None, admin_database_url: str
) -> None:
    run_command("backfill", "payment-meter-ids")
    with past_every_trigger(admin_database_url) as connection:
        connection.execute("UPDATE meters SET balance = 5, overpayment = 5, paid = 5")
    dry = run_command("migrate", "customer-balances-to-meters", "--dry-run", "--json")
    assert (dry.exit_code, reported(dry)["changed"] > 0) == (1, True)
    done = run_command("migrate", "customer-balances-to-meters", "--json")
    assert done.exit_code == 0, done.output
    assert reported(done)["report"]["meters"]["balance"] == "1000.00"
    session.expire_all()
    assert meter_named("M-A").balance == Decimal(1000)


def test_the_validation_exits_1_where_anything_is_invalid(run_command: Command, book: None) -> None:
    found = run_command("validate", "meter-financial-data")
    assert found.exit_code == 1
    assert "Payments without a meter" in found.stdout
    run_command("backfill", "payment-meter-ids")
    sound = run_command("validate", "meter-financial-data", "--full", "--json")
    assert sound.exit_code == 0, sound.output
    assert [step["name"] for step in reported(sound)["steps"]] == ["validation", "proof"]


def test_what_is_under_way_elsewhere_is_trouble(
    session: Any, run_command: Command, book: None
) -> None:
    run = chain.request_step(session(), STEPS[0])
    session.commit()
    done = run_command("backfill", "payment-meter-ids")
    assert (done.exit_code, f"Run {run.id} does the same" in done.stderr) == (2, True)


def test_an_unknown_option_is_trouble(run_command: Command) -> None:
    assert run_command("migrate", "meter-financials", "--everything").exit_code == 2
