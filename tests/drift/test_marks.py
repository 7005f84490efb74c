"""An amount that is known to be wrong is marked where it is shown: records, cells, totals, reports, files."""

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from backoffice.app.extensions import db
from backoffice.app.protection import limiter
from backoffice.base import Base
from tests.drift.books import run_of
from tests.drift.whole_book import ADDED, Stored, everything_stored, write_everything
from tests.factories.billing import InvoiceFactory, MeterAssignmentFactory
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.files_for_people import lines_for_people, text_for_people

pytestmark = pytest.mark.slow

KNOWN_WRONG = "Holds amounts that are known to be wrong"

SHOWN_IN = {
    "orders.grand_total.grand_total": ("/orders", "/reports", "/reports/customer", "/customers/ACME"),
    "account_manager_targets.achieved.achieved": ("/targets", "/targets/years/2026"),
    "account_manager_targets.achieved.orders_closed": ("/targets", "/targets/years/2026"),
    "meters.balance.balance": (
        "/billing/meters", "/billing/ageing", "/billing/ageing?by=meter", "/customers/ACME",
        "/billing/customers/ACME/statement", "/billing/meters/M-1/statement",
    ),
    "meters.documents.paid": ("/billing/ageing", "/billing/meters/M-1/statement"),
    "invoices.amount.amount": ("/billing/invoices", "/billing/ageing", "/billing/meters/M-1/statement"),
    "invoices.paid.paid": ("/billing/invoices", "/billing/ageing?by=meter"),
    "customers.balance.balance": ("/customers", "/billing/customers/ACME/statement"),
    "customers.balance.overpayment": ("/customers", "/customers/ACME"),
}  # fmt: skip
"""A stored number → where it is shown, or added up."""

FILES = {
    "/orders": "/orders/export.csv", "/targets": "/targets/export.csv", "/customers": "/customers/export.csv",
    "/billing/meters": "/billing/meters/export.csv", "/billing/invoices": "/billing/invoices/export.csv",
    "/billing/ageing": "/billing/ageing/export.csv", "/reports/customer": "/reports/customer/export.csv",
}  # fmt: skip


@pytest.fixture
def book(kept_book: Any, session: Any, surgery: psycopg.Connection[Any]) -> None:
    """Every kind of record once, and besides an order, a meter, an invoice and a customer that stay right.

    Analyzed: with an earlier test's statistics the totals might seem expensive, and be loaded after the page.
    """
    kept_book("everything, and what stays right", lambda: _write(session))
    surgery.execute(f"ANALYZE {', '.join(Base.metadata.tables)}".encode())  # not the catalogue


def _write(session: Any) -> None:
    write_everything()
    other = CustomerFactory(code="RIGHT", name="Right")
    OrderFactory(number="SO-RIGHT", customer=other, closing_date=date(2026, 4, 2))
    meter = MeterAssignmentFactory(customer=other, meter__number="M-RIGHT").meter
    InvoiceFactory(number="INV-RIGHT", customer=other, meter=meter)
    session.commit()
    run_of("figures.verify")


def rows_marked(html: str) -> dict[str, bool]:
    """The rows of the page's tables by their text, and whether each has a mark."""
    found = re.findall(r"<tr[ >].*?</tr>", html, re.DOTALL)
    return {" ".join(re.sub(r"<[^>]+>", " ", row).split()): "wrong-mark" in row for row in found}


def one_row(stored: Stored, surgery: psycopg.Connection[Any], amount: Decimal = ADDED) -> None:
    """Make the number wrong in the one row that all records of ACME share."""
    surgery.execute(
        f"UPDATE {stored.figure.table.name} SET {stored.column} = {stored.column} + {amount} "
        f"WHERE id = (SELECT min(id) FROM {stored.figure.table.name})".encode()
    )


@pytest.mark.parametrize(
    "stored", [pytest.param(s, id=str(s)) for s in everything_stored() if str(s) in SHOWN_IN]
)
def test_it_is_marked_wherever_it_stands_and_nowhere_else(
    stored: Stored,
    book: None,
    sign_in: Callable[..., FlaskClient],
    surgery: psycopg.Connection[Any],
) -> None:
    client = sign_in("admin")
    for address in SHOWN_IN[str(stored)]:
        assert "wrong-mark" not in client.get(address).text, address
    one_row(stored, surgery)
    run_of("figures.verify")
    for address in SHOWN_IN[str(stored)]:
        html = client.get(address).text
        assert "wrong-mark" in html, address
        assert re.search(r'class="wrong-mark"\s+href="/health/drift', html), address
        rows = rows_marked(html)
        assert not any(is_marked for row, is_marked in rows.items() if "RIGHT" in row), rows
        if address in FILES:
            total = [is_marked for row, is_marked in rows.items() if re.match(r"\d+ |Total", row)]
            assert total
            assert all(total), rows
            assert KNOWN_WRONG in text_for_people(client, FILES[address]), address
    run_of("figures.heal")
    for address in SHOWN_IN[str(stored)]:
        assert "wrong-mark" not in client.get(address).text, address
        if address in FILES:
            assert KNOWN_WRONG not in text_for_people(client, FILES[address]), address


def lists_of(app: Flask) -> list[str]:
    """The screens of lists with files, except those of verification and of runs."""
    ending = "/export.<flavour>"
    rules = [rule.rule for rule in app.url_map.iter_rules() if rule.rule.endswith(ending)]
    found = [rule.removesuffix(ending) for rule in rules if rule.count("<") == 1]
    return [rule for rule in found if not rule.startswith(("/health", "/runs"))]


