"""The screens of the trail: what is shown of an event, to which users, and how it is found."""

import csv
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, event, select, text
from sqlalchemy.orm import Session

from backoffice.app.extensions import db
from backoffice.audit.chain.anchors import anchor
from backoffice.audit.chain.keys import Keyring
from backoffice.audit.chain.sealing import seal
from backoffice.audit.chain.verifying import record, verify
from backoffice.audit.models import AuditEvent
from backoffice.audit.tables import ByTable, title_of
from backoffice.base.actor import acting_as
from backoffice.people.models import User
from tests.factories.customers import CustomerFactory
from tests.factories.gas import DepositFactory
from tests.factories.orders import OrderFactory
from tests.factories.people import UserFactory

SignIn = Callable[..., FlaskClient]


@pytest.fixture
def office(session: Session) -> dict[str, Any]:
    """Ayu enters an order and changes it; a program changes the customer."""
    ayu = UserFactory(name="Ayu Lestari")
    session.commit()
    with acting_as(f"user:{ayu.id}"):
        customer = CustomerFactory(code="ALFKI", name="Alfreds", city="Berlin")
        order = OrderFactory(
            number="SO-1", customer=customer, account_manager=ayu, promo=Decimal(1000),
            lines=[("package", "Queso", "2", "500")],
        )  # fmt: skip
        session.commit()
        order.promo = Decimal(2500)
        order.closing_date = date(2026, 3, 31)
        session.commit()
    with acting_as("cli:root"):
        customer.city = "Potsdam"
        session.commit()
    return {"ayu": ayu, "customer": customer, "order": order}


def rows(page: str) -> list[str]:
    """The table's rows as text, with single spaces."""
    from re import sub

    body = page.split("<tbody>", 1)[1].split("</tbody>", 1)[0] if "<tbody>" in page else ""
    return [" ".join(sub(r"<[^>]+>", " ", row).split()) for row in body.split("<tr>")[1:]]


def shown(browser: FlaskClient, **asked: Any) -> list[str]:
    """The rows of the list."""
    answer = browser.get("/audit", query_string=asked)
    assert answer.status_code == 200, answer.text
    return rows(answer.text)


def last(session: Session, table: str, action: str = "UPDATE") -> AuditEvent:
    session.rollback()
    wanted = select(AuditEvent).where(AuditEvent.table_name == table, AuditEvent.action == action)
    return session.scalars(wanted.order_by(AuditEvent.id.desc())).first()  # type: ignore[return-value]


# What is shown


def test_an_event_is_told_field_by_field_with_the_names_of_what_it_names(
    office: dict[str, Any], sign_in: SignIn
) -> None:
    reported = shown(sign_in("finance"))
    moved = "root (command line) backoffice_app Customer ALFKI Changed City before: Berlin → after: Potsdam"
    assert any(row.endswith(moved) for row in reported)
    changed = next(row for row in reported if "Order SO-1 Changed" in row and "Promo" in row)
    assert "Ayu Lestari" in changed
    assert "Closing date before: – → after: 31 Mar 2026" in changed
    assert "Promo before: 1,000.00 → after: 2,500.00" in changed
    line = next(row for row in reported if "Order line SO-1 Created" in row)
    assert "Order after: SO-1" in line


def test_a_record_is_linked_to_its_screen_and_a_part_to_where_it_is_shown(
    office: dict[str, Any], sign_in: SignIn
) -> None:
    page = sign_in("finance").get("/audit").text
    assert 'href="/orders/SO-1">SO-1</a>' in page
    assert 'href="/customers/ALFKI">ALFKI</a>' in page
    assert "/settings/users/" not in page, "finance does not manage users"
    assert "/settings/users/" in sign_in("admin").get("/audit").text


def test_a_record_without_a_name_is_shown_by_its_number_and_linked(
    sign_in: SignIn, session: Session
) -> None:
    deposit = DepositFactory()
    session.commit()
    found = last(session, "deposits", "INSERT")
    browser = sign_in("finance")
    page = browser.get("/audit").text
    assert f'href="/gas/deposits/{deposit.id}">#{deposit.id}</a>' in page
    assert f"Deposit #{deposit.id} Created" in " ".join(rows(page))
    page = browser.get(f"/audit/{found.id}").text
    assert f"<h1>Deposit #{deposit.id}</h1>" in page


