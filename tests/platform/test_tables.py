"""Tables of commands show every word at any width: nothing is cut with an ellipsis on a terminal."""

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select

from backoffice.app.command_line import print_rows
from backoffice.app.config import ROOT
from backoffice.people.models import User
from backoffice.runs.models import Run
from tests.billing.books_of_meters import a_customer, a_payment, an_invoice
from tests.drift.every_figure import fill
from tests.factories.ledger import AccountFactory, of, posted

pytestmark = pytest.mark.slow

Outside = psycopg.Connection[Any]

WIDTHS = (60, 80, 120)

TABLES = {
    "backoffice/billing/migration/cli.py": [
        "validate meter-financial-data", "migrate meter-financials --dry-run",
    ],
    "backoffice/drift/cli.py": ["figures list"],
    "backoffice/drift/healing/dry_runs.py": ["figures heal --dry-run"],
    "backoffice/drift/healing/moved_wording.py": ["import payments {folder}/payments.csv --dry-run"],
    "backoffice/drift/healing/printing.py": ["figures verify"],
    "backoffice/ledger/cli.py": ["ledger trial-balance", "ledger balance-sheet", "ledger income-statement"],
    "backoffice/ledger/posting/cli.py": ["ledger reconcile --dry-run"],
    "backoffice/people/cli.py": ["users list"],
    "backoffice/people/tokens_cli.py": ["tokens list"],
    "backoffice/runs/cli.py": ["runs list"],
    "backoffice/runs/item_tables.py": ["runs show {dry}"],
    "backoffice/schedules/cli.py": ["schedule list"],
    "backoffice/wallets/cli.py": ["balance verify-sync --dry-run"],
}  # fmt: skip
"""Module that prints a table → commands that print it."""

TAMPERED = (
    "UPDATE orders SET grand_total = 9876543210.12 WHERE id = 1",
    "UPDATE wallets SET balance = balance + 1234567.89, total_spent = 7654321.00 WHERE id = 1",
    "UPDATE meters SET balance = balance + 45999.00, paid = 88888888.88 WHERE id = 1",
    "UPDATE accounts SET debits = debits + 127200000 WHERE code = 'BANK'",
    "UPDATE monthly_customer_balances SET closing_balance = closing_balance + 1000000.01",
)


def on_a_terminal(patch: pytest.MonkeyPatch, width: int) -> None:
    """Let commands print as on a terminal of so many columns."""
    for name, value in {
        "COLUMNS": width,
        "LINES": 40,
        "TTY_COMPATIBLE": 1,
        "TERM": "xterm",
    }.items():
        patch.setenv(name, str(value))


def test_every_module_that_prints_a_table_is_tried() -> None:
    """`audit …` prints its findings through the tables of `drift`."""
    printing = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "backoffice").rglob("*.py")
        if re.search(r"(?<!def )\bprint_rows\(", path.read_text())
    }
    assert printing == set(TABLES)


@pytest.fixture
def drifted(
    session: Any, surgery: Outside, run_command: Callable[..., Any], tmp_path: Path
) -> dict[str, str]:
    """A book with drift of every kind of amount, names that are long, and runs that have found it."""
    fill(session)
    lost = a_customer("CUSTOMER-WITH-A-LONG-CODE-1", "M-LOST")
    a_payment("PAYMENT-OF-NO-METER-1", lost)
    an_invoice("INVOICE-OF-NO-METER-1", lost)
    long = "Bank accounts of the branches [in the province] of West Java"
    bank = AccountFactory(code="BANK", name=long, type="asset")
    capital = AccountFactory(code="CAPITAL", name="Capital", type="equity")
    posted(of(bank, Decimal("9999999999.99")), of(capital, Decimal("-9999999999.99")))
    session.commit()
    assert (
        run_command(
            "tokens", "create", "--name", "monitor-of-the-branches", "--scope", "health"
        ).exit_code
        == 0
    )
    for statement in TAMPERED:
        surgery.execute(statement.encode())
    run_command("figures", "heal", "--dry-run")
    session.rollback()
    customer, meter, invoice = (
        surgery.execute(
            "SELECT c.code, m.number, i.number FROM invoices i JOIN meters m ON m.id = i.meter_id "
            "JOIN customers c ON c.id = i.customer_id ORDER BY i.id LIMIT 1"
        ).fetchone()
        or ()
    )
    (tmp_path / "payments.csv").write_text(
        "reference,customer_code,meter_number,invoice_number,paid_on,amount\n"
        f"P-NEW-1,{customer},{meter},{invoice},2026-03-15,123456789.01\n"
    )
    dry = session.scalar(select(func.max(Run.id)).where(Run.dry_run))
    assert session.scalar(select(func.count()).select_from(User))
    return {"dry": str(dry), "folder": str(tmp_path)}


def words_of(printed: str) -> list[str]:
    """The words of an output, without the lines of a table and the codes of a terminal."""
    return (
        re.sub(r"\x1b\[[0-9;]*m", "", printed)
        .translate(dict.fromkeys(range(0x2500, 0x2580), " "))
        .split()
    )


@pytest.mark.leaves_drift
@pytest.mark.timeout(600)
def test_a_terminal_shows_every_word_that_a_file_has(
    drifted: dict[str, str], run_command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = 0
    for command in [one for commands in TABLES.values() for one in commands]:
        words = command.format(**drifted).split()
        whole = run_command(*words).stdout
        tables += "┃" in whole
        assert "┃" in whole, f"{command} prints no table: {whole}"
        head = next(line for line in whole.splitlines() if "┃" in line)
        empty = words_of(head)  # a block leaves out what is empty, with its title
        expected = words_of(re.sub(r"\d+", "9", whole))
        for width in WIDTHS:
            with monkeypatch.context() as terminal:
                on_a_terminal(terminal, width)
                shown = run_command(*words).stdout
            assert shown.count("…") == whole.count("…"), f"{command} at {width} columns:\n{shown}"
            said = set(words_of(re.sub(r"\d+", "9", shown)))
            missing = [word for word in expected if word not in said and word not in empty]
            assert not missing, f"{command} at {width} columns lacks {missing}:\n{shown}"
            if "┃" in shown:
                assert max(len(line) for line in re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()
                           if "│" in line) <= width  # fmt: skip


@pytest.mark.parametrize("width", [20, 40, 60, 200])
def test_a_name_in_brackets_and_a_long_word_are_printed_whole(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_a_terminal(monkeypatch, width)
    rows = [
        ("[bold]Ada[/bold]", "figure_named_at_length.grand_total", Decimal("9999999999999.99"), "")
    ]
    print_rows(["Name", "Figure", "Amount", "Why"], rows)
    shown = capsys.readouterr().out
    for word in ("[bold]Ada[/bold]", "figure_named_at_length.grand_total", "9,999,999,999,999.99"):
        assert word in shown
