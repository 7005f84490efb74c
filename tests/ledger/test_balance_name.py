"""`accounts.balance` is a name in commands, findings and history, although it is corrected with its sums."""

import json
from typing import Any

import psycopg
import pytest
from sqlalchemy import select

from backoffice.drift.models import DriftFinding
from backoffice.figures.models import Correction
from backoffice.ledger.models import Account
from tests.factories.ledger import of, posted

from .books import stored

Chart = dict[str, Account]
BALANCE = "accounts.balance"


@pytest.fixture
def cash(session: Any, chart: Chart, surgery: psycopg.Connection[Any]) -> Account:
    """Cash has a balance of 100; a superuser then writes 7 more on its debits, past the triggers."""
    posted(of(chart["Cash"], 100), of(chart["Capital"], -100))
    session.commit()
    surgery.execute("UPDATE accounts SET debits = debits + 7 WHERE code = 'Cash'")
    return chart["Cash"]


def test_every_command_knows_it_and_its_history_stays(
    cash: Account, run_command: Any, session: Any, sign_in: Any
) -> None:
    explained = json.loads(run_command("figures", "explain", BALANCE, "Cash", "--json").stdout)
    assert explained["figure"] == BALANCE

    verified = run_command("figures", "verify", BALANCE, "--json")
    [finding] = [f for f in json.loads(verified.stdout)["findings"] if f["figure"] == BALANCE]
    assert verified.exit_code == 1
    assert finding["stored"] == {"balance": "107.00"}
    assert finding["expected"] == {"balance": "100.00"}
    assert finding["root"]["figure"] == "accounts.sums"

    compared = run_command("figures", "reconcile", BALANCE)
    assert compared.exit_code == 1
    assert [line for line in compared.stdout.splitlines() if "107.00" in line and "100.00" in line]

    healed = run_command("figures", "heal", BALANCE, "--owner", "Cash")
    assert healed.exit_code == 0
    assert stored(session)["Cash"] == (100, 0, 100)
    [correction] = session.scalars(select(Correction).where(Correction.figure == BALANCE))
    assert (correction.before, correction.after) == ({"balance": "107.00"}, {"balance": "100.00"})
    [known] = session.scalars(select(DriftFinding).where(DriftFinding.figure == BALANCE))
    assert (known.correction_id, known.healed_by) == (correction.id, "run")
    page = sign_in("finance").get(f"/health/drift?figure={BALANCE}&state=all").text
    assert "Account balance" in page
    assert "107.00" in page
    assert run_command("figures", "verify", BALANCE).exit_code == 0


def test_an_old_finding_is_closed_by_name(cash: Account, run_command: Any, session: Any) -> None:
    """A finding that an earlier version has recorded is closed when the balance is correct again."""
    run_command("figures", "verify", BALANCE)
    run_command("figures", "heal", "accounts.sums")
    left = session.scalars(select(DriftFinding).where(DriftFinding.healed_at.is_(None))).all()
    assert left == []
