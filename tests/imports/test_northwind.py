"""The Northwind data set, through the real command, against an independent computation."""

import csv
from collections import defaultdict
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from backoffice import figures
from backoffice.audit.models import AuditEvent
from backoffice.customers.models import Customer
from backoffice.orders.models import Order, OrderLine
from backoffice.people.models import User

pytestmark = pytest.mark.slow

NORTHWIND = Path(__file__).parent.parent / "data" / "northwind"

FILES = {
    "customers": ("customers.csv", 91),
    "account-managers": ("account_managers.csv", 9),
    "orders": ("orders.csv", 830),
    "order-lines": ("order_lines.csv", 3823),
}

COMPONENTS = {"package": "total_price", "addition": "additions", "promo": "promo"}

Import = Callable[..., dict[str, Any]]


@pytest.fixture
def northwind(kept_book: Any, import_: Import) -> None:
    """The whole company."""

    def make() -> None:
        for kind, (name, count) in FILES.items():
            report = import_(kind, NORTHWIND / name)
            assert report["problems"] == []
            assert (report["read"], report["created"]) == (count, count)

    kept_book("northwind's four files", make)


def expected() -> dict[str, dict[str, Decimal]]:
    """Every order's amounts, from the files alone."""
    orders: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    with (NORTHWIND / "order_lines.csv").open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            exact = Decimal(line["quantity"]) * Decimal(line["unit_price"])
            amount = exact.quantize(Decimal("0.01"), ROUND_HALF_UP)
            order = orders[line["order_number"]]
            order[COMPONENTS[line["kind"]]] += amount
            order["grand_total"] += -amount if line["kind"] == "promo" else amount
    return orders


@pytest.mark.usefixtures("northwind")
def test_every_amount_of_every_order_is_right_to_the_cent(session: Session) -> None:
    amounts = expected()
    orders = session.scalars(select(Order)).all()
    assert len(orders) == len(amounts) == 830
    for order in orders:
        for name in (*COMPONENTS.values(), "grand_total"):
            assert getattr(order, name) == amounts[order.number][name], (order.number, name)
        assert order.reductions == 0
    assert list(figures.verify(session)) == []


@pytest.mark.usefixtures("northwind")
def test_an_order_is_as_its_lines_say(session: Session) -> None:
    order = session.scalars(select(Order).where(Order.number == "NW-10250")).one()
    assert order.customer.code == "HANAR"
    assert order.account_manager.email == "margaret.peacock@northwind.example"
    assert str(order.closing_date) == "1996-07-12"
    assert order.itemised == ["package", "addition", "promo"]
    assert [line.position for line in order.lines] == list(range(len(order.lines)))
    assert order.lines[-1].description == "Freight"
    assert session.scalars(select(Customer.name).where(Customer.code == "ANTON")).one() == (
        "Antonio Moreno Taquería"
    )


@pytest.mark.usefixtures("northwind")
def test_the_account_managers_cannot_sign_in_until_they_get_a_password(session: Session) -> None:
    managers = session.scalars(select(User)).all()
    assert {manager.role for manager in managers} == {"account_manager"}
    assert {manager.password_hash for manager in managers} == {""}


@pytest.mark.usefixtures("northwind")
def test_the_same_files_again_change_nothing(session: Session, import_: Import) -> None:
    rows = text(
        "SELECT count(*), max(xmin::text::bigint) FROM ("
        " SELECT xmin FROM customers UNION ALL SELECT xmin FROM users"
        " UNION ALL SELECT xmin FROM orders UNION ALL SELECT xmin FROM order_lines) AS rows"
    )
    trail = select(func.count()).select_from(AuditEvent)
    before = session.execute(rows).one(), session.scalar(trail)
    session.rollback()
    for kind, (name, count) in FILES.items():
        report = import_(kind, NORTHWIND / name)
        assert (report["unchanged"], report["created"], report["updated"]) == (count, 0, 0)
        assert report["removed"] == 0
    assert (session.execute(rows).one(), session.scalar(trail)) == before


@pytest.mark.usefixtures("northwind")
def test_everything_that_was_imported_is_in_the_trail(session: Session) -> None:
    by_table = dict(
        session.execute(
            select(AuditEvent.table_name, func.count())
            .where(AuditEvent.action == "INSERT")
            .group_by(AuditEvent.table_name)
        ).all()
    )
    entered = {"customers": 91, "users": 9, "orders": 830, "order_lines": 3823}
    assert {name: by_table.get(name) for name in entered} == entered
    actors = set(session.scalars(select(AuditEvent.actor).distinct()))
    assert len(actors) == 1
    assert actors.pop().startswith("cli:")


def test_a_dry_run_of_everything_changes_nothing(session: Session, import_: Import) -> None:
    for kind in ("customers", "account-managers"):
        name, count = FILES[kind]
        report = import_(kind, NORTHWIND / name, dry_run=True)
        assert (report["created"], report["applied"]) == (count, False)
    assert session.scalar(select(func.count()).select_from(Customer)) == 0
    assert session.scalar(select(func.count()).select_from(OrderLine)) == 0
