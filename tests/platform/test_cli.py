"""What all commands have in common."""

import json
from collections.abc import Callable
from typing import Any

import click
import psycopg
import pytest
from click.testing import CliRunner
from flask import Flask

from backoffice.app.command_line import Trouble, progress_bar, refusals_reported
from backoffice.app.commands import COMMANDS, command_named
from backoffice.base.refusals import Refusal
from backoffice.commands.cli import main
from tests.factories.customers import CustomerFactory
from tests.factories.people import UserFactory
from tests.factories.wallets import WalletFactory

Run = Callable[..., Any]


def test_info_gives_addresses_that_work(run_command: Run) -> None:
    done = run_command("info", "--json")
    assert done.exit_code == 0
    facts = json.loads(done.stdout)
    assert {"version", "database_url", "admin_database_url", "redis_url", "home"} <= set(facts)
    for name, role in (
        ("database_url", "backoffice_app"),
        ("admin_database_url", "backoffice_admin"),
    ):
        with psycopg.connect(facts[name]) as connection:
            assert connection.execute("SELECT current_user").fetchone() == (role,)


@pytest.mark.parametrize("name", ["runs", "figures"])
def test_a_group_offers_what_its_sentence_lists(name: str) -> None:
    command = command_named(name)
    assert isinstance(command, click.Group)
    listed = COMMANDS[name].sentence.partition(": ")[2].rstrip(".").split(", ")
    assert set(listed) <= set(command.commands)


def test_a_list_in_a_pipe_cuts_nothing(session: Any, run_command: Run) -> None:
    email = f"{'a.very.long.address.' * 10}@subsidiary.example.com"
    UserFactory(email=email, name=f"Maria Magdalena {'Wijayakusuma' * 15}")
    customer = CustomerFactory(name="Hardjowigeno" * 16)
    wallet = WalletFactory(customer=customer)
    session.commit()
    listed = run_command("users", "list").stdout
    assert (email in listed, "…" in listed) == (True, False)
    name = "reconciliation-of-the-data-warehouse" * 2
    assert run_command("tokens", "create", "--name", name, "--scope", "metrics").exit_code == 0
    assert name in run_command("tokens", "list").stdout
    for words in (
        ("balance", "verify-sync"),
        ("schedule", "list"),
        ("runs", "list"),
        ("figures", "list"),
    ):
        assert "…" not in run_command(*words).stdout, words
    assert wallet


def test_info_shows_a_person_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "long enough")
    for database, redis in (
        ("postgresql://app:p4ssw0rd@db.example/books", "rediss://:p4ssw0rd@queue.example:6380/1"),
        ("postgresql://app@/books?password=p4ssw0rd", "redis://queue.example?password=p4ssw0rd"),
    ):
        monkeypatch.setenv("DATABASE_URL", database)
        monkeypatch.setenv("REDIS_URL", redis)
        done = CliRunner().invoke(main, ["info"])
        assert done.exit_code == 0
        assert "p4ssw0rd" not in done.output
        assert done.output.count("***") >= 2


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself(name: str) -> None:
    done = CliRunner().invoke(main, [name, "--help"])
    assert done.exit_code == 0
    assert "Usage" in done.output


def test_without_a_database_a_command_says_so_and_ends_with_2(
    app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://app@127.0.0.1:1/books")
    monkeypatch.setenv("SECRET_KEY", "long enough")
    done = CliRunner().invoke(main, ["users", "list"])
    assert done.exit_code == 2
    assert "The database cannot be used now" in done.stderr
    assert "Traceback" not in done.output


def test_a_wrong_setting_ends_a_command_with_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CURRENCY", "XXX")
    done = CliRunner().invoke(main, ["users", "list"])
    assert done.exit_code == 2
    assert "CURRENCY" in done.stderr


def test_bad_usage_ends_with_2(run_command: Run) -> None:
    assert run_command("figures", "verify", "--no-such-option").exit_code == 2
    assert run_command("no-such-command").exit_code == 2


def test_a_bar_moves_on_a_terminal_and_nothing_is_drawn_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress_bar("Rows", 2) as tell:
        assert tell is None
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress_bar("Rows", 2) as tell:
        assert tell is not None
        tell(advance=1)
        tell(completed=2)
    drawn = capsys.readouterr()
    assert "2/2" in drawn.err
    assert drawn.out == ""


def test_a_refusal_is_a_sentence_and_exit_status_two(app: Flask) -> None:
    with pytest.raises(Trouble, match="is not possible here") as reported, refusals_reported():
        raise Refusal()
    assert reported.value.exit_code == 2