def columns_marked(html: str) -> set[str]:
    """The names of the columns with a mark in a cell."""
    cells = re.findall(r'<td[^>]*data-label="([^"]*)"[^>]*>(.*?)</td>', html, re.DOTALL)
    return {label for label, cell in cells if "wrong-mark" in cell}


def test_a_file_names_every_column_in_which_its_screen_marks_an_amount(
    app: Flask,
    book: None,
    sign_in: Callable[..., FlaskClient],
    surgery: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limiter, "enabled", False)
    client = sign_in("admin")
    for stored in everything_stored():
        one_row(stored, surgery)
    run_of("figures.verify")
    seen = 0
    for address in lists_of(app):
        columns = columns_marked(client.get(address).text)
        lines = lines_for_people(client, f"{address}/export.csv")
        named = {
            name for line in lines if line[:1] == [KNOWN_WRONG] for name in line[1].split(", ")
        }
        assert columns <= named, address
        seen += len(columns)
    assert seen > 30
    for stored in everything_stored():
        one_row(stored, surgery, -ADDED)


@pytest.mark.parametrize("dimension", ["month", "manager", "customer"])
def test_a_report_and_its_file_say_that_the_year_before_is_wrong(
    dimension: str,
    book: None,
    sign_in: Callable[..., FlaskClient],
    surgery: psycopg.Connection[Any],
) -> None:
    client = sign_in("finance")
    surgery.execute("UPDATE orders SET grand_total = 1 WHERE number = 'SO-1'")
    run_of("figures.verify")
    assert "wrong-mark" in client.get(f"/reports/{dimension}?year=2027").text
    file = text_for_people(client, f"/reports/{dimension}/export.csv?year=2027")
    assert f"{KNOWN_WRONG},A year earlier" in file
    assert KNOWN_WRONG not in text_for_people(client, f"/reports/{dimension}/export.csv?year=2028")
    run_of("figures.heal")


def test_whoever_may_not_see_findings_sees_the_mark_all_the_same(
    book: None, session: Any, sign_in: Callable[..., FlaskClient], surgery: psycopg.Connection[Any]
) -> None:
    from backoffice.people.models import User

    manager = session.query(User).filter_by(name="Nancy").one()
    surgery.execute("UPDATE orders SET grand_total = 1 WHERE number = 'SO-1'")
    run_of("figures.verify")
    for address in ("/orders", "/orders/SO-1"):
        html = sign_in(manager).get(address).text
        assert '<span class="wrong-mark">' in html, address
        assert "/health/drift" not in html
    run_of("figures.heal")


def test_a_filter_that_leaves_it_out_has_a_right_total(
    book: None, sign_in: Callable[..., FlaskClient], surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute("UPDATE orders SET grand_total = 1 WHERE number = 'SO-1'")
    run_of("figures.verify")
    client = sign_in("finance")
    assert "wrong-mark" in client.get("/orders?q=SO-1").text
    assert "wrong-mark" not in client.get("/orders?q=SO-RIGHT").text
    assert KNOWN_WRONG not in text_for_people(client, "/orders/export.csv?q=SO-RIGHT")
    run_of("figures.heal")


def statements_of(client: FlaskClient, address: str) -> list[str]:
    """The statements that a page sends to PostgreSQL."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        sent.append(statement)

    client.get(address)
    event.listen(db.engine, "before_cursor_execute", note)
    try:
        client.get(address)
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    return sent


LISTS = ("/orders", "/customers", "/billing/meters", "/billing/invoices")


def test_a_hundred_rows_get_their_marks_in_three_statements_at_most(
    app: Flask, book: None, session: Any, sign_in: Callable[..., FlaskClient],
    surgery: psycopg.Connection[Any],
) -> None:  # fmt: skip
    client = sign_in("finance")
    for number in range(100):
        customer = CustomerFactory(code=f"C{number:03}")
        OrderFactory(number=f"SO-C{number:03}", customer=customer)
        meter = MeterAssignmentFactory(customer=customer, meter__number=f"M-C{number:03}").meter
        InvoiceFactory(number=f"INV-C{number:03}", customer=customer, meter=meter)
    session.commit()
    run_of("figures.verify")

    def about_findings(address: str) -> int:
        return sum("drift_findings" in s for s in statements_of(client, address))

    asked = {address: about_findings(address) for address in LISTS}
    assert asked == dict.fromkeys(LISTS, 1), "nothing is wrong: that is asked once"
    for table, column in (
        ("orders", "grand_total"),
        ("customers", "balance"),
        ("meters", "balance"),
        ("invoices", "paid"),
    ):
        surgery.execute(f"UPDATE {table} SET {column} = {column} + 1".encode())
    run_of("figures.verify")
    for address in LISTS:
        assert about_findings(address) <= 3, address
        assert client.get(address).text.count("wrong-mark") >= 50, address
    run_of("figures.heal")


def test_a_forged_fact_is_marked_and_no_page_says_right(
    book: None, sign_in: Callable[..., FlaskClient], surgery: psycopg.Connection[Any],
    run_command: Callable[..., Any],
) -> None:  # fmt: skip
    """A fact that was changed without triggers: found by the command that compares facts."""
    client = sign_in("admin")
    surgery.execute("UPDATE payments SET amount = amount + 1 WHERE reference = 'PAY-1'")
    assert run_command("audit", "verify-facts", "--table", "payments").exit_code == 1
    html = client.get("/billing/payments").text
    assert "wrong-mark" in html
    assert "Figures are right" not in html
    surgery.execute("UPDATE payments SET amount = amount - 1 WHERE reference = 'PAY-1'")
    assert run_command("audit", "verify-facts", "--table", "payments").exit_code == 0
    assert "wrong-mark" not in client.get("/billing/payments").text
