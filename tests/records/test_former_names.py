"""A renamed record is still found by old addresses and old files; a name in use is its present owner's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text

from backoffice.records import Record
from tests.factories.billing import MeterFactory
from tests.factories.customers import CustomerFactory
from tests.factories.ledger import AccountFactory
from tests.factories.people import AccountManagerFactory
from tests.factories.products import ProductFactory

from .declared import EVERY_RENAMED_RECORD, entered, prepare
from .test_api import Program, address, is_problem
from .test_conformance import Desk

SignIn = Callable[..., FlaskClient]


@EVERY_RENAMED_RECORD
def test_old_addresses_lead_to_the_present_ones(
    app: Flask, sign_in: SignIn, session: Any, record: Record
) -> None:
    prepare(session, record)
    program, desk = (
        Program(app, session, f"{record.domain}:write"),
        Desk(sign_in("finance"), record),
    )
    made = program.send("POST", address(record), json=entered(record, 1)).get_json()
    old, new = made[record.argument], f"new-{made[record.argument]}"
    changed = program.send("PATCH", address(record, old), match=1, json={record.argument: new})
    assert changed.status_code == 200, changed.text
    with app.test_request_context():
        views = [view for view in VIEWS if f"{record.domain}.{view}" in app.view_functions]
    assert {"record", "edit"} <= set(views)
    for view in views:
        left = desk.browser.get(desk.at(view, **desk.named(old)) + "?sort=-id")
        assert left.status_code == 308, view
        assert left.location.endswith(desk.at(view, **desk.named(new)) + "?sort=-id")
        assert "no-store" in left.headers["Cache-Control"], "the old name may be given again"
        assert desk.browser.get(left.location).status_code == 200
    assert program.send("GET", address(record, old)).get_json()["id"] == made["id"]
    assert desk.browser.get(desk.at("record", **desk.named("never-1"))).status_code == 404
    assert is_problem(program.send("GET", address(record, "never-1")), 404)
    again = program.send("POST", address(record), json=entered(record, 2) | {record.argument: old})
    assert again.status_code == 201, again.text
    assert desk.browser.get(desk.at("record", **desk.named(old))).status_code == 200
    assert program.send("GET", address(record, old)).get_json()["id"] == again.get_json()["id"]


def test_old_statements_lead_to_the_present_ones(sign_in: SignIn, session: Any) -> None:
    customer, meter = CustomerFactory(code="OLD"), MeterFactory(number="M-1")
    session.commit()
    customer.code, meter.number = "NEW", "M-2"
    session.commit()
    browser = sign_in("finance")
    for old, new in (
        ("/billing/customers/OLD/statement", "/billing/customers/NEW/statement"),
        ("/billing/meters/M-1/statement", "/billing/meters/M-2/statement"),
    ):
        left = browser.get(old)
        assert (left.status_code, left.location) == (308, new)
        assert browser.get(new).status_code == 200


def test_an_old_address_tells_no_stranger_the_new_name(
    app: Flask, sign_in: SignIn, session: Any
) -> None:
    from tests.factories.orders import OrderFactory

    order = OrderFactory(number="SO-1")
    stranger = AccountManagerFactory(email="other@x.example")
    session.commit()
    order.number = "SECRET-1"
    session.commit()
    assert sign_in("finance").get("/orders/SO-1").status_code == 308
    answer = sign_in(stranger).get("/orders/SO-1")
    assert answer.status_code == 404
    assert "SECRET" not in str(answer.headers) + answer.text


VIEWS = ("record", "changes", "edit", "calculation")
MASTER = {
    "customers": (CustomerFactory, "code", "code,name\n{},Renamed\n"),
    "products": (ProductFactory, "code", "code,name\n{},Renamed\n"),
    "accounts": (AccountFactory, "code", "code,name,type\n{},Renamed,asset\n"),
    "meters": (
        MeterFactory,
        "number",
        "meter_number,customer_code,is_active,description\n{},A,no,Renamed\n",
    ),
}
ROWS = {
    "customers": "SELECT code, name FROM customers WHERE code <> 'A'", "products": "SELECT code, name FROM products",
    "accounts": "SELECT code, name FROM accounts", "meters": "SELECT number, description FROM meters",
}  # fmt: skip


@pytest.mark.parametrize("kind", MASTER)
def test_an_old_file_changes_the_renamed_record(
    kind: str, session: Any, tmp_path: Path, run_command: Any
) -> None:
    make, name, content = MASTER[kind]
    CustomerFactory(code="A")
    row = make(**{name: "BUGPAY-1"})
    session.commit()
    setattr(row, name, "BUGPAY-2")
    session.commit()
    path = tmp_path / "old.csv"
    path.write_text(content.format("BUGPAY-1"))
    done = run_command("import", kind, str(path))
    assert done.exit_code == 0, done.output
    assert session.execute(text(ROWS[kind])).all() == [("BUGPAY-2", "Renamed")]
    session.rollback()
    make(**{name: "BUGPAY-1"})
    session.commit()
    path.write_text(content.format("BUGPAY-1").replace("Renamed", "Present"))
    assert run_command("import", kind, str(path)).exit_code == 0
    assert sorted(session.execute(text(ROWS[kind])).all()) == [
        ("BUGPAY-1", "Present"), ("BUGPAY-2", "Renamed"),
    ]  # fmt: skip


def test_of_two_former_owners_a_code_leads_to_the_last(
    session: Any, tmp_path: Path, run_command: Any
) -> None:
    for new in ("FIRST", "LAST"):
        customer = CustomerFactory(code="OLD")
        session.commit()
        customer.code = new
        session.commit()
    path = tmp_path / "old.csv"
    path.write_text("code,name\nOLD,Renamed\n")
    assert run_command("import", "customers", str(path)).exit_code == 0
    names = dict(session.execute(text("SELECT code, name FROM customers")).all())
    assert names.pop("LAST") == "Renamed"
    assert names.keys() == {"FIRST"}


def test_an_old_file_of_invoices_names_the_renamed_customer_and_meter(
    session: Any, tmp_path: Path, run_command: Any
) -> None:
    customer, meter = CustomerFactory(code="OLD"), MeterFactory(number="M-1")
    session.commit()
    customer.code, meter.number = "NEW", "M-2"
    session.commit()
    path = tmp_path / "old.csv"
    path.write_text(
        "number,customer_code,meter_number,issued_on,due_on,amount\n"
        "I-1,OLD,M-1,2026-01-01,2026-01-31,25\nI-2,NEW,M-2,2026-01-01,2026-01-31,25\n"
    )
    done = run_command("import", "invoices", str(path))
    assert done.exit_code == 0, done.output
    rows = session.execute(text("SELECT customer_id, meter_id FROM invoices")).all()
    assert rows == [(customer.id, meter.id)] * 2


def test_a_number_of_a_document_that_was_given_up_is_free_for_another(
    session: Any, tmp_path: Path, run_command: Any
) -> None:
    from backoffice.orders.models import Order
    from tests.factories.orders import OrderFactory

    order = OrderFactory(number="SO-1", customer=CustomerFactory(code="A"))
    AccountManagerFactory(email="m@x.example")
    session.commit()
    order.number = "SO-2"
    session.commit()
    path = tmp_path / "new.csv"
    path.write_text(
        "number,customer_code,account_manager_email,order_date\nSO-1,A,m@x.example,2026-01-05\n"
    )
    assert run_command("import", "orders", str(path)).exit_code == 0
    assert set(session.scalars(select(Order.number))) == {"SO-1", "SO-2"}


def test_a_code_from_before_texts_were_composed_is_found_by_a_file(
    session: Any, tmp_path: Path, run_command: Any
) -> None:
    CustomerFactory(code="KAFE\u0301", name="Before")
    session.commit()
    path = tmp_path / "old.csv"
    path.write_text("code,name\nKAFE\u0301,After\n")
    assert run_command("import", "customers", str(path)).exit_code == 0
    assert session.execute(text("SELECT code, name FROM customers")).all() == [
        ("KAFE\u0301", "After")
    ]
