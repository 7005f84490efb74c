"""The command `backoffice import`: what it says, and its exit status."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backoffice.customers.models import Customer

Write = Callable[..., Path]
Run = Callable[..., Any]


def test_a_good_file_is_said_to_be_in(write: Write, run_command: Run, session: Session) -> None:
    result = run_command("import", "customers", str(write("c.csv", "code,name", "A,a")))
    assert result.exit_code == 0
    assert result.output == (
        "customers: 1 lines read, 1 created, 0 updated, 0 removed, 0 unchanged.\n"
    )
    assert session.scalar(select(func.count()).select_from(Customer)) == 1


def test_bad_lines_are_listed_as_editors_read_them(write: Write, run_command: Run) -> None:
    file = write("c.csv", "code,name", "A,", "B,b,b", ",")
    result = run_command("import", "customers", str(file))
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        f"{file}:2: name: This must not be empty.",
        f"{file}:3: This line has 3 cells, the header 2.",
        "2 bad lines in customers. Nothing was changed.",
    ]


def test_a_dry_run_says_what_would_change(write: Write, run_command: Run, session: Session) -> None:
    file = write("c.csv", "code,name", "A,a")
    result = run_command("import", "customers", str(file), "--dry-run")
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "customers: 1 lines read, 1 created, 0 updated, 0 removed, 0 unchanged.",
        "This was a dry run: nothing was changed.",
    ]
    assert session.scalar(select(func.count()).select_from(Customer)) == 0


@pytest.mark.parametrize(
    "words",
    [
        ("customers",),
        ("customers", "no-such-file.csv"),
        ("customers", "."),
        ("planets", "setup.cfg"),
        (),
    ],
)
def test_bad_usage_is_trouble(words: tuple[str, ...], run_command: Run) -> None:
    assert run_command("import", *words).exit_code == 2
