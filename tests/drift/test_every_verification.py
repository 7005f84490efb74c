"""Every verification records its findings, whatever started it; a dry run and a page record none."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select

from backoffice.drift.models import DriftFinding
from tests.drift.every_figure import fill
from tests.ledger.test_balance_health import Program
from tests.platform.test_every_command import tree

pytestmark = pytest.mark.slow

Outside = psycopg.Connection[Any]

WALLET = "UPDATE wallets SET balance = balance + 7 WHERE id = 1"
ORDER = "UPDATE orders SET grand_total = grand_total + 7 WHERE id = 1"
ACCOUNT = "UPDATE accounts SET debits = debits + 7 WHERE id = 1"
LINE = "UPDATE order_lines SET description = 'Another' WHERE id = 1"
METER = "UPDATE meters SET balance = balance + 7 WHERE id = 1"

VERIFICATIONS = {
    "audit verify-facts": (LINE, "facts:order_lines"),
    "balance verify-sync": (WALLET, "wallets.balance"),
    "balance verify-sync --wallet-id 1": (WALLET, "wallets.balance"),
    "figures check": (METER, "check:meters.balances"),
    "figures check meters.balances": (METER, "check:meters.balances"),
    "figures verify": (WALLET, "wallets.balance"),
    "figures verify wallets.balance --owner 1": (WALLET, "wallets.balance"),
    "ledger health": (ACCOUNT, "accounts.sums"),
    "orders verify-grand-totals": (ORDER, "orders.grand_total"),
}
"""Command → what is tampered with, and the figure of the finding that it records."""

OTHERS = {"audit verify-chain": "the chain, which has no findings"}


def recorded(session: Any, figure: str) -> int:
    session.rollback()
    is_open = (DriftFinding.healed_at.is_(None), DriftFinding.figure == figure)
    return session.scalar(select(func.count()).where(*is_open)) or 0


def test_every_command_that_verifies_is_tried() -> None:
    verifying = {name for name in tree() if "verify" in name or "check" in name or "health" in name}
    tried = {" ".join(command.split()[:2]) for command in VERIFICATIONS}
    assert verifying == tried | OTHERS.keys()


@pytest.mark.leaves_drift
@pytest.mark.parametrize("command", list(VERIFICATIONS))
def test_a_command_that_verifies_records_what_it_finds(
    command: str, session: Any, surgery: Outside, run_command: Callable[..., Any]
) -> None:
    statement, figure = VERIFICATIONS[command]
    fill(session)
    surgery.execute(statement.encode())
    assert recorded(session, figure) == 0
    assert run_command(*command.split()).exit_code == 1
    assert recorded(session, figure) == 1


@pytest.mark.leaves_drift
@pytest.mark.parametrize(
    ("command", "statement", "figure"),
    [
        ("balance verify-sync --dry-run", WALLET, "wallets.balance"),
        ("figures heal --dry-run", WALLET, "wallets.balance"),
        ("ledger health --stored", ACCOUNT, "accounts.sums"),
    ],
)
def test_a_dry_run_records_nothing(
    command: str, statement: str, figure: str, session: Any, surgery: Outside,
    run_command: Callable[..., Any],
) -> None:  # fmt: skip
    fill(session)
    surgery.execute(statement.encode())
    run_command(*command.split())
    assert recorded(session, figure) == 0


@pytest.mark.leaves_drift
def test_the_balance_check_of_a_program_records_and_a_page_does_not(
    app: Any, session: Any, surgery: Outside, sign_in: Any
) -> None:
    fill(session)
    program = Program(app, session)
    surgery.execute(ACCOUNT.encode())
    client = sign_in("finance")
    for page in ("/health/balance-sheet", "/ledger", "/wallets", "/health"):
        client.get(page, follow_redirects=True)
    program.get("/detailed-report")
    assert recorded(session, "accounts.sums") == 0
    program.get("/check")
    assert recorded(session, "accounts.sums") == 1


@pytest.mark.leaves_drift
def test_one_row_and_several_are_counted_in_words(
    session: Any, surgery: Outside, run_command: Callable[..., Any]
) -> None:
    fill(session)
    command = ("audit", "verify-facts", "--table", "order_lines")
    surgery.execute(LINE.encode())
    assert "\n1 row differs from the audit trail." in run_command(*command).stdout
    surgery.execute(LINE.replace("id = 1", "id = 2").encode())
    assert "\n2 rows differ from the audit trail." in run_command(*command).stdout
