"""What the invoice form asks: which of two amounts holds, and whether an invoice is a duplicate."""

import re
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from backoffice.billing.models import Invoice
from tests.factories.billing import PaymentFactory
from tests.records.test_api import Program

from .invoice_desk import filled, invoice_of, new, only, wanjiru, words

NEW = "/billing/invoices/new"


@pytest.fixture
def customer(session: Any) -> Any:
    return wanjiru(session)


@pytest.fixture
def finance(sign_in: Any) -> FlaskClient:
    client: FlaskClient = sign_in("finance")
    return client


def answers(page: str, name: str) -> list[str]:
    """The values that a question offers."""
    tags = re.findall(rf'<input[^>]*name="{name}"[^>]*>', page)
    return [found[1] for tag in tags if (found := re.search(r'value="([^"]*)"', tag))]


def test_an_amount_that_differs_is_shown_beside_the_computed_one_and_nothing_is_saved(
    finance: FlaskClient, customer: Any, session: Any
) -> None:
    asked = finance.post(NEW, data=new(finance, amount="2000"))
    reported = words(asked, 422)
    for sentence in (
        "Which amount holds?",
        "Rp 1,500.00, computed from units, rate and fixed charge",
        "Rp 2,000.00, as typed",
    ):
        assert sentence in reported, reported
    assert session.query(Invoice).count() == 0


@pytest.mark.parametrize(
    ("which", "stored"),
    [
        (0, (Decimal("12.5"), Decimal(100), Decimal(250), Decimal(1500))),
        (1, (None, None, Decimal(0), Decimal(2000))),
    ],
)
def test_the_user_chooses_which_amount_holds(
    finance: FlaskClient, customer: Any, session: Any, which: int, stored: Any
) -> None:
    typed = new(finance, amount="2000")
    typed["holds"] = answers(finance.post(NEW, data=typed).text, "holds")[which]
    assert finance.post(NEW, data=typed).status_code == 303
    made = only(session)
    assert (made.units, made.rate, made.fixed_charge, made.amount) == stored


def test_an_answer_is_about_the_amounts_that_were_shown(
    finance: FlaskClient, customer: Any, session: Any
) -> None:
    holds = answers(finance.post(NEW, data=new(finance, amount="2000")).text, "holds")[1]
    again = new(finance, amount="3000") | {"holds": holds}
    assert "Rp 3,000.00, as typed" in words(finance.post(NEW, data=again), 422).replace(
        "\\xa0", " "
    )
    assert session.query(Invoice).count() == 0


@pytest.mark.parametrize("amount", ["", "1500", "1,500.00"])
def test_an_amount_that_agrees_or_is_not_typed_asks_nothing(
    finance: FlaskClient, customer: Any, session: Any, amount: str
) -> None:
    assert finance.post(NEW, data=new(finance, amount=amount)).status_code == 303
    assert only(session).amount == 1500


def test_while_one_types_the_live_total_says_that_there_are_two(
    finance: FlaskClient, customer: Any
) -> None:
    reported = words(finance.post("/billing/invoices/preview", data=new(finance, amount="2000")))
    assert "Another amount is typed as well. Saving asks which of the two holds." in reported


def test_a_second_invoice_of_the_same_meter_month_and_amount_asks(
    finance: FlaskClient, customer: Any, session: Any
) -> None:
    invoice_of(session, customer, number="INV-1")
    typed = new(finance, issued_on="2026-03-20", due_on="2026-04-20")
    asked = finance.post(NEW, data=typed)
    reported = words(asked, 422)
    assert "There is already invoice INV-1" in reported
    assert "Record anyway" in reported
    assert session.query(Invoice).count() == 1
    again = new(finance, issued_on="2026-03-20", due_on="2026-04-20")
    again["anyway"] = answers(asked.text, "anyway")[0]
    assert finance.post(NEW, data=again).status_code == 303
    session.rollback()
    assert session.query(Invoice).count() == 2


