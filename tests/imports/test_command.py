"""The command `backoffice import`: its output and exit status."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backoffice.customers.models import Customer
from backoffice.imports.files.stage import Stage
from backoffice.imports.importing import import_files
from backoffice.imports.kinds import KINDS
from backoffice.imports.report import Problem

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


def test_a_file_that_is_named_twice_is_two_files(
    write: Write, run_command: Run, session: Session, tmp_path: Path
) -> None:
    file, failed = str(write("c.csv", "code,name", "A,a", "B,")), tmp_path / "failed.csv"
    options = ("--skip-bad-rows", "--failed", str(failed))
    result = run_command("import", "customers", file, file, *options)
    assert result.exit_code == 1
    assert result.output.splitlines()[:3] == [
        f"{file}:3: name: This must not be empty.",
        f"{file} (2):2: code: This code stands in line 2 already.",
        f"{file} (2):3: name: This must not be empty.",
    ]
    assert session.scalars(select(Customer.code)).all() == ["A"]
    assert [line[:2] for line in failed.read_text().splitlines()[1:]] == ["B,", "A,", "B,"]


def test_an_import_ends_where_no_line_can_be_left_out(write: Write, session: Session) -> None:
    def complain(stage: Stage) -> Iterator[Problem]:
        yield Problem(stage.names[0], 99, "", "This is wrong.")

    kind, file = replace(KINDS["customers"], check=complain), write("c.csv", "code,name", "A,a")
    report = import_files(session, kind, [file], skip_bad_lines=True)
    assert (report.went_through, report.bad_lines) == (False, 1)


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