def test_what_is_gone_is_shown_by_its_number(
    office: dict[str, Any], sign_in: SignIn, session: Session
) -> None:
    number = CustomerFactory(code="GONE").id
    session.commit()
    session.execute(text("DELETE FROM customers WHERE code = 'GONE'"))
    session.commit()
    reported = shown(sign_in("finance"), table="customers", row=number)
    assert [f"Customer #{number}" in row for row in reported] == [True, True]


def test_an_emptied_table_is_told(
    sign_in: SignIn, owner_connection: psycopg.Connection[Any]
) -> None:
    owner_connection.execute("TRUNCATE product_prices")
    reported = shown(sign_in("finance"), action="truncate")
    assert "Price the whole table Emptied" in reported[0]
    assert "backoffice_owner (database user)" in reported[0]


def test_an_event_has_a_page_with_every_field(
    office: dict[str, Any], sign_in: SignIn, session: Session
) -> None:
    found = last(session, "orders")
    page = sign_in("finance").get(f"/audit/{found.id}").text
    assert "<h1>Order SO-1</h1>" in page
    assert ("Promo 1,000.00 2,500.00" in row for row in rows(page))
    for words in ("Ayu Lestari", "backoffice_app", f"transaction={found.xid}", "Not yet"):
        assert words in page
    together = shown(sign_in("finance"), transaction=found.xid)
    assert len(together) == 1


def test_an_event_that_never_was_is_not_found(sign_in: SignIn) -> None:
    browser = sign_in("finance")
    for number in (9, 2**63 - 1, 2**63, 10**30):
        assert browser.get(f"/audit/{number}").status_code == 404


def test_stored_markup_is_inert(sign_in: SignIn, session: Session) -> None:
    CustomerFactory(code="X", name="<script>alert(1)</script>")
    session.commit()
    page = sign_in("finance").get("/audit").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_values_that_no_column_understands_any_more_are_shown_as_they_are(
    sign_in: SignIn, session: Session, admin_database_url: str
) -> None:
    with psycopg.connect(admin_database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO audit_events (table_name, row_id, action, before, after) VALUES "
            """('orders', '7', 'UPDATE', '{"promo": "many", "order_date": 7, "gone": [1, true]}', """
            """'{"promo": null, "customer_id": "x", "order_date": "soon"}'), """
            """('no_such_table', 'x', 'UPDATE', '[]', '"text"'), ('customers', NULL, 'NONE', NULL, NULL)"""
        )
    reported = shown(sign_in("finance"))
    assert any("Promo before: many → after: –" in row for row in reported)
    assert any("Customer after: #x" in row for row in reported)


# How it is found


def test_events_are_found_by_every_filter(
    office: dict[str, Any], sign_in: SignIn, session: Session
) -> None:
    browser, ayu, order = sign_in("finance"), office["ayu"], office["order"]
    assert len(shown(browser, table="orders", action="update", person=ayu.id)) >= 1
    assert all("Ayu Lestari" in row for row in shown(browser, person=ayu.id))
    assert len(shown(browser, actor="cli:root")) == 1
    assert len(shown(browser, q="potsd")) == 1
    assert shown(browser, q="100%") == shown(browser, q="_x_") == []
    assert {row.split(" Order ")[0] for row in shown(browser, table="orders", row=f"#{order.id}")}
    assert shown(browser, transaction="x") == shown(browser, transaction="9" * 18) == []
    assert shown(browser, since="2020-01-01", until="2020-12-31") == []
    assert shown(browser, since="2020-01-01") == shown(browser)
    assert shown(browser, table="web_sessions") == shown(browser), "what makes no sense is left out"
    assert shown(browser, db_user="nobody") == []


def test_every_table_of_the_trail_can_be_chosen_by_a_name(sign_in: SignIn, app: Any) -> None:
    with app.app_context():
        names = set(ByTable(title_of))
    assert {"orders", "order_lines", "customers", "products", "users"} <= names
    assert "web_sessions" not in names
    page = sign_in("finance").get("/audit").text
    assert '<option value="order_lines">Order line</option>' in page


def test_a_page_costs_the_same_statements_for_any_number_of_events(
    office: dict[str, Any], sign_in: SignIn, session: Session
) -> None:
    browser = sign_in("finance")

    def statements() -> int:
        sent: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            sent.append(statement)

        event.listen(db.engine, "before_cursor_execute", note)
        try:
            assert browser.get("/audit?table=orders").status_code == 200
        finally:
            event.remove(db.engine, "before_cursor_execute", note)
        return len(sent)

    statements()  # the first page of a process fills a cache that later pages use
    few = statements()
    for number in range(15):
        OrderFactory(
            number=f"N-{number}", customer=office["customer"], account_manager=office["ayu"]
        )
    session.commit()
    assert statements() == few


