"""The API of payments: given and default allocations, and the refusals of the sheet."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from backoffice.billing.models import Invoice, Payment
from backoffice.customers.models import Customer
from tests.factories.billing import InvoiceFactory
from tests.factories.customers import CustomerFactory
from tests.records.test_api import Program, is_problem

from .payment_desk import alfreds, oldest_first, stored

CUSTOMER = select(Customer).where(Customer.code == "ALFKI")
PAID = {"customer": "ALFKI", "amount": "250.00", "paid_on": "2026-03-05", "method": "cash"}


@pytest.fixture
def program(app: Flask, session: Any) -> Program:
    """May write payments of Alfreds, who has three open invoices of 100.00 on meter M-A."""
    alfreds(session)
    return Program(app, session, "payments:write")


def parts_of(answer: Any) -> list[tuple[Any, ...]]:
    assert answer.status_code in (200, 201), answer.text
    return [(part["invoice"], part["meter"], part["amount"]) for part in answer.get_json()["parts"]]


def test_without_parts_the_oldest_invoice_is_paid_first(program: Program, session: Any) -> None:
    made = program.send("POST", "/api/payments", json=PAID)
    assert parts_of(made) == [
        ("INV-0001", "M-A", "100.00"), ("INV-0002", "M-A", "100.00"), ("INV-0003", "M-A", "50.00"),
    ]  # fmt: skip
    reported = made.get_json()
    assert (reported["amount"], reported["status"], reported["reference"]) == (
        "250.00",
        "posted",
        "PAY-2026-00001",
    )
    assert made.headers["ETag"] == '"3"', "its version is that of all its parts"
    assert program.send("GET", made.headers["Location"]).get_json() == reported
    [listed] = program.send("GET", "/api/payments?customer=ALFKI").get_json()["items"]
    assert listed == reported
    session.rollback()
    assert [session.get(Invoice, key).paid for key in oldest_first(session)] == [100, 100, 50]


def test_the_invoice_that_was_due_first_is_paid_before_the_one_issued_first(
    program: Program, session: Any
) -> None:
    first = session.scalars(select(Invoice).where(Invoice.number == "INV-0001")).one()
    first.due_on = date(2026, 4, 20)  # issued in January
    session.commit()
    made = program.send("POST", "/api/payments", json=PAID | {"amount": "100.00"})
    assert parts_of(made) == [("INV-0002", "M-A", "100.00")]


def test_the_parts_that_are_said_are_the_parts(program: Program) -> None:
    parts = [{"invoice": "INV-0003", "amount": "70.5"}, {"meter": "M-B", "amount": "179.50"}]
    made = program.send("POST", "/api/payments", json=PAID | {"parts": parts})
    assert parts_of(made) == [("INV-0003", "M-A", "70.50"), (None, "M-B", "179.50")]
    unmatched = program.send("POST", "/api/payments", json=PAID | {"parts": [{"amount": "250"}]})
    assert parts_of(unmatched) == [(None, None, "250.00")]


@pytest.mark.parametrize(
    ("parts", "at", "said"),
    [
        ([{"invoice": "INV-0001", "amount": "250"}], "parts-0-amount", "Only Rp\xa0100.00 is open."),
        (
            [{"invoice": "INV-0001", "amount": "90"}], "parts",
            "The parts come to Rp\xa090.00, but the payment is Rp\xa0250.00.",
        ),
        ([{"amount": "100"}, {"invoice": "NO-1", "amount": "150"}], "parts-1-invoice", "There is no invoice NO-1."),
        ([{"invoice": "OTHER-1", "amount": "250"}], "parts-0-invoice", "Invoice OTHER-1 is of another customer."),
        ([{"invoice": "VOID-1", "amount": "250"}], "parts-0-invoice", "Invoice VOID-1 is void."),
        ([{"meter": "M-?", "amount": "250"}], "parts-0-meter", "There is no meter M-?."),
        (
            [{"invoice": "INV-0001", "amount": "100"}, {"invoice": "INV-0001", "amount": "150"}],
            "parts-1-invoice", "Another part pays this invoice.",
        ),
        ([{"invoice": "INV-0001", "amount": "0"}, {"amount": "250", "meter": 3}], "parts-1-meter", "Send a text."),
        ([{"invoice": "INV-0001", "meter": "M-A", "amount": "250"}], "parts-0-meter", "Name one of the two."),
        ([{"invoice": "INV-0001", "amount": "50"}, {"invoice": "INV-0002", "amount": "100.005"}, {"amount": "100"}],
         "parts-1-amount", "At most 2 decimals are allowed here."),
        ([{"amount": "200"}, {"amount": "50"}], "parts-1-invoice", "Only one part can be without an invoice."),
        ([{"amount": "1e3"}], "parts-0-amount", "Send the number as a text"),
        ([{"amount": None}], "parts-0-amount", "Enter the amount."),
        ([{"amount": "250", "note": "x"}], "parts-0-note", "There is no such field to enter."),
        ([{"amount": "250"}, "x"], "parts-1", "Send a list like"),
        ("oldest", "parts", "Send a list like"),
    ],
)  # fmt: skip
def test_what_the_sheet_refuses_is_refused_at_its_part(
    program: Program, session: Any, parts: Any, at: str, said: str
) -> None:
    InvoiceFactory(number="OTHER-1", customer=CustomerFactory())
    InvoiceFactory(
        number="VOID-1", customer=session.scalars(CUSTOMER).one(), status="void", void_reason="x"
    )
    session.commit()
    answer = program.send("POST", "/api/payments", json=PAID | {"parts": parts})
    assert answer.status_code == 422, answer.text
    errors = answer.get_json()["errors"]
    assert any(error["field"] == at and said in error["message"] for error in errors), errors
    assert {error["field"] for error in errors} <= {at, "parts"}
    assert stored(session) == []


def test_a_receipt_is_voided_at_the_version_of_all_its_parts(
    program: Program, session: Any
) -> None:
    path = program.send("POST", "/api/payments", json=PAID).headers["Location"]
    late = program.send("POST", f"{path}/void", match=1, json={"reason": "Bounced"})
    assert is_problem(late, 412)
    assert is_problem(program.send("POST", f"{path}/void", match=3, json={}), 422, "reason")
    done = program.send("POST", f"{path}/void", match=3, json={"reason": "Bounced"})
    assert (done.status_code, done.get_json()["status"]) == (200, "void")
    session.rollback()
    assert session.scalar(
        select(func.sum(Payment.amount)).where(Payment.status == "void")
    ) == Decimal(250)
    assert program.send("POST", f"{path}/void", match=6, json={"reason": "x"}).status_code == 409
    again = program.send("POST", "/api/payments", json=PAID | {"reference": "PAY-2026-00001"})
    assert again.status_code == 201, "a void one gives its reference up"
