"""`backoffice audit …`, and the same tasks as runs."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from backoffice.audit.models import AuditCheck, AuditSeal
from backoffice.base import periods
from backoffice.runs import actions as runs
from backoffice.runs.models import DONE_WITH_FAILURES, Run
from backoffice.runs.working import perform

Command = Callable[..., Any]
Write = Callable[..., None]
Surgeon = psycopg.Connection[Any]


@pytest.fixture(autouse=True)
def own_home(app: Flask, tmp_path: Path) -> Path:
    """A separate folder for a test's anchors."""
    app.config["BACKOFFICE_HOME"] = tmp_path
    return tmp_path


@pytest.fixture
def do(session: Session, engine: Engine) -> Callable[[str], Run]:
    """`do("audit.seal")`: requests a run of that kind and performs it."""

    def do(kind: str) -> Run:
        run = runs.request(session, kind, {})
        session.commit()
        perform(engine, run.id)
        session.refresh(run)
        return run

    return do


def test_before_anything_is_sealed_the_trail_is_clean(run_command: Command, write: Write) -> None:
    write(2)
    done = run_command("audit", "verify-chain")
    assert done.exit_code == 0
    assert "2 events are not sealed yet" in done.output
    done = run_command("audit", "anchor")
    assert done.exit_code == 2
    assert "backoffice audit seal" in done.output


def test_seal_anchor_verify(run_command: Command, write: Write, own_home: Path) -> None:
    write(3)
    assert "3 events were sealed" in run_command("audit", "seal").output
    assert json.loads(run_command("audit", "seal", "--json").stdout)["sealed"] == 0
    made = json.loads(run_command("audit", "anchor", "--json").stdout)
    assert len(list((own_home / "audit-anchors").iterdir())) == 1
    done = run_command("audit", "verify-chain", "--json")
    reported = json.loads(done.stdout)
    assert done.exit_code == 0
    assert (reported["ok"], reported["events"], reported["seals"], reported["waiting"]) == (
        True,
        3,
        2,
        0,
    )
    assert (reported["head"]["digest"], reported["last_anchor"]["digest"]) == (made["digest"],) * 2
    assert (reported["bad"], reported["first_bad"], reported["findings"]) == (0, None, [])


def test_fault_18_the_first_bad_row_is_named_and_the_exit_status_is_1(
    run_command: Command, write: Write, surgeon: Surgeon, session: Session
) -> None:
    write(5)
    run_command("audit", "seal")
    surgeon.execute("UPDATE audit_events SET actor = 'user:1' WHERE id IN (2, 4)")
    done = run_command("audit", "verify-chain", "--json")
    reported = json.loads(done.stdout)
    assert done.exit_code == 1
    assert (reported["ok"], reported["bad"]) == (False, 2)
    assert reported["first_bad"] == {
        "kind": "changed", "seal": 2, "event": 2, "table_name": "customers", "row_id": "2",
        "sentence": "Event 2 is not what was sealed: "
        "the row was changed, or put in another's place.",
    }  # fmt: skip
    done = run_command("audit", "verify-chain")
    assert done.exit_code == 1
    assert "First: Event 2 is not what was sealed" in done.output
    check = session.scalars(select(AuditCheck).order_by(AuditCheck.id.desc())).first()
    assert check is not None
    assert (check.kind, check.bad, check.actor) == ("verified", 2, "cli:root")
    assert check.first_bad.startswith("Event 2 ")


def test_a_database_that_takes_no_writes_is_verified_all_the_same(
    run_command: Command, write: Write, session: Session, admin_database_url: str
) -> None:
    write(2)
    run_command("audit", "seal")
    session.rollback()
    with psycopg.connect(admin_database_url, autocommit=True) as connection:
        connection.execute("ALTER ROLE backoffice_app SET default_transaction_read_only = on")
        try:
            session.get_bind().dispose()  # type: ignore[union-attr]
            done = run_command("audit", "verify-chain")
        finally:
            connection.execute("ALTER ROLE backoffice_app RESET default_transaction_read_only")
            session.get_bind().dispose()  # type: ignore[union-attr]
    assert done.exit_code == 0
    assert session.scalars(select(AuditCheck)).all() == []


def test_anchors_after_a_backup_was_taken_can_be_left_out(
    run_command: Command, write: Write, surgeon: Surgeon, session: Session
) -> None:
    write(2)
    run_command("audit", "seal")
    run_command("audit", "anchor")
    session.rollback()
    surgeon.execute("TRUNCATE audit_seals, audit_events")
    assert run_command("audit", "verify-chain").exit_code == 1
    assert run_command("audit", "verify-chain", "--until", "2020-01-01T00:00").exit_code == 0
    done = run_command("audit", "verify-chain", "--until", "yesterday")
    assert done.exit_code == 2
    assert "is not a time" in done.output


def test_the_time_until_which_anchors_count_is_one_of_the_business(
    run_command: Command, write: Write, own_home: Path
) -> None:
    write(2)
    run_command("audit", "seal")
    made = json.loads(run_command("audit", "anchor", "--json").stdout)
    there = periods.timezone()
    at = datetime.fromisoformat(made["at"]).astimezone(there).replace(tzinfo=None)

    def counted(until: str) -> int:
        done = run_command("audit", "verify-chain", "--until", until, "--json")
        return int(json.loads(done.stdout)["anchors"])

    for hours in (-1, 1):
        until = at + timedelta(hours=hours)
        for said in (until.isoformat(), until.replace(tzinfo=there).astimezone(UTC).isoformat()):
            assert counted(said) == (hours > 0), said


