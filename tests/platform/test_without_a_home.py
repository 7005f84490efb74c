"""Without a writable home, as in a container: commands and runs end well, or with a sentence."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from backoffice.app.config import ROOT, plain_url
from backoffice.app.extensions import db
from backoffice.customers.models import Customer
from backoffice.runs import actions
from backoffice.runs.models import FAILED, RunChunk
from backoffice.runs.working import perform
from tests.factories.orders import OrderFactory

NOWHERE = "/proc/no-home"
"""No user may make a folder there, root neither."""

COMMANDS = [
    ("audit anchor", 2, "/proc/no-home cannot be written: "),
    ("audit anchor --restored yesterday", 2, "/proc/no-home cannot be written: "),
    ("audit seal", 0, ""),
    ("audit verify-chain", 0, ""),
    ("db routine", 0, ""),
    ("figures verify", 0, ""),
    ("figures heal", 0, ""),
    ("figures reconcile orders.grand_total --output /proc/no-home/file.csv", 2, "No such file or directory"),
    ("runs list", 0, ""),
    ("info", 0, ""),
    ("schedule list", 0, ""),
    ("schedule run audit-anchor", 2, "/proc/no-home cannot be written: "),
    ("demo load", 2, "There is data already"),
]  # fmt: skip


def backoffice(app: Flask, command: str) -> "subprocess.CompletedProcess[str]":
    """Run a command as a container does, on the test's database and Redis."""
    given = {
        **os.environ, "BACKOFFICE_HOME": NOWHERE, "SECRET_KEY": app.config["SECRET_KEY"],
        "DATABASE_URL": plain_url(app.config["DATABASE_URL"]), "REDIS_URL": app.config["REDIS_URL"],
        "MIGRATION_DATABASE_URL": plain_url(app.config["MIGRATION_DATABASE_URL"]),
    }  # fmt: skip
    main = "from backoffice.commands.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", main, *command.split()], cwd=ROOT, env=given, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("command", "status", "sentence"), COMMANDS)
def test_a_command_does_its_work_or_ends_with_a_sentence(
    command: str, status: int, sentence: str, app: Flask, session: Any
) -> None:
    OrderFactory()
    session.commit()
    if "anchor" in command:
        assert backoffice(app, "audit seal").returncode == 0
    done = backoffice(app, command)
    assert "Traceback" not in done.stderr
    assert (done.returncode, sentence in done.stderr) == (status, True), done.stderr


@pytest.mark.slow
def test_the_demo_company_is_loaded_and_says_that_its_passwords_are_not_kept(
    app: Flask, session: Any
) -> None:
    done = backoffice(app, "demo load --json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["sign_ins"]) == 4
    assert "/proc/no-home cannot be written, so these passwords are not kept." in done.stderr
    assert session.scalar(select(func.count(Customer.id))) > 50


def test_an_anchoring_run_names_the_folder_that_cannot_be_written(
    app: Flask, session: Any, run_command: Any
) -> None:
    OrderFactory()
    session.commit()
    assert run_command("audit", "seal").exit_code == 0
    app.config["BACKOFFICE_HOME"] = NOWHERE
    run = actions.request(session, "audit.anchor", {}, is_paced=False)
    session.commit()
    perform(db.engine, run.id)
    session.refresh(run)
    assert run.status == FAILED
    errors = session.scalars(select(RunChunk.error).where(RunChunk.run_id == run.id)).all()
    assert any(e.startswith(f"{NOWHERE} cannot be written: ") for e in errors), errors
