"""Statements over HTTP: the screen, its periods and pages, paper, files."""

import csv
import io
import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import insert

from backoffice.base import periods
from backoffice.billing.models import Invoice, Payment
from backoffice.customers.models import Customer
from backoffice.database.embedded import Services
from tests.factories.billing import InvoiceFactory, MeterAdjustmentFactory, PaymentFactory
from tests.factories.customers import CustomerFactory
from tests.files_for_people import lines_for_people
from tests.orders.pages import text_of
from tests.processor import seconds_of

from .accounts import documents, meter, wanjiru

SignIn = Callable[..., FlaskClient]


@pytest.fixture
def customer(session: Any) -> Customer:
    """Wanjiru with two meters, M-1 and M-2, and one that was hers once."""
    return wanjiru(session)


@pytest.fixture
def finance(sign_in: SignIn, session: Any, customer: Customer) -> FlaskClient:
    """A finance person, and Wanjiru's documents."""
    documents(session, customer)
    return sign_in("finance")


def page_of(client: FlaskClient, address: str) -> str:
    page = client.get(address)
    assert page.status_code == 200, page.text
    return text_of(page.text)


def test_the_screen_shows_opening_documents_and_closing_and_ties_it_to_what_is_stored(
    finance: FlaskClient,
) -> None:
    page = page_of(finance, "/billing/customers/C-1/statement?period=all")
    assert "Statement of C-1 · Wanjiru" in page
    assert "Opening 0.00" in page
    assert "Closing 660.00" in page
    assert "Payment PAY-1 for INV-1" in page
    assert "Stored are a balance of Rp 900.00 and an overpayment of Rp 240.00." in page
    assert "exactly the one less the other" in page
    assert "INV-9" not in page
    assert "PAY-9" not in page
    assert "INV-8" not in page


def test_a_period_says_what_comes_after_it(finance: FlaskClient) -> None:
    page = page_of(finance, "/billing/customers/C-1/statement?since=2026-02-01&until=2026-02-28")
    assert "Opening 1 Feb 2026 1,500.00" in page
    assert "Closing 28 Feb 2026 700.00" in page
    assert "Documents after this period come to -Rp 40.00" in page.replace("Rp -40.00", "-Rp 40.00")


def test_days_the_wrong_way_round_are_turned_and_nonsense_is_left_out(finance: FlaskClient) -> None:
    turned = page_of(finance, "/billing/customers/C-1/statement?since=2026-02-28&until=2026-02-01")
    assert "wrong way round" in turned
    assert "Closing 28 Feb 2026 700.00" in turned
    year = periods.today().year
    usual = page_of(finance, "/billing/customers/C-1/statement?since=gestern&period=x")
    assert f"1 Jan {year} – 31 Dec {year}" in usual


def test_a_day_that_is_none_is_said_to_be_none(finance: FlaskClient) -> None:
    address, year = "/billing/customers/C-1/statement", periods.today().year
    neither = page_of(finance, f"{address}?since=2026-13-01&until=zz")
    assert "This is not a day: 2026-13-01, zz. Choose the days again." in neither
    assert f"1 Jan {year} – 31 Dec {year}" in neither
    one = page_of(finance, f"{address}?since=2026-02-01&until=2026-02-31")
    assert "This is not a day: 2026-02-31." in one
    assert "from 1 Feb 2026" in one
    assert "not a day" not in page_of(finance, f"{address}?since=2026-02-01&until=")
    refused = finance.get(f"{address}.csv?since=2026-13-01&until=zz")
    assert refused.status_code == 422
    assert "This is not a day: 2026-13-01, zz." in text_of(refused.text)


@pytest.mark.parametrize("period", ["this_month", "last_month", "this_year", "all", "days"])
def test_every_period_can_be_chosen(finance: FlaskClient, period: str) -> None:
    page_of(finance, f"/billing/customers/C-1/statement?period={period}")


def test_a_period_without_documents_says_so(finance: FlaskClient) -> None:
    page = page_of(finance, "/billing/meters/M-2/statement?since=2020-01-01&until=2020-12-31")
    assert "No document in these days." in page