@pytest.mark.parametrize(
    "end", ["\u2028", "\u2029", "\x85", "\x0c", "\r", "\n", "\udcff"], ids=ascii
)
def test_whatever_ends_a_line_elsewhere_may_stand_in_the_reason_of_an_anchor(
    run_command: Command, write: Write, own_home: Path, end: str
) -> None:
    write(3)
    run_command("audit", "seal")
    made = run_command("audit", "anchor", "--restored", f"Disk failed.{end}Backup of 02:00.")
    assert made.exit_code == 0
    [file] = (own_home / "audit-anchors").iterdir()
    assert file.read_text().count("\n") == 1
    done = run_command("audit", "verify-chain", "--json")
    assert (done.exit_code, json.loads(done.stdout)["anchors"]) == (0, 1)


def test_anchors_of_another_machine_are_compared_too(
    run_command: Command, write: Write, own_home: Path, app: Flask, surgeon: Surgeon
) -> None:
    write(2)
    run_command("audit", "seal")
    app.config["BACKOFFICE_HOME"] = own_home / "other"
    run_command("audit", "anchor")
    app.config["BACKOFFICE_HOME"] = own_home
    surgeon.execute("DELETE FROM audit_seals WHERE number = 2")
    assert run_command("audit", "verify-chain").exit_code == 1, "the database holds it, too"
    surgeon.execute("DELETE FROM audit_checks")
    assert run_command("audit", "verify-chain").exit_code == 0
    other = str(own_home / "other" / "audit-anchors")
    assert run_command("audit", "verify-chain", "--anchors", other).exit_code == 1


def test_a_restore_that_one_machine_has_stated_counts_on_every_other(
    run_command: Command,
    write: Write,
    own_home: Path,
    app: Flask,
    surgeon: Surgeon,
    do: Callable[[str], Run],
) -> None:
    one, other, third = (own_home / name for name in ("one", "other", "third"))
    write(2)
    run_command("audit", "seal")
    surgeon.execute("CREATE TEMP TABLE backup AS SELECT * FROM audit_events")
    write(2)
    run_command("audit", "seal")
    for home in (one, other):
        app.config["BACKOFFICE_HOME"] = home
        run_command("audit", "anchor")
    _restore(surgeon)
    for home in (one, other):
        app.config["BACKOFFICE_HOME"] = home
        assert run_command("audit", "verify-chain").exit_code == 1
    run_command("audit", "anchor", "--restored", "Disk failed; backup of 02:00.")
    for home in (one, other, third):
        app.config["BACKOFFICE_HOME"] = home
        told = run_command("audit", "verify-chain", "--json")
        assert (told.exit_code, json.loads(told.stdout)["anchors"]) == (0, 1), home.name
    assert do("audit.verify").status == "done"


def _restore(surgeon: Surgeon) -> None:
    """Bring the trail back to its backup: what came later is gone, and what was anchored of it."""
    surgeon.execute("DELETE FROM audit_seals WHERE number = 3")
    surgeon.execute("DELETE FROM audit_events WHERE id NOT IN (SELECT id FROM backup)")
    surgeon.execute("DELETE FROM audit_checks")


def test_a_stored_anchor_that_was_changed_is_found(
    run_command: Command, write: Write, own_home: Path, surgeon: Surgeon
) -> None:
    write(2)
    run_command("audit", "seal")
    run_command("audit", "anchor")
    surgeon.execute(
        """UPDATE audit_checks SET anchor = replace(anchor, '"seal": 2', '"seal": 1')"""
    )
    told = json.loads(run_command("audit", "verify-chain", "--json").stdout)
    assert (told["ok"], told["first_bad"]["kind"]) == (False, "anchor")
    assert "audit_checks:1" in told["first_bad"]["sentence"]


def test_a_chain_under_an_unknown_key_is_trouble_to_who_would_seal(
    run_command: Command, write: Write, app: Flask
) -> None:
    write()
    run_command("audit", "seal")
    app.config["AUDIT_KEY"] = ("another secret altogether",)
    done = run_command("audit", "seal")
    assert done.exit_code == 2
    assert "AUDIT_KEY" in done.output
    assert run_command("audit", "verify-chain").exit_code == 1


# As runs


def test_the_trail_is_sealed_anchored_and_verified_by_runs(
    do: Callable[[str], Run], write: Write, session: Session, own_home: Path
) -> None:
    write(4)
    run = do("audit.seal")
    assert (run.status, run.changed) == ("done", 4)
    assert (run.result or {})["events"] == 4
    assert do("audit.anchor").status == "done"
    assert len(list((own_home / "audit-anchors").iterdir())) == 1
    run = do("audit.verify")
    assert (run.status, run.checked, (run.result or {})["bad"]) == ("done", 4, 0)
    session.rollback()
    assert len(session.scalars(select(AuditSeal)).all()) == 2
    kinds = session.scalars(select(AuditCheck.kind).order_by(AuditCheck.id)).all()
    assert kinds == ["anchored", "verified"]


def test_a_run_that_finds_a_bad_row_ends_with_failures(
    do: Callable[[str], Run], write: Write, surgeon: Surgeon
) -> None:
    write(4)
    do("audit.seal")
    surgeon.execute("DELETE FROM audit_events WHERE id = 3")
    run = do("audit.verify")
    assert (run.status, run.failed) == (DONE_WITH_FAILURES, 1)
    assert (run.result or {})["first_bad"].startswith("Event 3 is gone")


def test_a_run_with_nothing_to_seal_is_done(do: Callable[[str], Run]) -> None:
    assert do("audit.anchor").status == "done"
    assert do("audit.seal").status == "done"
    assert do("audit.verify").status == "done"
