"""`backoffice recalculate customer-balances`: what it prints, its exit status, and what it logs."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select, text
from structlog.testing import capture_logs

from backoffice import figures
from backoffice.app.config import ROOT
from backoffice.app.extensions import db
from backoffice.billing.recalculation import text as recalculation_text
from backoffice.customers.models import Customer
from backoffice.runs import actions
from backoffice.runs.models import Run
from tests.billing.recalculations import a_customer, ask, balances, recalculated, refused
from tests.factories.billing import InvoiceFactory, MeterAssignmentFactory
from tests.factories.customers import CustomerFactory

Command = Callable[..., Any]

BALANCES = ("recalculate", "customer-balances")


@pytest.fixture
def shillings(means: Command) -> None:
    """A deployment in Kenya."""
    means(currency="KES")


THE_SEEDS = """\
DRY RUN MODE - No changes will be made
Starting customer balance recalculation from meters...

Processing 1,250 customers...
 1250/1250 [============================] 100%

Recalculation Results:
┌───────────────────────────┬────────┐
│ Metric                    │ Count  │
├───────────────────────────┼────────┤
│ Customers Processed       │ 1,250  │
│ With Balance              │ 847    │
│ With Overpayment          │ 125    │
│ Clear (Zero Balance)      │ 278    │
│ Balances Changed          │ 42     │
│ Overpayments Changed      │ 18     │
└───────────────────────────┴────────┘

Significant Changes Detected (> KES 100):
┌─────────────┬────────────────┬──────────────┬──────────────┬──────────────┬──────────────┐
│ Customer ID │ Name           │ Type         │ Before       │ After        │ Difference   │
├─────────────┼────────────────┼──────────────┼──────────────┼──────────────┼──────────────┤
│ 1234        │ John Doe       │ Balance      │ KES 5,000.00 │ KES 5,250.00 │ +KES 250.00  │
│ 5678        │ Jane Smith     │ Balance      │ KES 3,200.00 │ KES 2,950.00 │ -KES 250.00  │
└─────────────┴────────────────┴──────────────┴──────────────┴──────────────┴──────────────┘

Validation Summary:
┌──────────────┬────────────────┬───────────────┬──────────────┐
│ Type         │ Before Total   │ After Total   │ Difference   │
├──────────────┼────────────────┼───────────────┼──────────────┤
│ Balance      │ KES 2,450,000  │ KES 2,450,500 │ +KES 500     │
│ Overpayment  │ KES 125,000    │ KES 124,750   │ -KES 250     │
└──────────────┴────────────────┴───────────────┴──────────────┘

DRY RUN COMPLETE - Run without --dry-run to apply changes
"""
"""The output in seed 002, from its first line to its last."""

BOOK = """
INSERT INTO customers (id, code, name) OVERRIDING SYSTEM VALUE
SELECT id, 'C-' || id, CASE id WHEN 1234 THEN 'John Doe' WHEN 5678 THEN 'Jane Smith' ELSE 'Customer ' || id END
FROM (SELECT generate_series(1, 1249) UNION ALL SELECT 5678) AS numbers (id);
INSERT INTO meters (number) SELECT 'M-' || id FROM customers;
INSERT INTO meter_assignments (meter_id, customer_id)
SELECT m.id, c.id FROM customers c JOIN meters m ON m.number = 'M-' || c.id;
INSERT INTO invoices (number, customer_id, meter_id, amount, issued_on, due_on)
SELECT 'I-' || c.id, c.id, m.id,
       CASE c.id WHEN 1234 THEN 5250 WHEN 5678 THEN 2950 WHEN 845 THEN 3140 ELSE 2890 END,
       '2026-03-01', '2026-03-31'
