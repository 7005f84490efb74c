"""FAULTS.md, lines 7, 14, 15 and 16: changes to the books that bypass the app.

Line 13, every write path, is tests/orders/test_write_paths.py and test_outside_writes.py.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import update
from sqlalchemy.exc import DataError

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.orders.figures import ORDER_FIGURES
from backoffice.orders.models import OrderLine
from tests.drift.forging import forged_now
from tests.factories.orders import OrderFactory
from tests.orders.books import Book, digest, stored
from tests.surgery import tell_of_everything

pytestmark = pytest.mark.slow

Command = Callable[..., Any]
Outside = psycopg.Connection[Any]


@pytest.fixture
def order(session: Any) -> int:
    """The id of an order with lines, with right stored totals."""
    lines = [("package", "Tea", "12", "14.00"), ("promo", "Discount", "1", "26.60")]
    made = OrderFactory(lines=lines).id
    session.commit()
    session.rollback()
    return int(made)


def right(connection: Outside) -> bool:
    """Whether every stored figure has the value that follows from the facts."""
    return stored(connection) == Book.read(connection).totals()


def corrections(connection: Outside) -> list[tuple[Any, ...]]:
    """Figure, cause and database user of every correction, oldest first."""
    query = "SELECT figure, cause, db_user FROM corrections ORDER BY id"
    return connection.execute(query).fetchall()


# 7: negatives, and amounts that cannot be stored

NEGATIVE = {
    "a quantity": "UPDATE order_lines SET quantity = -5 WHERE kind = 'package'",
    "a unit price": "UPDATE order_lines SET unit_price = -0.005",
    "an entered component": "UPDATE orders SET additions = -99999999",
    "an itemised component": "UPDATE orders SET total_price = -1",
    "a line's amount": "UPDATE order_lines SET amount = -1",
    "a grand total": "UPDATE orders SET grand_total = -1",
}


@pytest.mark.parametrize("statement", NEGATIVE.values(), ids=NEGATIVE.keys())
def test_fault_7_a_negative_that_a_stranger_wrote_is_a_finding_and_the_heal_does_not_fail_on_it(
    statement: str, session: Any, order: int, app_connection: Outside
) -> None:
    app_connection.execute(statement.encode())
    findings = list(figures.verify(session))
    assert {finding.owner for finding in findings} == {order}
    healed = figures.heal(session)
    assert healed.failures == []
    assert healed.corrections == len(findings)
    assert right(app_connection)
    assert list(figures.verify(session)) == []


def test_fault_7_a_grand_total_below_zero_is_stored_when_a_stranger_makes_it_so(
    session: Any, order: int, app_connection: Outside
) -> None:
    app_connection.execute("UPDATE order_lines SET quantity = 1000000 WHERE kind = 'promo'")
    figures.heal_noted(session)
    [(grand_total,)] = app_connection.execute("SELECT grand_total FROM orders").fetchall()
    assert grand_total == 168 + 500_000 - 26_600_000 - 200_000
    assert right(app_connection)


def test_fault_7_an_amount_that_cannot_be_stored_is_named_and_stops_no_other_heal(
    session: Any, order: int, app_connection: Outside, run_command: Command
) -> None:
    """A quantity times a price that is too large for the column: reported again and again until it is corrected."""
    others = [OrderFactory().id for _ in range(20)]
    session.commit()
    session.rollback()
    too_much = (
        "UPDATE order_lines SET quantity = 999999999, unit_price = 99999999 WHERE kind = 'package'"
    )
    app_connection.execute("UPDATE orders SET grand_total = 1 WHERE id <> %s", (order,))
    app_connection.execute(too_much.encode())
    app_connection.execute("UPDATE orders SET grand_total = 2 WHERE id <> %s", (order,))

    found = json.loads(run_command("figures", "verify", "--json").stdout)["findings"]
    expected = {f["expected"]["amount"] for f in found if f["figure"] == "order_lines.amount"}
    assert expected == {"99999998900000001.00"}

    drained = run_command("figures", "heal", "--noted", "--json")
    assert drained.exit_code == 1
    failures = json.loads(drained.stdout)["failures"]
    assert {(f["owner"], f["error"]) for f in failures} == {(order, "numeric field overflow")}
    assert {f.owner for f in figures.verify(session)} == {order}
    assert [c for c in corrections(app_connection) if c[1] == "bypass"] == [
        ("orders.grand_total", "bypass", "backoffice_app")
    ] * len(others)
    noted = figures.noted(session)
    assert {noted[figure] for figure in ORDER_FIGURES} == {1}

    healed = run_command("figures", "heal", "--json")
    assert healed.exit_code == 1
    assert [f["owner"] for f in json.loads(healed.stdout)["failures"]] == [order]

    app_connection.execute("UPDATE order_lines SET quantity = 1, unit_price = 1")
    assert run_command("figures", "heal", "--noted").exit_code == 0
    assert right(app_connection)
    assert run_command("figures", "verify").exit_code == 0


def test_fault_7_the_app_itself_refuses_a_line_that_cannot_be_stored_and_nothing_changes(
    session: Any, order: int, app_connection: Outside, owner_connection: Outside
) -> None:
    before = digest(owner_connection)
    session.execute(update(OrderLine).values(quantity=999999999, unit_price=99999999))
    with pytest.raises(DataError, match="overflow"):
        session.commit()
    session.rollback()
    assert digest(owner_connection) == before


# 14: an UPDATE with psql, of a source or of the figure itself


def test_fault_14_what_another_program_wrote_is_counted_healed_and_named(
    order: int, app_connection: Outside, owner_connection: Outside, run_command: Command
) -> None:
    app_connection.execute("UPDATE order_lines SET quantity = 10 WHERE kind = 'package'")
    owner_connection.execute("UPDATE orders SET grand_total = 0")
    listed = json.loads(run_command("figures", "list", "--json").stdout)["figures"]
    assert {f["figure"]: f["noted"] for f in listed if f["noted"]} == {
        "order_lines.amount": 2,
        "orders.components": 2,
        "orders.grand_total": 2,
    }
    healed = run_command("figures", "heal", "--noted", "--json")
    assert healed.exit_code == 0
    assert json.loads(healed.stdout)["corrections"] == 3
    assert right(app_connection)
    assert sorted(corrections(app_connection)) == [
        ("order_lines.amount", "bypass", "backoffice_app"),
        ("orders.components", "bypass", "backoffice_app"),
        ("orders.grand_total", "bypass", "backoffice_app"),
    ]


# 15: append-only tables


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE corrections SET after = '{}'",
        "DELETE FROM corrections",
        "TRUNCATE corrections",
        "UPDATE audit_events SET actor = 'nobody'",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
        "ALTER TABLE corrections ADD COLUMN more text",
        "DROP TABLE corrections",
        "UPDATE schema_fingerprints SET fingerprint = ''",
    ],
)
def test_fault_15_the_apps_role_changes_no_correction_and_no_trail(
    statement: str, session: Any, order: int, app_connection: Outside, owner_connection: Outside
) -> None:
    app_connection.execute("UPDATE orders SET grand_total = 0")
    figures.heal_noted(session)
    before = digest(owner_connection)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app_connection.execute(statement.encode())
    assert digest(owner_connection) == before


# 16: triggers disabled, a superuser's surgery


@pytest.fixture
def surgeon(admin_database_url: str) -> Iterator[Outside]:
    """A superuser's connection on which no trigger fires."""
    with psycopg.connect(admin_database_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        yield connection


@pytest.fixture
def disabled(owner_connection: Outside) -> Iterator[Outside]:
    """The owner's connection, with the triggers of the tables disabled for all sessions."""
    for table in ("orders", "order_lines"):
        owner_connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER".encode())
    yield owner_connection
    for table in ("orders", "order_lines"):
        owner_connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER".encode())


@pytest.mark.parametrize("who", ["surgeon", "disabled"])
@pytest.mark.parametrize("statement", NEGATIVE.values(), ids=NEGATIVE.keys())
def test_fault_16_what_no_trigger_saw_is_found_by_the_next_verification(
    statement: str,
    who: str,
    request: pytest.FixtureRequest,
    order: int,
    run_command: Command,
    surgery: Outside,
) -> None:
    connection: Outside = request.getfixturevalue(who)
    connection.execute(statement.encode())
    assert connection.execute("SELECT count(*) FROM figure_notes").fetchone() == (0,)
    found = run_command("figures", "verify", "--json")
    assert found.exit_code == 1
    assert {f["owner"] for f in json.loads(found.stdout)["findings"]} == {order}
    is_a_fact = bool(forged_now(db.engine))
    assert run_command("figures", "heal").exit_code == (1 if is_a_fact else 0)
    if is_a_fact:  # figures do not follow a forged fact until a user accepts it
        assert not right(connection)
        tell_of_everything(surgery)
        assert run_command("figures", "heal").exit_code == 0
    assert right(connection)
    again = run_command("figures", "verify", "--json")
    assert json.loads(again.stdout)["drifted"] == 0
    assert again.exit_code == (1 if who == "disabled" else 0)  # disabled triggers are reported


@pytest.mark.parametrize(
    "statement",
    [
        "SET session_replication_role = replica",
        "ALTER TABLE orders DISABLE TRIGGER ALL",
        "DROP TRIGGER backoffice_note_orders_update ON orders",
        "DROP FUNCTION backoffice_note_orders_update() CASCADE",
    ],
)
def test_fault_16_the_apps_role_cannot_switch_a_trigger_off(
    statement: str, app_connection: Outside
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app_connection.execute(statement.encode())
