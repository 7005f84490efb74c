"""Northwind, the company of `tests/data/northwind`: its files, and importing them."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

FILES = Path(__file__).parent / "data" / "northwind"
KINDS = ("customers", "account-managers", "orders", "order-lines")


def rows(name: str) -> list[dict[str, str]]:
    """The lines of one of the files."""
    with (FILES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def imported(run_command: Callable[..., Any]) -> None:
    """Import all four files with the real command."""
    for kind in KINDS:
        done = run_command("import", kind, str(FILES / f"{kind.replace('-', '_')}.csv"))
        assert done.exit_code == 0, done.output
