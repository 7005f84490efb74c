"""Imports that name a merged customer: orders are booked on the survivor, changes of the duplicate are refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from backoffice.customers.models import Customer
from backoffice.orders.models import Order
from tests.factories.customers import CustomerFactory
from tests.factories.people import AccountManagerFactory

Import = Callable[..., tuple[int, dict[str, Any]]]

ORDERS = "number,customer_code,account_manager_email,order_date,closing_date"


@pytest.fixture
def import_(run_command: Callable[..., Any], tmp_path: Path) -> Import:
    """`import_("orders", line, …)`: exit status and report of importing a file of these lines."""

    def import_(kind: str, *lines: str) -> tuple[int, dict[str, Any]]:
        file = tmp_path / f"{kind}.csv"
        file.write_text("\n".join(lines) + "\n")
        done = run_command("import", kind, str(file), "--json")
        return done.exit_code, json.loads(done.stdout)

    return import_


@pytest.fixture
def merged(session: Any) -> None:
    """B was merged into A, and A into C; and a user to sell to them."""
    keys = {code: CustomerFactory(code=code, name=f"Name {code}").id for code in "ABC"}
    for duplicate, survivor in (("B", "A"), ("A", "C")):
        session.get_one(Customer, keys[duplicate]).merged_into_id = keys[survivor]
    AccountManagerFactory(email="nancy@example.com")
    session.commit()


@pytest.mark.usefixtures("merged")
def test_orders_of_an_old_code_go_to_the_survivor_and_the_same_file_changes_nothing_again(
    import_: Import, session: Any
) -> None:
    lines = (ORDERS, "SO-1,B,nancy@example.com,2026-01-01,", "SO-2,C,nancy@example.com,2026-01-01,")
    status, report = import_("orders", *lines)
    assert (status, report["created"]) == (0, 2)
    owners = session.scalars(select(Customer.code).join(Order, Order.customer_id == Customer.id))
    assert owners.all() == ["C", "C"]
    session.rollback()
    status, report = import_("orders", *lines)
    assert (status, report["created"], report["updated"], report["unchanged"]) == (0, 0, 0, 2)


@pytest.mark.usefixtures("merged")
def test_a_file_may_repeat_a_merged_customer_but_not_change_it(
    import_: Import, session: Any
) -> None:
    status, report = import_("customers", "code,name", "B,Name B", "C,New")
    assert (status, report["updated"], report["unchanged"]) == (0, 1, 1)
    status, report = import_("customers", "code,name", "B,Other", "C,Newer")
    assert status == 1
    assert "Customer B was merged into A." in json.dumps(report)
    names = session.scalars(select(Customer.name).order_by(Customer.code)).all()
    assert names == ["Name A", "Name B", "New"]