FROM customers c JOIN meters m ON m.number = 'M-' || c.id WHERE c.id <= 845 OR c.id IN (1234, 5678);
INSERT INTO payments (reference, customer_id, meter_id, paid_on, amount)
SELECT 'P-' || c.id, c.id, m.id, '2026-03-15', 998
FROM customers c JOIN meters m ON m.number = 'M-' || c.id WHERE c.id BETWEEN 901 AND 1025
"""
"""847 customers owe 2,450,500.00, 125 have overpaid 124,750.00, 278 are clear."""

WRONG = """
UPDATE customers SET balance = 5000 WHERE id = 1234;
UPDATE customers SET balance = 3200 WHERE id = 5678;
UPDATE customers SET balance = balance - 12.50 WHERE id BETWEEN 1 AND 40;
UPDATE customers SET overpayment = overpayment + 13 WHERE id BETWEEN 901 AND 917;
UPDATE customers SET overpayment = overpayment + 29 WHERE id = 918
"""
"""42 balances and 18 overpayments are not what the meters say; two by more than 100."""


@pytest.fixture
def the_seeds_book(
    session: Any, shillings: None, surgery: psycopg.Connection[Any]
) -> psycopg.Connection[Any]:
    session.execute(text(BOOK))
    session.commit()
    surgery.execute(WRONG)
    return surgery


def test_the_dry_run_of_the_seed_line_by_line(
    the_seeds_book: Any, run_command: Command, session: Any
) -> None:
    done = run_command(*BALANCES, "--dry-run")
    assert done.stdout.splitlines() == THE_SEEDS.splitlines()
    assert done.stdout == THE_SEEDS
    assert done.exit_code == 1, "it found changes"
    assert session.get_one(Customer, 1234).balance == 5000
    session.rollback()
    run_command(*BALANCES)


def test_applied_it_says_the_same_without_the_banners_and_then_nothing_is_left(
    the_seeds_book: Any, run_command: Command, session: Any
) -> None:
    done = run_command(*BALANCES)
    assert done.exit_code == 0, done.output
    assert done.stdout == "\n".join(THE_SEEDS.splitlines()[1:-2]) + "\n"
    assert session.get_one(Customer, 1234).balance == 5250
    session.rollback()
    again = run_command(*BALANCES, "--dry-run")
    assert again.exit_code == 0
    assert "Significant" not in again.stdout
    assert "│ Balances Changed          │ 0      │" in again.stdout
    assert "│ Balance      │ KES 2,450,500  │ KES 2,450,500 │ KES 0        │" in again.stdout


def test_the_log_line_has_the_names_of_the_seed(the_seeds_book: Any, run_command: Command) -> None:
    with capture_logs() as lines:
        run_command(*BALANCES)
    [line] = [line for line in lines if line["event"] == "Customer balances recalculated"]
    assert line == {
        "event": "Customer balances recalculated", "log_level": "info",
        "customers_processed": 1250, "balance_changed": 42, "overpayment_changed": 18,
        "total_balance_before": "2450000.00", "total_balance_after": "2450500.00",
        "total_overpayment_before": "125000.00", "total_overpayment_after": "124750.00",
    }  # fmt: skip


def test_a_worker_writes_the_same_line(the_seeds_book: Any) -> None:
    with capture_logs() as lines:
        recalculated()
    [line] = [line for line in lines if line["event"] == "Customer balances recalculated"]
    assert (line["customers_processed"], line["total_balance_after"]) == (1250, "2450500.00")


def test_a_dry_run_does_not_log_that_anything_was_recalculated(
    the_seeds_book: Any, run_command: Command
) -> None:
    with capture_logs() as lines:
        run_command(*BALANCES, "--dry-run")
    assert not [line for line in lines if line["event"] == "Customer balances recalculated"]
    assert [line for line in lines if line["event"] == "Customer balances previewed"]
    run_command(*BALANCES)


def test_json_is_one_object_with_amounts_as_texts(
    the_seeds_book: Any, run_command: Command, session: Any
) -> None:
    done = run_command(*BALANCES, "--dry-run", "--json")
    assert done.exit_code == 1
    reported = json.loads(done.stdout)
    assert reported == {
        "run": reported["run"], "status": "done", "dry_run": True, "currency": "KES",
        "customers": {
            "processed": 1250, "with_balance": 847, "with_overpayment": 125, "clear": 278,
            "balances_changed": 42, "overpayments_changed": 18,
        },
        "significant": {
            "above": "100",
            "count": 2,
            "changes": [
                {
                    "customer_id": 1234, "code": "C-1234", "name": "John Doe", "type": "balance",
                    "before": "5000.00", "after": "5250.00", "difference": "250.00",
                },
                {
                    "customer_id": 5678, "code": "C-5678", "name": "Jane Smith", "type": "balance",
                    "before": "3200.00", "after": "2950.00", "difference": "-250.00",
                },
            ],
        },
        "totals": {
            "balance": {"before": "2450000.00", "after": "2450500.00", "difference": "500.00"},
            "overpayment": {"before": "125000.00", "after": "124750.00", "difference": "-250.00"},
        },
        "left": [],
    }  # fmt: skip
    assert session.get_one(Run, reported["run"]).is_here
    session.rollback()
    run_command(*BALANCES)


def test_without_assignments_it_says_so(run_command: Command, session: Any) -> None:
    CustomerFactory()
    session.commit()
    done = run_command(*BALANCES)
    assert done.exit_code == 0
    assert done.stdout == (
        "Starting customer balance recalculation from meters...\n\n"
        "No customers with meter assignments found.\n"
    )
    reported = json.loads(run_command(*BALANCES, "--json").stdout)
    assert reported["customers"]["processed"] == 0


def test_owners_that_fail_are_named_and_the_rest_is_done(
    run_command: Command,
    session: Any,
    surgery: psycopg.Connection[Any],
    owner_connection: psycopg.Connection[Any],
) -> None:
    sealed = a_customer("SEALED", name="Sealed \x1b[31mRed", invoiced="500")
    a_customer("OPEN", invoiced="700")
    session.commit()
    surgery.execute("UPDATE customers SET balance = 1")
    with refused(owner_connection, "customers", sealed.id):
        done = run_command(*BALANCES)
        reported = json.loads(run_command(*BALANCES, "--json").stdout)
    assert done.exit_code == 1
    assert "customer SEALED Sealed �[31mRed: this row is sealed" in done.stderr
    assert "│ Balances Changed          │ 1      │" in done.stdout
    assert balances(session)["OPEN"] == (700, 0)
    [left] = reported["left"]
    assert (left["kind"], left["id"], left["error"]) == (
        "customer",
        sealed.id,
        "this row is sealed",
    )
    assert run_command(*BALANCES).exit_code == 0


def test_one_that_runs_already_is_trouble(run_command: Command, session: Any) -> None:
    a_customer("ONE")
    session.commit()
    live = ask()
    done = run_command(*BALANCES)
    assert done.exit_code == 2
    assert str(live) in done.stderr
    assert session.scalar(select(func.count()).select_from(Run)) == 1
    actions.cancel(session, live)
    session.commit()


def test_cents_show_where_there_are_any_and_tables_grow_with_what_they_hold(
    shillings: None, run_command: Command, session: Any, surgery: psycopg.Connection[Any]
) -> None:
    a_customer("A", name="Perusahaan Dagang 株式会社 Sejahtera", invoiced="1234567.89")
    session.commit()
    surgery.execute("UPDATE customers SET balance = 0")
    printed = run_command(*BALANCES).stdout.splitlines()
    assert (
        "│ 1           │ Perusahaan Dagang 株式会社 Sejahtera │ Balance      │ KES 0.00     "
        "│ KES 1,234,567.89 │ +KES 1,234,567.89 │"
    ) in printed
    assert "│ Balance      │ KES 0          │ KES 1,234,567.89 │ +KES 1,234,567.89 │" in printed


def test_more_changes_than_are_kept_are_counted() -> None:
    change = {
        "customer_id": 1, "name": "Ana", "type": "balance",
        "before": "0.00", "after": "500.00", "difference": "500.00",
    }  # fmt: skip
    report = {
        "currency": "KES",
        "customers": dict.fromkeys((name for _, name in recalculation_text.METRICS), 1),
        "significant": {"above": "99.50", "count": 1_001, "changes": [change]},
        "totals": {},
    }
    reported = list(recalculation_text.lines(report))
    assert "Significant Changes Detected (> KES 99.50):" in reported
    assert "... and 1,000 more" in reported


@pytest.mark.parametrize(
    ("done", "total", "line"),
    [
        (0, 1250, "    0/1250 [>---------------------------]   0%"),
        (625, 1250, "  625/1250 [==============>-------------]  50%"),
        (1250, 1250, " 1250/1250 [============================] 100%"),
        (1, 1, " 1/1 [============================] 100%"),
    ],
)
def test_the_bar(done: int, total: int, line: str) -> None:
    assert recalculation_text.bar(done, total) == line


def test_on_a_terminal_the_bar_moves_and_ends_as_it_is_printed(
    session: Any, surgery: psycopg.Connection[Any]
) -> None:
    a_customer("A", invoiced="10")
    a_customer("B", invoiced="20")
    session.commit()
    reader, terminal = pty.openpty()
    code = "from backoffice.commands.cli import main; main()"
    command = [sys.executable, "-c", code, *BALANCES]
    done = subprocess.run(
        command, stdout=terminal, stderr=subprocess.PIPE, cwd=ROOT, check=False, timeout=60,
        env={**os.environ, "LANGUAGE_DEFAULT": "id"},
    )  # fmt: skip
    os.close(terminal)
    printed = os.read(reader, 100_000).decode().replace("\r\n", "\n")
    os.close(reader)
    assert done.returncode == 0, done.stderr
    assert "\r 0/2 [>---------------------------]   0%" in printed
    assert "\r 2/2 [============================] 100%\n" in printed
    assert "Recalculation Results:" in printed, "in English whatever the language"
    [line] = done.stderr.decode().splitlines()
    assert json.loads(line)["event"] == "Customer balances recalculated"
    assert db.session.scalar(select(func.count()).select_from(Run)) == 1


def test_a_meter_is_right_by_the_facts_though_its_invoice_is_wrong_and_stays_so(
    session: Any, surgery: psycopg.Connection[Any], run_command: Command
) -> None:
    customer = a_customer("FACTS")
    InvoiceFactory(customer=customer, meter=MeterAssignmentFactory(customer=customer).meter)
    session.commit()
    surgery.execute("UPDATE invoices SET amount = 1")
    surgery.execute("UPDATE meters SET invoiced = 7")
    assert run_command(*BALANCES).exit_code == 0
    found = run_command("figures", "verify", "--json")
    assert found.exit_code == 1
    assert {f["figure"] for f in json.loads(found.stdout)["findings"]} == {"invoices.amount"}
    figures.heal(session)