def test_the_list_as_a_file_tells_fields_before_and_after(
    office: dict[str, Any], sign_in: SignIn
) -> None:
    answer = sign_in("finance").get("/audit/export.csv?table=customers")
    assert answer.status_code == 200
    table = list(csv.reader(StringIO(answer.get_data(as_text=True).removeprefix("\ufeff"))))
    head, first = table[0], table[1]
    assert head[:6] == ["When", "Who", "What", "Record", "Action", "Before and after"]
    assert first[1:] == ["cli:root", "Customer", "1", "Changed", "city: Berlin → Potsdam"]
    assert sign_in("finance").get("/audit/export.xlsx").status_code == 200


def test_the_page_prints_and_follows_htmx(office: dict[str, Any], sign_in: SignIn) -> None:
    browser = sign_in("finance")
    assert "Ayu Lestari" in browser.get("/audit?print=1").text
    part = browser.get("/audit?table=orders", headers={"HX-Request": "true"})
    assert "<html" not in part.text
    assert "chain-state" not in part.text
    assert "SO-1" in part.text
    assert "SO-1" in browser.get("/audit?columns=record,who,db_user,event").text
    totals = browser.get("/audit?totals=1", headers={"HX-Request": "true"}).text
    assert totals.lstrip().startswith("<tfoot")
    assert "events" in totals


def test_only_finance_and_administrators_see_the_trail(
    office: dict[str, Any], sign_in: SignIn
) -> None:
    for role, status in (
        ("finance", 200),
        ("admin", 200),
        ("viewer", 403),
        ("account_manager", 403),
    ):
        browser = sign_in(role)
        assert browser.get("/audit").status_code == status
        assert browser.get("/audit/1").status_code == status
        assert browser.get("/audit/export.csv").status_code == status
        assert ('href="/audit"' in browser.get("/orders").text) is (status == 200)


# The chain


def test_the_state_of_the_chain_stands_above_the_list(
    office: dict[str, Any],
    sign_in: SignIn,
    engine: Engine,
    keys: Keyring,
    folder: Path,
    session: Session,
) -> None:
    browser = sign_in("finance")
    page = browser.get("/audit").text
    assert "not yet" in page
    assert page.count("never") >= 2
    session.rollback()
    count = seal(engine, keys)
    with engine.begin() as connection:
        anchor(connection, keys, folder)
        record(connection, verify(engine, keys))
    page = browser.get("/audit").text
    assert f"{count} events, last at" in page
    assert "clean" in page
    found = last(session, "orders")
    assert "Not yet" not in browser.get(f"/audit/{found.id}").text


def test_fault_18_a_bad_row_is_said_on_the_screen_and_on_today(
    office: dict[str, Any],
    sign_in: SignIn,
    engine: Engine,
    keys: Keyring,
    session: Session,
    surgeon: psycopg.Connection[Any],
) -> None:
    session.rollback()
    seal(engine, keys)
    surgeon.execute("UPDATE audit_events SET actor = 'user:99' WHERE id = 2")
    with engine.begin() as connection:
        record(connection, verify(engine, keys))
    browser = sign_in("finance")
    for address in ("/audit", "/today"):
        page = browser.get(address).text
        assert "The audit trail is not what was sealed. Event 2 is not" in page, address


def test_a_stall_is_said(
    office: dict[str, Any], sign_in: SignIn, surgeon: psycopg.Connection[Any], session: Session
) -> None:
    session.rollback()
    browser = sign_in("finance")
    assert "a quarter of an hour" not in browser.get("/audit").text
    surgeon.execute("UPDATE audit_events SET at = at - interval '2 hours'")
    assert "a quarter of an hour" in browser.get("/audit").text
    assert "The audit trail is not being sealed." in browser.get("/today").text


def test_a_users_name_that_changed_is_the_present_one(
    office: dict[str, Any], sign_in: SignIn, session: Session
) -> None:
    user = session.get_one(User, office["ayu"].id)
    user.name = "Ayu L."
    session.commit()
    assert any("Ayu L." in row for row in shown(sign_in("finance"), person=user.id))
