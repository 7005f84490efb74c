"""The screens of invoices over HTTP: list, record, history, voiding, moving."""

import csv
import io
import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient

from backoffice.base import periods
from backoffice.billing.models import Payment
from backoffice.customers.models import Customer
from tests.factories.billing import PaymentFactory

from .invoice_desk import filled, invoice_of, meter, new, only, wanjiru, words

SignIn = Callable[..., FlaskClient]


@pytest.fixture
def customer(session: Any) -> Customer:
    """Wanjiru, with the meter M-1."""
    return wanjiru(session)


@pytest.fixture
def finance(sign_in: SignIn, customer: Customer) -> FlaskClient:
    """A finance person."""
    return sign_in("finance")


# Record


def test_the_record_shows_the_amount_what_was_paid_and_what_is_open(
    finance: FlaskClient, session: Any, customer: Customer
) -> None:
    invoice = invoice_of(session, customer, due_on=periods.today(), issued_on=periods.today())
    on = {"invoice": invoice, "meter": invoice.meter, "customer": invoice.customer}
    PaymentFactory(reference="PAY-1", amount=600, **on)
    PaymentFactory(reference="PAY-2", amount=50, status="void", **on)
    session.commit()
    page = finance.get("/billing/invoices/INV-1")
    reported = words(page)
    assert "Part paid" in reported
    assert "12.5 × 100.00 1,250.00" in reported
    assert "Paid on the invoice 1 payment 600.00" in reported
    assert "Outstanding Rp 900.00" in reported
    assert "PAY-1" in reported
    assert '<tr class="is-void">' in page.text


def test_how_the_amount_and_what_was_paid_were_calculated(
    finance: FlaskClient, session: Any, customer: Customer
) -> None:
    invoice = invoice_of(session, customer)
    PaymentFactory(
        reference="PAY-1",
        invoice=invoice,
        meter=invoice.meter,
        customer=invoice.customer,
        amount=600,
    )
    session.commit()
    amount = words(finance.get("/billing/invoices/INV-1/calculation/amount"))
    assert "Stored as calculated" in amount
    assert "Units × Rate, rounded half away from zero" in amount
    paid = finance.get("/billing/invoices/INV-1/calculation/paid")
    assert "600.00" in words(paid)
    assert "/billing/payments/PAY-1" in paid.text
    assert finance.get("/billing/invoices/INV-1/calculation/status").status_code == 404


def test_the_history_renders_every_save(
    finance: FlaskClient, session: Any, customer: Customer
) -> None:
    typed = new(finance, number="INV-1")
    finance.post("/billing/invoices/new", data=typed)
    path = "/billing/invoices/INV-1/edit"
    finance.post(path, data=filled(finance, path, units="20"))
    reported = words(finance.get("/billing/invoices/INV-1/history"))
    assert "Units before: 12.5 → after: 20" in reported
    assert "Meter after: M-1" in reported
    assert "Customer after: C-1 · Wanjiru" in reported


def test_neighbours_follow_the_filter(
    finance: FlaskClient, session: Any, customer: Customer
) -> None:
    for day, number in enumerate(("INV-1", "INV-2", "INV-3"), 1):
        status = {"status": "void"} if number == "INV-2" else {}
        invoice_of(session, customer, number=number, issued_on=date(2026, 3, day), **status)
    everything = finance.get("/billing/invoices/INV-3").text
    assert 'href="/billing/invoices/INV-2"' in everything
    narrowed = finance.get("/billing/invoices/INV-3?status=unpaid").text
    assert 'href="/billing/invoices/INV-1?status=unpaid"' in narrowed


