"""`backoffice figures reconcile`: the same file as on the screen, and its exit status."""

import csv
import io
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg

from backoffice import figures
from backoffice.app.extensions import db

Command = Callable[..., Any]


def test_every_row_and_control_totals_that_tie_out(
    book: list[int], run_command: Command, surgery: psycopg.Connection[Any]
) -> None:
    assert run_command("figures", "reconcile", "orders.grand_total").exit_code == 0
    surgery.execute("UPDATE orders SET grand_total = grand_total + 0.01 WHERE id = %s", [book[0]])
    done = run_command("figures", "reconcile", "orders.grand_total")
    assert done.exit_code == 1
    assert not done.stdout_bytes.startswith(b"\xef\xbb\xbf")
    lines = list(csv.DictReader(io.StringIO(done.stdout, newline="")))
    rows = [line for line in lines if line["figure"] == "orders.grand_total"]
    [total] = [line for line in lines if line["figure"] == "TOTAL"]
    assert [(r["id"], r["difference"], r["right"]) for r in rows][:2] == [
        (str(book[0]), "-0.01", "no"), (str(book[1]), "0.00", "yes"),
    ]  # fmt: skip
    for name in ("stored", "expected", "difference"):
        assert Decimal(total[name]) == sum(Decimal(r[name]) for r in rows)
    figures.heal(db.engine)


def test_scope_flavour_and_a_file_are_options(
    book: list[int], run_command: Command, tmp_path: Path
) -> None:
    path = tmp_path / "report.csv"
    words = ("--owner", str(book[1]), "--since", "2026-01-01", "--flavour", "csv-id", "--bom")
    done = run_command("figures", "reconcile", "orders.grand_total", *words, "--output", str(path))
    assert done.exit_code == 0
    data = path.read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    assert b";10000,02;" in data
    assert data.count(b"orders.grand_total;R-") == 1


def test_an_unknown_figure_and_a_bad_day_are_trouble(app: Any, run_command: Command) -> None:
    assert run_command("figures", "reconcile", "orders.grandtotal").exit_code == 2
    for day in ("yesterday", "0001-01-01", "1899-12-31", "9999-12-31"):
        for option in ("--since", "--until"):
            wrong = run_command("figures", "reconcile", "orders.grand_total", option, day)
            assert wrong.exit_code == 2, (option, day)
            assert day in wrong.output