def test_what_names_no_meter_stands_beneath_and_counts_nowhere(
    finance: FlaskClient, session: Any, customer: Customer
) -> None:
    customer = session.merge(customer)
    InvoiceFactory(number="OLD-1", customer=customer)
    PaymentFactory(reference="OLD-2", customer=customer)
    session.commit()
    page = page_of(finance, "/billing/customers/C-1/statement?period=all")
    above, _heading, beneath = page.partition("Not counted yet")
    assert "OLD-1" in beneath
    assert "OLD-2" in beneath
    assert "OLD-1" not in above
    assert "Closing 660.00" in above
    assert "Not counted yet" not in page_of(finance, "/billing/meters/M-1/statement?period=all")


def test_a_long_statement_is_paged_and_carries_its_balance_over(
    finance: FlaskClient, session: Any, customer: Customer
) -> None:
    customer, own = session.merge(customer), meter(session, "M-2")
    for day in range(1, 61):
        PaymentFactory(
            customer=customer, meter=own, amount=1, paid_on=date(2026, 4, 1) + timedelta(days=day)
        )
    session.commit()
    first = page_of(finance, "/billing/meters/M-2/statement?period=all")
    assert "To be carried over" in first
    assert "Carried over" not in first.replace("To be carried", "")
    second = page_of(finance, "/billing/meters/M-2/statement?period=all&page=2")
    assert "Carried over" in second
    assert "Closing -300.00" in second
    assert "Closing -300.00" in page_of(finance, "/billing/meters/M-2/statement?period=all&page=99")
    printed = page_of(finance, "/billing/meters/M-2/statement?period=all&print=1")
    assert "Opening 0.00" in printed
    assert "Closing -300.00" in printed


def rows_of(answer: Any) -> list[list[str]]:
    assert answer.status_code == 200
    return list(csv.reader(io.StringIO(answer.data.decode("utf-8-sig"), newline="")))


def test_the_file_holds_everything_and_ends_with_control_totals(finance: FlaskClient) -> None:
    rows = lines_for_people(finance, "/billing/customers/C-1/statement.csv?period=all")
    assert rows[0] == ["Day", "Document", "Number", "Meter", "Note", "Due", "Amount", "Balance"]
    assert rows[1] == [
        "2026-01-10",
        "Invoice",
        "INV-1",
        "M-1",
        "",
        "2026-03-31",
        "1500.00",
        "1500.00",
    ]
    assert rows[3][1:] == ["Payment", "PAY-1", "M-1, M-2", "INV-1", "", "-900.00", "700.00"]
    assert rows[5] == ["Total", "", "", "", "", "", "660.00", ""]
    footer = {row[0]: row[1] for row in rows[6:]}
    assert "Wanjiru" in footer["Filter"]
    assert "Closing: 660.00" in footer["Filter"]
    assert (footer["Rows"], footer["Total: Amount"]) == ("4", "660.00")


def test_a_reason_that_looks_like_a_formula_is_inert_in_the_file(
    finance: FlaskClient, session: Any, customer: Customer
) -> None:
    MeterAdjustmentFactory(
        meter=meter(session, "M-2"), customer=session.merge(customer), reason="=1+1", amount=5
    )
    session.commit()
    rows = rows_of(finance.get("/billing/meters/M-2/statement.csv?period=all"))
    assert "'=1+1" in [row[4] for row in rows if len(row) > 4]


@pytest.mark.parametrize("flavour", ["csv-id", "xlsx"])
def test_the_other_files_come_too(finance: FlaskClient, flavour: str) -> None:
    for owner in ("customers/C-1", "meters/M-1"):
        answer = finance.get(f"/billing/{owner}/statement.{flavour}?period=all")
        assert answer.status_code == 200
        assert len(answer.data) > 100


def test_a_file_is_called_by_the_customer_or_the_meter(
    finance: FlaskClient, session: Any, customer: Customer
) -> None:
    session.merge(customer).code = 'A/ "1"'
    session.commit()
    today = periods.today().isoformat()
    for owner, flavour, called in (
        ("customers/A%2F%20%221%22", "csv", f"statement-A-1-{today}.csv"),
        ("meters/M-1", "csv-id", f"statement-M-1-{today}.csv"),
        ("meters/M-1", "xlsx", f"statement-M-1-{today}.xlsx"),
    ):
        answer = finance.get(f"/billing/{owner}/statement.{flavour}?period=all")
        assert answer.headers["Content-Disposition"] == f"attachment; filename={called}"


