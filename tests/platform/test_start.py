"""A command starts quickly: it imports only what it needs, and only the web imports the screens."""

import json
import subprocess
import sys
from functools import cache
from typing import Any

import pytest
from flask import Flask

pytestmark = pytest.mark.slow

WEB_ALONE = {
    "alembic", "flask_limiter", "flask_migrate", "flask_wtf", "jinja2_fragments", "limits", "wtforms",
    "backoffice.app.protection", "backoffice.lists.screens", "backoffice.security.permissions",
}  # fmt: skip
SPARED = WEB_ALONE | {
    "email_validator", "openpyxl", "prometheus_client", "redis", "rq",
}  # fmt: skip
"""Modules that are slow to import, or import others that are, and that no plain command needs."""

PLAIN = (
    "--help",
    "figures --help",
    "info",
    "info --json",
    "figures list",
    "figures list --json",
    "figures verify orders.grand_total --json",
    "runs list",
    "schedule list",
    "users list --json",
    "tokens list --json",
    "audit verify-chain",
)

DONE_ELSEWHERE = {
    "backoffice.billing.migration.together", "backoffice.billing.migration.preview",
    "backoffice.billing.payments.actions", "backoffice.billing.recalculation.chunks",
    "backoffice.customers.merging", "backoffice.orders.bulk.actions", "backoffice.pricing.actions",
    "backoffice.records.actions",
}  # fmt: skip
"""Modules that perform a verb or a chunk: listing the kinds of runs must not import them."""

BARE = "flask, sqlalchemy.orm, flask_sqlalchemy, flask_babel, psycopg, structlog, click"
"""The third-party modules that every command needs."""

LISTED = """
import gc, json, sys
sys.argv = ["backoffice", *sys.argv[1:]]
from backoffice.commands.start import main
try:
    main()
finally:
    print(gc.isenabled(), gc.get_freeze_count() > 0, file=sys.stderr)
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""

COUNTED = """
import sys
calls = 0
def count(frame, event, arg):
    global calls
    calls += event in ("call", "c_call")
sys.argv = ["backoffice", *sys.argv[1:]]
sys.setprofile(count)
try:
    if sys.argv[1:]:
        from backoffice.commands.start import main
        main()
    else:
        import {bare}
finally:
    sys.setprofile(None)
    print(calls, file=sys.stderr)
"""

KNOWN = """
import atexit, gc, json, sys
atexit.register(lambda: print(gc.get_freeze_count() > 0, file=sys.stderr))
import backoffice.app
app = getattr(backoffice.app, sys.argv[1])({"TESTING": True})
from backoffice.base import Base
from backoffice.figures import registry
assert not {"alembic", "openpyxl", "xlsxwriter"} & sys.modules.keys(), "read before it is asked for"
app.extensions["migrate"]
assert "alembic" in sys.modules
backoffice.app.loading.read_ahead(app)
read = set(sys.modules)
from backoffice.figures.computing import definitions
with app.app_context():
    app.declared.kinds
    assert set(sys.modules) == read, "a child of this process would read them again"
    assert definitions.digests.cache_info().currsize == 1
    print(json.dumps({
        "tables": sorted(Base.metadata.tables),
        "figures": [figure.name for figure in registry.figures],
        "kinds": sorted(app.declared.kinds),
        "recorded": sorted(app.declared.recorded),
        "owned_records": [owned.name for owned in app.declared.owned_records],
        "recalculated": [owners.kind for owners in app.declared.owners],
        "subjects": sorted(app.declared.subjects),
        "words": sorted(app.declared.words),
    }))
"""


def python(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@cache
def listed(command: str) -> subprocess.CompletedProcess[str]:
    """Run a command on an empty book and report the modules that it imports; run once for all tests."""
    done = python(LISTED, *command.split())
    assert done.returncode == 0, done.stderr
    return done


def read_by(command: str) -> set[str]:
    """The modules that a command imports."""
    return set(json.loads(listed(command).stderr.splitlines()[-1]))


@pytest.mark.parametrize("command", ["info --json", "users list --json"])
def test_once_a_command_has_started_garbage_is_collected_again(app: Flask, command: str) -> None:
    *_, collecting, _read = listed(command).stderr.splitlines()
    assert collecting == "True True"


@pytest.mark.parametrize("command", PLAIN)
def test_a_plain_command_reads_nothing_of_the_web(app: Flask, command: str) -> None:
    read = read_by(command)
    assert not read & SPARED
    assert not [
        name
        for name in read
        if name.startswith("backoffice.") and name.endswith((".views", "_views"))
    ]


@pytest.mark.parametrize(
    "command",
    ["--help", "info --json"]
    + [f"{group} list --json" for group in ("users", "tokens", "runs", "schedule", "figures")],
)
def test_what_draws_nothing_leaves_the_painter_alone(app: Flask, command: str) -> None:
    assert not {"rich", "pygments"} & read_by(command)


def test_what_was_left_unread_can_be_read_later() -> None:
    """Progress bars and tables need it."""
    program = """
import sys
from backoffice.app.loading import unread
with unread("rich"):
    import structlog
assert "rich" not in sys.modules
import rich.progress
with unread("rich"):
    import rich
assert rich.progress
"""
    assert python(program).returncode == 0


def test_help_names_every_command_without_reading_any(app: Flask) -> None:
    read = read_by("--help")
    assert "figures" in listed("--help").stdout
    assert not [name for name in read if name.endswith(("cli", "_cli")) and name != "flask.cli"
                and name.startswith("backoffice.") and name != "backoffice.commands.cli"]  # fmt: skip
    assert "backoffice.drift" not in read


def test_commands_and_workers_know_of_the_records_what_the_web_knows(app: Flask) -> None:
    """A worker that did not know the owned records would merge two customers without their orders."""
    known: dict[str, Any] = {}
    for create in ("create_app", "create_background_app"):
        done = python(KNOWN, create)
        assert done.returncode == 0, done.stderr
        assert done.stderr == "True\n", "it ends without a search for garbage"
        known[create] = json.loads(done.stdout)
    assert known["create_background_app"] == known["create_app"]
    assert known["create_app"]["owned_records"]


@pytest.mark.parametrize("command", ["runs list", "figures list", "users list"])
def test_who_lists_what_can_be_done_does_not_read_how(app: Flask, command: str) -> None:
    assert not DONE_ELSEWHERE & read_by(command)


def calls_of(*arguments: str) -> int:
    """The number of function calls of a command from start to end; without arguments, of importing the libraries."""
    done = python(COUNTED.format(bare=BARE), *arguments)
    assert done.returncode == 0, done.stderr
    return int(done.stderr.splitlines()[-1])


def test_a_command_takes_little_longer_than_to_read_the_libraries_that_it_needs(app: Flask) -> None:
    """Measured by the number of function calls, which is the same on every machine, however busy.

    2.5 times as many calls, most of them short, take 1.5 times as long: where the libraries take 0.67 s, a second.
    """
    bare = calls_of()
    commands = ("info --json", "users list --json", "figures list --json", "runs list --json")
    times = {command: calls_of(*command.split()) / bare for command in commands}
    assert times["info --json"] < 1.2, times
    assert max(times.values()) < 2.6, times
