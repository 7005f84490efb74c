"""`backoffice db psql`: PostgreSQL's client at this database, whether it is installed or not."""

import os
import subprocess
import sys

import pytest
from flask import Flask

from backoffice.app.config import ROOT

pytestmark = pytest.mark.slow


def psql(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run the command as a user does."""
    main = "from backoffice.commands.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", main, "db", "psql", *arguments], cwd=ROOT, text=True,
        env={**os.environ, **environment}, stdin=subprocess.DEVNULL, capture_output=True,
        timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("path", [os.environ["PATH"], "/nowhere"], ids=["installed", "embedded"])
@pytest.mark.parametrize("role", ["app", "owner", "admin"])
def test_statements_are_executed_as_the_role_that_is_asked_for(
    role: str, path: str, app: Flask
) -> None:
    done = psql("--as", role, "-At", "-c", "SELECT current_user", PATH=path)
    assert (done.returncode, done.stdout) == (0, f"backoffice_{role}\n"), done.stderr


def test_without_a_role_it_is_the_owner_and_a_failed_statement_is_trouble(app: Flask) -> None:
    assert psql("-At", "-c", "SELECT current_user").stdout == "backoffice_owner\n"
    done = psql("-c", "SELECT nonsense")
    assert done.returncode == 2
    assert 'column "nonsense" does not exist' in done.stderr


def test_a_password_stands_in_no_list_of_processes(app: Flask) -> None:
    address = "postgresql://someone:p4ssw0rd@127.0.0.1:1/books"
    there = {
        "DATABASE_URL": address,
        "SECRET_KEY": "long enough",
        "REDIS_URL": "redis://127.0.0.1:1",
    }
    done = psql("-c", "SELECT 1", **there)
    assert done.returncode == 2
    assert "p4ssw0rd" not in done.stderr
