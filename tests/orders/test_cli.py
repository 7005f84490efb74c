"""`orders verify-grand-totals` and `orders update-grand-totals`, as the seed names them."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from backoffice.orders.models import Order
from tests.factories.orders import OrderFactory
from tests.surgery import tell_of_everything

Run = Callable[..., Any]


@pytest.fixture
def orders(session: Any) -> list[Order]:
    """Three orders without drift: two with amounts, one with lines."""
    made = [OrderFactory() for _ in range(2)]
    made.append(OrderFactory(promo=0, reductions=0, lines=[("package", "Tea", "2", "10")]))
    session.commit()
    return made


def tamper(url: str, statement: str) -> None:
    """Write past every trigger."""
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(statement)
        tell_of_everything(connection)  # a heal ignores facts that are not in the audit trail


def test_right_totals_are_clean(run_command: Run, orders: list[Order]) -> None:
    done = run_command("orders", "verify-grand-totals", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["drifted"] == 0


def test_a_tampered_total_is_named_and_nothing_else(
    run_command: Run, session: Any, orders: list[Order], admin_database_url: str
) -> None:
    tamper(admin_database_url, f"UPDATE orders SET grand_total = 7 WHERE id = {orders[1].id}")
    found = run_command("orders", "verify-grand-totals", "--json")
    assert found.exit_code == 1
    [finding] = json.loads(found.stdout)["findings"]
    assert (finding["figure"], finding["owner"]) == ("orders.grand_total", orders[1].id)
    assert finding["stored"] == {"grand_total": "7.00"}
    assert finding["expected"] == {"grand_total": "9300000.00"}
    assert "7.00" in run_command("orders", "verify-grand-totals").stdout
    assert run_command("orders", "update-grand-totals").exit_code == 0


@pytest.mark.parametrize("options", [(), ("--force",)])
def test_updating_writes_only_differences_and_leaves_corrections(
    run_command: Run,
    session: Any,
    orders: list[Order],
    admin_database_url: str,
    options: tuple[str, ...],
) -> None:
    tamper(admin_database_url, f"UPDATE orders SET grand_total = 7 WHERE id = {orders[1].id}")
    dry = run_command("orders", "update-grand-totals", "--dry-run", "--json", *options)
    assert dry.exit_code == 1
    session.rollback()
    assert session.get(Order, orders[1].id).grand_total == 7

    done = run_command("orders", "update-grand-totals", "--json", "--reason", "audit", *options)
    assert done.exit_code == 0
    reported = json.loads(done.stdout)
    assert reported["corrections"] == 1
    session.rollback()
    session.expire_all()
    assert session.get(Order, orders[1].id).grand_total == Decimal(9_300_000)
    rows = session.execute(text("SELECT figure, owner, reason FROM corrections")).all()
    assert [tuple(row) for row in rows] == [("orders.grand_total", orders[1].id, "audit")]

    again = run_command("orders", "update-grand-totals", "--json", *options)
    assert json.loads(again.stdout)["corrections"] == 0
    assert run_command("orders", "update-grand-totals", "--dry-run").exit_code == 0


def test_force_looks_at_every_order(run_command: Run, orders: list[Order]) -> None:
    reported = json.loads(run_command("orders", "update-grand-totals", "--force", "--json").stdout)
    assert reported["checked"] == 3


def test_a_wrong_line_is_corrected_with_the_totals_above_it(
    run_command: Run, session: Any, orders: list[Order], admin_database_url: str
) -> None:
    tamper(admin_database_url, "UPDATE order_lines SET quantity = 5")
    found = json.loads(run_command("orders", "verify-grand-totals", "--json").stdout)
    assert found["findings"][0]["expected"] == {"grand_total": "500050.00"}
    assert found["findings"][0]["root"]["figure"] == "order_lines.amount"
    run_command("orders", "update-grand-totals")
    session.rollback()
    session.expire_all()
    assert session.get(Order, orders[2].id).grand_total == 500_050


def test_bad_usage_is_trouble(run_command: Run) -> None:
    assert run_command("orders", "verify-grand-totals", "--nonsense").exit_code == 2


def test_a_negative_total_by_a_stranger_is_found_and_healed_without_failing(
    run_command: Run, session: Any, orders: list[Order], admin_database_url: str
) -> None:
    """FAULTS 7: forms check range and sign; a figure stores whatever the facts add up to."""
    tamper(
        admin_database_url,
        f"UPDATE orders SET promo = 99000000 WHERE id = {orders[0].id}",
    )
    assert run_command("orders", "verify-grand-totals").exit_code == 1
    assert run_command("orders", "update-grand-totals").exit_code == 0
    session.rollback()
    session.expire_all()
    assert session.get(Order, orders[0].id).grand_total == -88_700_000