@pytest.mark.leaves_drift
def test_a_tampered_amount_is_said_to_be_wrong(
    finance: FlaskClient, session: Any, customer: Customer, admin_database_url: str
) -> None:
    invoice_of(session, customer)
    with psycopg.connect(admin_database_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE invoices SET amount = 1")
    assert "stored wrongly" in words(finance.get("/billing/invoices/INV-1"))


# Void and move


def posted(client: FlaskClient, session: Any, verb: str, **typed: str) -> Any:
    invoice = only(session)
    path = f"/billing/invoices/{invoice.number}/{verb}"
    page = client.get(path)
    assert page.status_code == 200, page.text
    return client.post(path, data=unseen(page.text) | typed)


def unseen(page: str) -> dict[str, str]:
    """The hidden fields of the form of a verb."""
    return dict(re.findall(r'name="(version|idempotency_key)"[^>]*value="([^"]*)"', page))


def test_voiding_wants_a_reason_and_says_what_happens_to_payments(
    finance: FlaskClient, session: Any, customer: Customer
) -> None:
    invoice = invoice_of(session, customer)
    PaymentFactory(invoice=invoice, meter=invoice.meter, customer=invoice.customer, amount=600)
    session.commit()
    assert "It stays on the meter, names no invoice any more" in words(
        finance.get("/billing/invoices/INV-1/void")
    )
    assert "Say why" in words(posted(finance, session, "void", reason=" "), 422)
    answer = posted(finance, session, "void", reason="Read twice")
    assert answer.location == "/billing/invoices/INV-1"
    reported = words(finance.get(answer.location))
    assert "1 payment that named it stays on the meter" in reported
    assert "counts nowhere. Reason: Read twice" in reported
    assert (meter(session).balance, meter(session).overpayment) == (0, 600)


def test_what_is_void_offers_no_verbs_and_refuses_them(
    finance: FlaskClient, session: Any, customer: Customer
) -> None:
    invoice_of(session, customer, status="void", void_reason="Twice")
    page = finance.get("/billing/invoices/INV-1").text
    for verb in ("edit", "void", "move"):
        assert f'href="/billing/invoices/INV-1/{verb}"' not in page
        refused = finance.get(f"/billing/invoices/INV-1/{verb}")
        assert "is void and stays as it is" in words(refused, 422)


def test_moving_takes_the_payments_along_and_both_customers_are_right(
    finance: FlaskClient, session: Any, customer: Customer
) -> None:
    invoice = invoice_of(session, customer)
    PaymentFactory(invoice=invoice, meter=invoice.meter, customer=invoice.customer, amount=600)
    session.commit()
    assert "no such meter" in words(posted(finance, session, "move", meter="M-9"), 422)
    assert "is on that meter already" in words(posted(finance, session, "move", meter="M-1"), 422)
    answer = posted(finance, session, "move", meter="M-2", with_payments="y")
    assert "Invoice INV-1 and 1 payment are on meter M-2 now." in words(
        finance.get(answer.location)
    )
    session.rollback()
    reported = {c.code: (c.balance, c.overpayment) for c in session.query(Customer)}
    assert reported == {"C-1": (0, 0), "C-2": (900, 0)}


def test_payments_can_be_left_behind(
    finance: FlaskClient, session: Any, customer: Customer
) -> None:
    invoice = invoice_of(session, customer)
    PaymentFactory(invoice=invoice, meter=invoice.meter, customer=invoice.customer, amount=600)
    session.commit()
    posted(finance, session, "move", meter="M-2")
    session.rollback()
    payment = session.query(Payment).one()
    assert (payment.meter.number, payment.invoice_id) == ("M-1", None)


def test_who_was_slower_reads_how_it_stands_now(
    finance: FlaskClient, session: Any, customer: Customer
) -> None:
    invoice_of(session, customer)
    path = "/billing/invoices/INV-1/void"
    opened = unseen(finance.get(path).text)
    edit = "/billing/invoices/INV-1/edit"
    finance.post(edit, data=filled(finance, edit, units="20"))
    refused = finance.post(path, data=opened | {"reason": "Twice"})
    assert "Another user has saved INV-1" in words(refused, 409)
    assert "Amount 2,250.00" in words(refused, 409)
    assert only(session).status == "posted"


# List


def listed(client: FlaskClient, query: str) -> list[str]:
    answer = client.get(f"/billing/invoices/export.csv?{query}")
    assert answer.status_code == 200
    rows = list(csv.reader(io.StringIO(answer.data.decode("utf-8-sig"), newline="")))
    return [row[0] for row in rows[1:]]


@pytest.fixture
def several(session: Any, customer: Customer) -> None:
    """An overdue, a part paid, a paid, an open and a void invoice, and one without a meter."""
    today = periods.today()
    late, soon = today - timedelta(days=9), today + timedelta(days=9)
    for number, due, paid in (
        ("INV-1", late, 0),
        ("INV-2", soon, 5),
        ("INV-3", late, 1500),
        ("INV-4", soon, 0),
    ):
        invoice = invoice_of(session, customer, number=number, issued_on=late, due_on=due)
        if paid:
            PaymentFactory(
                invoice=invoice, meter=invoice.meter, customer=invoice.customer, amount=paid
            )
    invoice_of(session, customer, number="INV-5", status="void", issued_on=late, due_on=late)
    invoice_of(session, customer, number="INV-6", meter=None, issued_on=today, due_on=soon)
    session.commit()


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", "123456"), ("status=overdue", "1"), ("status=part_paid", "2"), ("status=paid", "3"),
        ("status=open", "46"), ("status=void", "5"), ("status=unpaid", "1246"),
        ("without=meter", "6"), ("meter=M-1", "12345"), ("customer=C-1", "123456"),
        ("customer=C-2", ""), ("q=INV-3", "3"), ("q=wanj", "123456"), ("q=M-1", "12345"),
        ("since=2999-01-01", ""), ("status=nonsense", "123456"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("several")
def test_the_list_is_narrowed_by(finance: FlaskClient, query: str, numbers: str) -> None:
    assert sorted(listed(finance, query)) == [f"INV-{number}" for number in numbers]


@pytest.mark.usefixtures("several")
def test_the_totals_of_the_list_count_no_void_invoice(finance: FlaskClient) -> None:
    page = words(finance.get("/billing/invoices?totals=1"))
    assert "6 invoices · Rp 7,500.00 1,505.00 5,995.00" in page
    assert "Overdue" in page
    workbook = finance.get("/billing/invoices/export.xlsx")
    assert workbook.status_code == 200


def test_an_empty_list_says_how_invoices_come_about(finance: FlaskClient) -> None:
    page = finance.get("/billing/invoices")
    assert "No invoices yet" in words(page)
    assert 'href="/billing/invoices/new"' in page.text