@pytest.mark.parametrize(
    "changes",
    [{"issued_on": "2026-04-01", "due_on": ""}, {"units": "13"}, {"issued_on": "2025-03-01", "due_on": ""}],
)  # fmt: skip
def test_another_month_or_amount_asks_nothing(
    finance: FlaskClient, customer: Any, session: Any, changes: dict[str, str]
) -> None:
    invoice_of(session, customer, number="INV-1")
    typed = new(finance, **{"issued_on": "2026-03-20", "due_on": "", **changes})
    assert finance.post(NEW, data=typed).status_code == 303


def test_a_void_one_is_none_and_saving_what_is_stored_asks_nothing(
    finance: FlaskClient, customer: Any, session: Any
) -> None:
    invoice_of(session, customer, number="INV-1", status="void", void_reason="Read twice")
    invoice_of(session, customer, number="INV-2")
    typed = filled(finance, "/billing/invoices/INV-2/edit", due_on="2026-04-05")
    assert finance.post("/billing/invoices/INV-2/edit", data=typed).status_code == 303


def test_a_program_is_asked_at_the_argument_that_answers_and_can_send_the_answer(
    app: Flask, customer: Any, session: Any
) -> None:
    invoice_of(session, customer, number="INV-1")
    program = Program(app, session, "invoices:write")
    sent = {
        "customer": "C-1", "meter": "M-1", "issued_on": "2026-03-20",
        "units": "12.5", "rate": "100", "fixed_charge": "250", "amount": "2000",
    }  # fmt: skip
    for name, question, answer in (
        ("holds", "Which amount holds?", "computed 1500.00 2000.00"),
        ("anyway", "There is already invoice INV-1", "INV-1"),
    ):
        refused = program.send("POST", "/api/invoices", json=sent)
        assert refused.status_code == 422
        [error] = refused.get_json()["errors"]
        assert error["field"] == name
        assert error["message"].startswith(question)
        assert f'"{answer}"' in error["message"]
        sent[name] = answer
    made = program.send("POST", "/api/invoices", json=sent)
    assert made.status_code == 201, made.text
    read = made.get_json()
    assert (read["amount"], read["meter"], read["status"]) == ("1500.00", "M-1", "posted")
    path = f"/api/invoices/{read['number']}"
    assert program.send("PATCH", path, match=1, json={"due_on": "2026-05-01"}).status_code == 200
    whole = program.send(
        "PATCH",
        path,
        match=2,
        json={"units": None, "rate": None, "fixed_charge": None, "amount": "70"},
    )
    assert (whole.get_json()["amount"], whole.get_json()["units"]) == ("70.00", None)


def test_a_program_is_refused_as_a_person_is_and_moves_nothing(
    app: Flask, customer: Any, session: Any
) -> None:
    invoice = invoice_of(session, customer, number="INV-1")
    PaymentFactory(invoice=invoice, meter=invoice.meter, customer=invoice.customer, amount=600)
    session.commit()
    program = Program(app, session, "invoices:write")
    less = program.send("PATCH", "/api/invoices/INV-1", match=1, json={"units": "1"})
    [error] = less.get_json()["errors"]
    assert (less.status_code, error["field"]) == (422, "units")
    assert error["message"].startswith("Payments of")
    moved = program.send("POST", "/api/invoices/INV-1/move", match=1, json={"meter": "M-2"})
    assert moved.status_code in (404, 405), "two people look at it"
    reason = {"reason": "Read twice"}
    assert program.send("POST", "/api/invoices/INV-1/void", match=1, json=reason).status_code == 200
    late = program.send("PATCH", "/api/invoices/INV-1", match=2, json={"due_on": "2026-06-01"})
    assert (late.status_code, late.get_json()["code"]) == (422, "VoidStaysVoid")


def test_what_was_answered_of_other_amounts_holds_nothing(
    finance: FlaskClient, customer: Any, session: Any
) -> None:
    holds = answers(finance.post(NEW, data=new(finance, amount="2000")).text, "holds")[1]
    alike = new(finance, amount="1500") | {"holds": holds}
    assert finance.post(NEW, data=alike).status_code == 303
    assert (only(session).amount, only(session).units is None) == (1500, False)
