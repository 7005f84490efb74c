"""Commands print the names of rows beside the id, and accept a name in place of an id."""

import itertools
import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import Integer, Numeric, event, literal, select
from sqlalchemy.dialects.postgresql import JSONB

from backoffice.app.extensions import db
from backoffice.billing.models import Invoice, Meter
from backoffice.customers.models import Customer
from backoffice.figures import registry
from backoffice.orders.models import Order
from backoffice.targets.models import AccountManagerTarget
from backoffice.web import record_links as subjects
from tests.drift.forging import a_row_of_every_table
from tests.surgery import tell_of_everything

Command = Callable[..., Any]
pytestmark = [pytest.mark.leaves_drift, pytest.mark.slow]


@pytest.fixture
def company(
    kept_book: Any, session: Any, run_command: Command, surgery: psycopg.Connection[Any]
) -> None:
    """The demo company, with one row of every figure tampered with."""

    def make() -> None:
        assert run_command("demo", "load").exit_code == 0

    kept_book("the demo company", make)
    for figure in (figure for figure in registry.figures if not figure.generated):
        column = next(c for c in figure.columns if isinstance(c.type, Numeric | Integer))
        key = figure.primary_key
        row = session.scalar(select(key).where(column.is_not(None)).order_by(key).limit(1))
        surgery.execute(
            f'UPDATE "{figure.table.name}" SET "{column.key}" = "{column.key}" + 7 WHERE "{key.key}" = %s',
            [row],
        )
    session.rollback()


def test_every_finding_of_every_figure_has_its_name(
    company: None, run_command: Command, session: Any
) -> None:
    done = run_command("figures", "verify", "--json")
    assert done.exit_code == 1
    found = json.loads(done.stdout)["findings"]
    assert {f["figure"] for f in found} == {f.name for f in registry.figures}
    assert all(f["name"] for f in found), [f for f in found if not f["name"]]
    [order] = [f for f in found if f["figure"] == "orders.grand_total"]
    assert order["name"] == session.get_one(Order, order["owner"]).number
    shown = run_command("figures", "verify", "orders.grand_total").stdout
    assert f"{order['name']} (id={order['key']['id']})" in shown


def test_names_are_asked_for_by_one_statement(company: None, session: Any) -> None:
    orders = session.scalars(select(Order.id).limit(300)).all()
    rows = [("orders.grand_total", order, {"id": order}) for order in orders]
    said: list[str] = []

    def count(_c: object, _k: object, statement: str, *_: object) -> None:
        said.append(statement)

    connection = session.connection()
    event.listen(db.engine, "before_cursor_execute", count)
    try:
        names = subjects.called(connection, rows)
    finally:
        event.remove(db.engine, "before_cursor_execute", count)
    assert len(said) == 1
    numbers = dict(session.execute(select(Order.id, Order.number)).all())
    assert names == [numbers[order] for order in orders]


def test_an_owner_may_be_given_by_its_name(
    company: None, run_command: Command, session: Any
) -> None:
    number = session.scalar(select(Order.number).order_by(Order.id).limit(1))
    other = session.scalar(select(Order.number).order_by(Order.id.desc()).limit(1))
    found = json.loads(run_command("figures", "verify", "--owner", number, "--json").stdout)
    assert {f["name"] for f in found["findings"]} == {number}
    assert set(found["figures"]) == {
        f.name for f in registry.figures if f.owner_table.name == "orders"
    }
    assert run_command("figures", "verify", "--owner", other).exit_code == 0
    dry = json.loads(
        run_command(
            "figures", "heal", "--dry-run", "--owner", number, "--owner", other, "--json"
        ).stdout
    )
    assert {f["name"] for f in dry["findings"]} == {number}
    shown = json.loads(run_command("runs", "show", str(dry["run"]), "--json").stdout)
    assert {item["name"] for item in shown["items"]} == {number}
    assert number in run_command("runs", "show", str(dry["run"])).stdout


def test_a_row_may_be_given_by_its_name(company: None, run_command: Command, session: Any) -> None:
    for figure, column in (
        ("orders.grand_total", Order.number),
        ("meters.totals", Meter.number),
        ("invoices.paid", Invoice.number),
        ("customers.balance", Customer.code),
    ):
        if figure not in {f.name for f in registry.figures}:
            continue
        row, name = session.execute(select(column.class_.id, column).limit(1)).one()
        by_name = run_command("figures", "explain", figure, name, "--json").stdout
        assert by_name == run_command("figures", "explain", figure, str(row), "--json").stdout
        assert json.loads(by_name)["name"] == name


def test_a_name_that_says_too_little_is_trouble_with_the_ids(
    company: None, run_command: Command, session: Any
) -> None:
    number = session.scalar(select(Order.number).order_by(Order.id).limit(1))
    done = run_command("figures", "explain", "order_lines.amount", number)
    assert done.exit_code == 2
    assert "rows; say which by its id:" in done.stderr
    nobody = run_command("figures", "verify", "--owner", "NW-0")
    assert (nobody.exit_code, "NW-0" in nobody.stderr) == (2, True)
    code = session.scalar(select(Customer.code).limit(1))
    several = run_command("figures", "verify", "--owner", number, "--owner", code)
    assert (several.exit_code, "several kinds" in several.stderr) == (2, True)
    with_id = run_command("figures", "verify", "--owner", number, "--owner", "1")
    assert with_id.exit_code == 2


def test_what_could_not_be_corrected_is_named(
    run_command: Command, session: Any, surgery: psycopg.Connection[Any]
) -> None:
    assert run_command("demo", "load").exit_code == 0
    number = session.scalar(select(Order.number).where(Order.id == 1))
    surgery.execute(
        "UPDATE order_lines SET quantity = 999999999999, unit_price = 99999999999 WHERE id = 1"
    )
    tell_of_everything(surgery)
    done = run_command("figures", "heal", "--json")
    manager = session.scalar(select(Order).where(Order.id == 1)).account_manager.name
    assert [f["name"] for f in json.loads(done.stdout)["failures"]] == [number, manager]
    assert f"{number}:" in run_command("figures", "heal").stderr


def test_a_month_of_a_target_is_named_by_manager_and_month(
    run_command: Command, session: Any
) -> None:
    assert run_command("demo", "load").exit_code == 0
    target = session.scalar(select(AccountManagerTarget).limit(1))
    done = run_command(
        "figures", "explain", "account_manager_targets.achieved", str(target.id), "--json"
    )
    assert json.loads(done.stdout)["name"].endswith(f"{target.month:%Y-%m}")


def test_a_row_is_called_the_same_where_all_rows_are_of_one_figure(
    app: Flask, session: Any
) -> None:
    ids = a_row_of_every_table()
    asked = [*subjects.names(), "of.nothing"]
    said = 0
    for figure, number in itertools.product(asked, sorted({*ids.values(), 10**9})):
        row = literal(number), literal({"id": number}, JSONB)
        among_all, of_one = session.execute(
            select(
                subjects.name_in_sql(literal(figure), *row),
                subjects.name_of_one_in_sql(figure, *row),
            )
        ).one()
        assert among_all == of_one, (figure, number)
        said += among_all is not None
    assert said >= len(asked) // 2
