"""`backoffice schedule list` and `schedule run`: 0 done, 1 found or failed, 2 trouble."""

import json
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import select, text

from backoffice.app.extensions import db
from backoffice.runs import actions
from backoffice.runs.models import Run
from backoffice.schedules.catalog import SCHEDULES
from tests.drift.forging import tell_of_the_book
from tests.factories.ledger import accounts_of_roles, of, posted
from tests.factories.orders import OrderFactory

TAMPER = """
SET session_replication_role = replica;
UPDATE orders SET grand_total = grand_total + 1;
"""


@pytest.fixture
def tampered(session: Any, admin_database_url: str) -> Decimal:
    """The correct grand total of an order; the stored one was changed without firing triggers."""
    order = OrderFactory(number="SO-1", lines=[("package", "Queso", "12", "14.00")])
    session.commit()
    total = Decimal(order.grand_total)
    session.rollback()
    with psycopg.connect(admin_database_url) as connection:
        connection.execute(TAMPER)
    return total


def test_the_list_tells_of_every_schedule(session: Any, run_command: Any) -> None:
    listed = json.loads(run_command("schedule", "list", "--json").stdout)["schedules"]
    assert [line["name"] for line in listed] == [schedule.name for schedule in SCHEDULES]
    nightly = listed[0]
    assert nightly["name"] == "balance-verify-sync"
    assert nightly["when"] == "every night at 02:00"
    assert nightly["state"] == "not yet"
    assert nightly["run"] is None
    assert nightly["last_due"] < nightly["next_due"]
    shown = run_command("schedule", "list").stdout
    assert "balance-rebuild-monthly" in shown
    assert "every month on day 1 at 03:00" in shown


def test_a_schedule_runs_here_and_now(session: Any, run_command: Any) -> None:
    done = run_command("schedule", "run", "balance-verify-sync")
    assert done.exit_code == 0, done.output
    run = db.session.scalars(select(Run)).one()
    assert (run.schedule, run.due_at, run.status) == ("balance-verify-sync", None, "done")
    assert run.requested_by.startswith("cli:")
    assert f"Run {run.id}" in done.stdout


def test_the_health_check_finds_and_the_nightly_run_heals(
    tampered: Decimal, session: Any, run_command: Any
) -> None:
    found = run_command("schedule", "run", "balance-health", "--json")
    assert found.exit_code == 1, found.output
    assert json.loads(found.stdout)["result"]["found"] >= 1
    assert run_command("schedule", "run", "grand-total-integrity").exit_code == 1
    assert run_command("schedule", "run", "balance-verify-sync").exit_code == 0
    assert run_command("schedule", "run", "balance-health").exit_code == 0
    assert session.scalar(text("SELECT grand_total FROM orders")) == tampered


@pytest.mark.leaves_drift
@pytest.mark.parametrize("name", ["balance-health", "balance-verify-sync"])
def test_sums_that_differ_are_found_also_by_whoever_heals(
    session: Any, run_command: Any, name: str
) -> None:
    """A heal cannot know which of the two sums is wrong, so it only reports them."""
    assert run_command("schedule", "run", name).exit_code == 0
    roles = accounts_of_roles()
    posted(of(roles["receivables"], 7), of(roles["cash"], -7))
    session.commit()
    assert run_command("schedule", "run", name).exit_code == 1


def test_facts_that_differ_from_the_trail_are_found(
    session: Any, run_command: Any, admin_database_url: str, owner_connection: Any
) -> None:
    tell_of_the_book(owner_connection)
    order = OrderFactory()
    session.commit()
    number = order.number

    def forge(value: str) -> None:
        session.rollback()
        with psycopg.connect(admin_database_url) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute("UPDATE orders SET number = %s", (value,))

    forge("FORGED")
    assert run_command("schedule", "run", "audit-facts").exit_code == 1
    forge(number)
    done = run_command("schedule", "run", "audit-facts", "--json")
    assert done.exit_code == 0, done.stdout


@pytest.mark.leaves_drift
def test_a_balance_sheet_that_is_not_valid_is_found(
    session: Any, run_command: Any, admin_database_url: str
) -> None:
    name = "balance-sheet-maintenance"
    assert run_command("schedule", "run", name).exit_code == 0
    roles = accounts_of_roles()
    posted(of(roles["cash"], 7), of(roles["order_revenue"], -7))
    session.commit()
    with psycopg.connect(admin_database_url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE journal_lines SET debit = debit + 1 WHERE debit > 0")
    assert run_command("schedule", "run", name).exit_code == 1


@pytest.mark.parametrize("name", [schedule.name for schedule in SCHEDULES])
def test_every_schedule_can_be_done_here_and_now(
    session: Any, run_command: Any, owner_connection: Any, name: str
) -> None:
    tell_of_the_book(owner_connection)
    done = run_command("schedule", "run", name)
    assert done.exit_code == 0, done.output


def test_an_unknown_schedule_is_trouble_and_says_which_there_are(
    app: Any, run_command: Any
) -> None:
    done = run_command("schedule", "run", "balance-verify")
    assert done.exit_code == 2
    assert "balance-verify-sync" in done.stderr


def test_what_is_under_way_already_is_trouble(session: Any, run_command: Any) -> None:
    actions.request(session, "figures.verify", {"fix": True})
    session.commit()
    done = run_command("schedule", "run", "balance-verify-sync")
    assert done.exit_code == 2
    assert "does the same at the moment" in done.stderr
