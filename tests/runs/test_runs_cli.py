"""`backoffice runs …`: what it prints, what it does, and its exit status."""

import json
from collections.abc import Callable
from typing import Any

from flask import Flask
from sqlalchemy import select

from backoffice.app.extensions import db
from backoffice.base.actor import acting_as
from backoffice.runs import actions, working
from backoffice.runs.models import Run
from tests.factories.customers import CustomerFactory
from tests.runs.balances import domains  # noqa: F401 (a fixture)

Command = Callable[..., Any]


def a_dry_run(session: Any, *names: str, by: str = "user:1", is_done: bool = True) -> int:
    """Create customers of these names and a dry run over them; returns its number."""
    for name in names:
        CustomerFactory(name=name, city="Broken" if name == "Broken" else "Jakarta")
    with acting_as(by):
        run = actions.request(db.session(), "test.balances", {}, dry_run=True, is_paced=False)
        session.commit()
    if is_done:
        working.perform(db.engine, run.id)
    return run.id


def reported(done: Any) -> dict[str, Any]:
    """The JSON object that a command printed."""
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_list_shows_the_newest_first_and_no_housekeeping(
    session: Any, run_command: Command
) -> None:
    done = a_dry_run(session, "Ana")
    with acting_as("schedule:nightly"):
        chore = actions.request(db.session(), "test.chore", {}).id
        session.commit()
    live = a_dry_run(session, is_done=False)

    def listed(*words: str) -> list[int]:
        return [
            run["run"] for run in reported(run_command("runs", "list", "--json", *words))["runs"]
        ]

    assert listed() == [live, done]
    assert listed("--all") == [live, chore, done]
    assert listed("--kind", "test.chore") == [chore]
    assert listed("--live") == [live] == listed("--status", "queued")
    assert listed("--limit", "1") == [live]
    plain = run_command("runs", "list")
    assert plain.exit_code == 0
    assert "Recalculate customer balances" in plain.stdout
    assert run_command("runs", "list", "--kind", "nonsense").exit_code == 2
    assert run_command("runs", "list", "--status", "nonsense").exit_code == 2


def test_show_says_what_came_of_it_by_its_exit_status_too(
    session: Any, run_command: Command
) -> None:
    found = run_command("runs", "show", str(a_dry_run(session, "Ana", "Budiman")), "--json")
    assert found.exit_code == 1, "a dry run that finds changes"
    run = reported(found)
    assert (run["status"], run["checked"], run["changed"]) == ("done", 2, 2)
    assert [item["net"] for item in run["items"]] == ["7000000.00", "3000000.00"]
    assert run["items"][0]["before"] == {"balance": "0.00"}
    failed = a_dry_run(session, "Broken")
    plain = run_command("runs", "show", str(failed))
    assert plain.exit_code == 1
    assert "the ledger of this customer is closed" in plain.stdout
    live = a_dry_run(session, is_done=False)
    assert run_command("runs", "show", str(live)).exit_code == 0
    assert run_command("runs", "show", "999").exit_code == 2
    assert run_command("runs", "show", "x").exit_code == 2
    assert run_command("runs", "show", "9" * 30).exit_code == 2


def test_a_dry_run_is_applied_here_and_only_with_a_reason(
    session: Any, run_command: Command
) -> None:
    run_id = str(a_dry_run(session, "Ana", "Budiman"))
    refused = run_command("runs", "apply", run_id)
    assert refused.exit_code == 2
    assert "Say why" in refused.stderr
    done = run_command("runs", "apply", run_id, "--reason", "recount", "--json")
    assert done.exit_code == 0
    run = reported(done)
    assert (run["status"], run["changed"], run["follows"]) == ("done", 2, int(run_id))
    assert run["requested_by"].startswith("cli:")
    assert run_command("runs", "apply", run_id, "--reason", "again").exit_code == 2


def test_above_a_limit_the_command_line_too_waits_for_a_user_who_is_signed_in(
    session: Any, run_command: Command, app: Flask
) -> None:
    app.config["APPROVAL_ABOVE_COUNT"] = 0
    run_id = str(a_dry_run(session, "Ana"))
    waiting = run_command("runs", "apply", run_id, "--reason", "recount", "--json")
    assert waiting.exit_code == 1
    assert reported(waiting)["status"] == "awaiting approval"
    number = str(reported(waiting)["run"])
    assert run_command("runs", "approve", number).exit_code == 2, "no command approves"
    assert run_command("runs", "retry", number).exit_code == 2
    session.rollback()
    assert session.get_one(Run, int(number)).status == "awaiting approval"


def test_a_run_is_cancelled_and_what_is_left_retried(session: Any, run_command: Command) -> None:
    run_id = str(a_dry_run(session, "Ana", "Budi", "Citra", is_done=False))
    stopped = run_command("runs", "cancel", run_id, "--json")
    assert (stopped.exit_code, reported(stopped)["status"]) == (0, "cancelled")
    assert run_command("runs", "cancel", run_id).exit_code == 2
    assert run_command("runs", "retry", "999").exit_code == 2
    failed = str(a_dry_run(session, "Broken"))
    retried = run_command("runs", "retry", failed, "--json")
    assert retried.exit_code == 1, "it fails again"
    assert reported(retried)["failed"] == 1


def test_what_is_queued_is_left_to_the_workers(session: Any, run_command: Command) -> None:
    failed = str(a_dry_run(session, "Broken"))
    left = run_command("runs", "retry", failed, "--queue", "--json")
    assert (left.exit_code, reported(left)["status"]) == (0, "queued")
    assert run_command("runs", "retry", failed, "--queue").exit_code == 2, "it is live"
    run = session.scalars(select(Run).where(Run.follows == int(failed))).one()
    assert run.started_at is None
