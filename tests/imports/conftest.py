"""Importing files as the real command does."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Import = Callable[..., dict[str, Any]]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a file: `write("orders.csv", "number,…", "SO-1,…")`; bytes are written as they are."""

    def written(name: str, *lines: str | bytes) -> Path:
        path = tmp_path / name
        encoded = [line if isinstance(line, bytes) else line.encode() for line in lines]
        path.write_bytes(b"".join(line + b"\n" for line in encoded))
        return path

    return written


@pytest.fixture
def report_of(run_command: Callable[..., Any]) -> Import:
    """Run `backoffice import KIND FILE… --json` and read the report; the exit status fits it."""

    def reported(kind: str, *files: Path, dry_run: bool = False) -> dict[str, Any]:
        options = ["--json", *(["--dry-run"] if dry_run else [])]
        result = run_command("import", kind, *map(str, files), *options)
        assert result.stdout, result.output
        report: dict[str, Any] = json.loads(result.stdout)
        assert result.exit_code == (1 if report["problems"] else 0)
        return report

    return reported


@pytest.fixture
def import_(report_of: Import) -> Import:
    """Import files that are all right."""

    def imported(*arguments: Any, **options: Any) -> dict[str, Any]:
        report = report_of(*arguments, **options)
        assert report["problems"] == []
        return report

    return imported


@pytest.fixture
def problems(report_of: Import) -> Callable[..., list[tuple[int, str, str]]]:
    """Import a file that must be refused: line, column and sentence of each problem."""

    def found(kind: str, *files: Path) -> list[tuple[int, str, str]]:
        report = report_of(kind, *files)
        assert report["problems"]
        assert not report["applied"]
        assert (report["created"], report["updated"], report["removed"]) == (0, 0, 0)
        return [(p["line"], p["column"], p["message"]) for p in report["problems"]]

    return found