def test_what_was_forgiven_is_credited_and_not_paid(
    finance: FlaskClient, session: Any, customer: Customer
) -> None:
    forgiven = {"meter": meter(session, "M-2"), "customer": session.merge(customer), "amount": -5}
    MeterAdjustmentFactory(**forgiven, reason="Leak", adjusted_on=date(2026, 5, 1))
    session.commit()
    address = "/billing/meters/M-2/statement?since=2026-05-01&until=2026-05-31"
    head, _caption, table = page_of(finance, address).partition("Documents by day")
    assert "Adjustments -5.00 Paid 0.00" in head
    assert "Credited (Rp)" in table
    assert "Paid" not in table
    assert "Leak 5.00" in table


def test_our_own_checks_and_what_counts_nowhere_are_not_on_paper(
    finance: FlaskClient, session: Any, customer: Customer
) -> None:
    InvoiceFactory(number="OLD-1", customer=session.merge(customer))
    session.commit()
    page = finance.get("/billing/customers/C-1/statement?period=all&print=1").text
    styles = (Path(__file__).parents[2] / "static" / "app.css").read_text()
    on_paper = styles.partition("@media print")[2]
    assert ".statement-tie, .statement-uncounted { display: none; }" in on_paper
    for name in ("statement-tie", "statement-uncounted"):
        assert re.search(rf'class="[^"]*{name}', page)


def test_all_unmatched_payments_of_the_customer_are_a_link_away(
    finance: FlaskClient, session: Any, customer: Customer
) -> None:
    for number in range(21):
        PaymentFactory(reference=f"OLD-{number}", customer=session.merge(customer))
    PaymentFactory(reference="THEIRS", customer=CustomerFactory(code="C-9"))
    session.commit()
    page = finance.get("/billing/customers/C-1/statement?period=all").text
    link = re.search(r'href="([^"]*/unmatched[^"]*)">All 21 unmatched payments', page)
    assert link
    assert link[1] == "/billing/unmatched?customer=C-1"
    listed = page_of(finance, link[1])
    assert "21 unmatched payments" in listed
    assert "OLD-20" in listed
    assert "THEIRS" not in listed


def test_an_unknown_customer_or_meter_has_no_statement(finance: FlaskClient) -> None:
    for address in ("customers/X/statement", "meters/X/statement", "meters/M-1/statement.pdf"):
        assert finance.get(f"/billing/{address}").status_code == 404


@pytest.mark.leaves_drift
def test_a_tampered_balance_does_not_tie_and_the_screen_says_so(
    finance: FlaskClient, session: Any, admin_database_url: str
) -> None:
    import psycopg

    with psycopg.connect(admin_database_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE customers SET balance = balance + 1")
    page = page_of(finance, "/billing/customers/C-1/statement?period=all")
    assert "which is not what is stored" in page
    assert "Recalculate the customer" in page


def test_a_meter_with_twelve_thousand_documents_answers_at_once(
    session: Any, services: Services, customer: Customer, sign_in: SignIn
) -> None:
    own, day = meter(session, "M-1"), date(2020, 1, 1)
    numbers = range(6000)
    facts = {"customer_id": customer.id, "meter_id": own.id}
    session.execute(
        insert(Invoice),
        [
            {"number": f"N-{n}", "amount": 2, "issued_on": day, "due_on": day, **facts}
            for n in numbers
        ],
    )
    session.execute(
        insert(Payment),
        [{"reference": f"P-{n}", "amount": 1, "paid_on": day, **facts} for n in numbers],
    )
    session.commit()
    client = sign_in("viewer")
    client.get("/billing/customers/C-1/statement?period=all")
    address = "/billing/customers/C-1/statement?period=all&page=240"
    assert seconds_of(lambda: client.get(address), services) < 2
    assert "Closing 6,000.00" in page_of(client, address)
