"""What a payment's form takes: the chosen customer's invoices and meters, and sums that can be stored."""

import re
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from backoffice.billing.meters.refusals import TooMuchOwed
from backoffice.billing.models import Payment
from backoffice.billing.payments import actions
from backoffice.billing.payments import queries as payment_queries
from backoffice.billing.payments.allocation import Part
from tests.factories.billing import (
    InvoiceFactory,
    MeterAdjustmentFactory,
    MeterAssignmentFactory,
    MeterFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory
from tests.orders.pages import outputs_of, text_of
from tests.targets.pages import fields_of

NEW = "/billing/payments/new"
PREVIEW = "/billing/payments/preview"
HTMX = {"HX-Request": "true"}
MOST = Decimal("9999999999999.99")


def invoice(customer: Any, meter: Any, number: str, month: int, amount: int = 100) -> Any:
    """An open invoice."""
    return InvoiceFactory(
        number=number, customer=customer, meter=meter, units=None, rate=None, fixed_charge=0,
        amount=Decimal(amount), issued_on=date(2026, month, 1), due_on=date(2026, month, 20),
    )  # fmt: skip


@pytest.fixture
def book(session: Any) -> dict[str, Any]:
    """A and B with a meter and an open invoice each."""
    made: dict[str, Any] = {}
    for name in "AB":
        customer = CustomerFactory(code=f"CUST-{name}", name=f"{name} Ltd")
        meter = MeterFactory(number=f"M-{name}1")
        MeterAssignmentFactory(customer=customer, meter=meter)
        made[name] = customer
        made[f"invoice {name}"] = invoice(customer, meter, f"INV-{name}1", 3)
        made[f"meter {name}"] = meter
    session.commit()
    return made


@pytest.fixture
def finance(sign_in: Any) -> FlaskClient:
    """A finance user's browser."""
    browser: FlaskClient = sign_in("finance")
    return browser


def opened(browser: FlaskClient, query: str, **typed: str) -> dict[str, str]:
    """The form as it is opened, with something typed into it."""
    return fields_of(browser.get(f"{NEW}?{query}").text, "payment-form").to_dict() | typed


def count(session: Any) -> int:
    """How many payments there are."""
    session.rollback()
    return int(session.scalar(select(func.count(Payment.id))))


def said(answer: Any) -> str:
    """The words of an answer."""
    return str(text_of(answer.text)).replace("\xa0", " ")


# Of which customer


def test_the_invoice_of_the_address_goes_with_its_customer(
    finance: FlaskClient, book: dict[str, Any], session: Any
) -> None:
    form = opened(finance, "invoice=INV-A1", customer="CUST-B")
    assert form["first"] == str(book["invoice A"].id)
    sheet = finance.post(PREVIEW, data=form, headers=HTMX).text
    assert re.search(r'name="first" value=""', sheet)
    assert "INV-B1" in sheet
    assert "INV-A1" not in sheet
    answer = finance.post(NEW, data=form)
    assert answer.status_code == 303
    session.rollback()
    [made] = session.scalars(select(Payment))
    assert (made.customer_id, made.invoice_id) == (book["B"].id, book["invoice B"].id)


def test_the_invoice_of_the_address_stays_first_while_its_customer_stays(
    finance: FlaskClient, book: dict[str, Any], session: Any
) -> None:
    invoice(book["A"], book["meter A"], "INV-A0", 1)
    session.commit()
    form = opened(finance, "invoice=INV-A1", amount="120")
    sheet = finance.post(f"{NEW}?do=show", data=form).text
    assert re.findall(r">(INV-\w+)</label>", sheet) == ["INV-A1", "INV-A0"]


def test_an_invoice_of_another_customer_is_refused_in_words(
    finance: FlaskClient, book: dict[str, Any], session: Any
) -> None:
    form = opened(finance, "customer=CUST-B", amount="100")
    form |= {f"to-{book['invoice A'].id}": "100", "shown_for": f"{book['B'].id}:100"}
    answer = finance.post(NEW, data=form)
    assert answer.status_code == 422
    assert "Invoice INV-A1 is of another customer." in said(answer)
    assert count(session) == 0


def test_an_invoice_of_another_customer_is_no_place_to_move_to(
    finance: FlaskClient, book: dict[str, Any], session: Any
) -> None:
    PaymentFactory(reference="PAY-1", customer=book["B"], amount=Decimal(100))
    session.commit()
    path = "/billing/payments/PAY-1/move"
    form = fields_of(finance.get(path).text, "place-form").to_dict()
    form |= {f"to-{book['invoice B'].id}": "", f"to-{book['invoice A'].id}": "100"}
    answer = finance.post(path, data=form)
    assert answer.status_code == 422
    assert "Invoice INV-A1 is of another customer." in said(answer)


def test_a_payment_may_stay_on_the_invoice_of_another_on_which_it_is(
    finance: FlaskClient, book: dict[str, Any], session: Any
) -> None:
    PaymentFactory(
        reference="PAY-1", customer=book["B"], amount=Decimal(100),
        invoice=book["invoice A"], meter=book["meter A"],
    )  # fmt: skip
    session.commit()
    path = "/billing/payments/PAY-1/move"
    form = fields_of(finance.get(path).text, "place-form").to_dict()
    form[f"to-{book['invoice A'].id}"] = "40"
    assert form["rest_on"] == "M-A1"
    assert finance.post(path, data=form).status_code == 303
    session.rollback()
    rows = session.execute(select(Payment.amount, Payment.invoice_id).order_by(Payment.part))
    assert [tuple(row) for row in rows] == [(40, book["invoice A"].id), (60, None)]


@pytest.mark.parametrize("number", ["M-A1", "M-NOBODY"])
def test_the_rest_stays_on_no_meter_that_never_was_theirs(
    finance: FlaskClient, book: dict[str, Any], session: Any, number: str
) -> None:
    MeterFactory(number="M-NOBODY")
    session.commit()
    answer = finance.post(NEW, data=opened(finance, "customer=CUST-B", amount="1", rest_on=number))
    assert answer.status_code == 422
    assert f"Meter {number} was never assigned to this customer." in said(answer)
    assert count(session) == 0


def test_the_rest_may_stay_on_a_meter_that_was_theirs(
    finance: FlaskClient, book: dict[str, Any], session: Any
) -> None:
    earlier, invoiced = MeterFactory(number="M-OLD1"), MeterFactory(number="M-OLD2")
    MeterAssignmentFactory(customer=book["B"], meter=earlier, is_active=False)
    invoice(book["B"], invoiced, "INV-B0", 1)
    session.commit()
    for number in ("M-OLD1", "M-OLD2"):
        form = opened(finance, "customer=CUST-B", amount="300", rest_on=number)
        assert finance.post(NEW, data=form).status_code == 303


@pytest.mark.parametrize(
    ("choice", "status", "words"),
    [
        ("invoice:{invoice A}", 422, "Invoice INV-A1 is of another customer."),
        ("meter:{meter A}", 422, "Meter M-A1 was never assigned to this customer."),
        ("meter:" + "9" * 5000, 404, "This meter has been removed"),
        ("meter:", 404, "This meter has been removed"),
        ("invoice:" + "9" * 5000, 422, "does not exist any more"),
        ("invoice:٣", 422, "does not exist any more"),
    ],
)
def test_what_was_never_suggested_is_not_accepted(
    finance: FlaskClient, book: dict[str, Any], session: Any, choice: str, status: int, words: str
) -> None:
    made = PaymentFactory(customer=book["B"], amount=Decimal(100))
    session.commit()
    ids = {name: thing.id for name, thing in book.items()}
    form = {"payment": str(made.id), "version": "1", "choice": choice.format(**ids)}
    answer = finance.post("/billing/unmatched/match", data=form | {"idempotency_key": "k1"})
    assert answer.status_code == status
    assert words in said(answer)
    session.rollback()
    assert session.scalar(select(Payment.meter_id)) is None


def test_of_too_many_open_invoices_the_chosen_ones_are_shown(
    finance: FlaskClient, book: dict[str, Any], session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payment_queries, "MOST_OFFERED", 2)
    for n in range(3):
        invoice(book["A"], book["meter A"], f"OLD-{n}", 1)
    session.commit()
    page = finance.get(f"{NEW}?invoice=INV-A1").text
    assert re.findall(r">((?:INV|OLD)-\w+)</label>", page) == ["INV-A1", "OLD-0"]
    assert "These are the 2 oldest open invoices." in text_of(page)
    PaymentFactory(
        reference="PAY-1", customer=book["A"], amount=Decimal(100),
        invoice=book["invoice A"], meter=book["meter A"],
    )  # fmt: skip
    session.commit()
    page = finance.get("/billing/payments/PAY-1/move").text
    assert re.findall(r">((?:INV|OLD)-\w+)</label>", page) == ["OLD-0", "INV-A1"]


def test_who_is_not_found_is_said_while_it_is_typed(
    finance: FlaskClient, book: dict[str, Any]
) -> None:
    for name, words in (("nobody", "No customer is called that."), ("Ltd", "Several customers")):
        answer = finance.post(PREVIEW, data=opened(finance, "", customer=name), headers=HTMX)
        assert words in outputs_of(answer.text)["why-no-customer"]
    answer = finance.post(PREVIEW, data=opened(finance, "", customer="CUST-A"), headers=HTMX)
    assert outputs_of(answer.text)["why-no-customer"] == ""


def test_the_list_finds_a_receipt_by_the_customer_of_any_part(
    finance: FlaskClient, book: dict[str, Any], session: Any
) -> None:
    for part, name in ((1, "A"), (2, "B")):
        PaymentFactory(reference="PAY-1", part=part, customer=book[name], amount=Decimal(5))
    session.commit()
    for name in "AB":
        page = finance.get(f"/billing/payments?customer=CUST-{name}").text
        assert re.findall(r">(PAY-\d)</a>", page) == ["PAY-1"]


# Again, after it was void


def test_a_reference_can_be_given_again_after_its_receipt_was_void(
    finance: FlaskClient, book: dict[str, Any], session: Any
) -> None:
    form = opened(finance, "customer=CUST-A", amount="10", reference="BANK-77")
    assert finance.post(NEW, data=form).status_code == 303
    session.rollback()
    [part] = actions.parts_in(session, "BANK-77")
    actions.void(session, part.id, 1, "wrong amount")
    session.commit()
    form = opened(finance, "customer=CUST-A", amount="12", reference="BANK-77")
    assert finance.post(NEW, data=form).location == "/billing/payments/BANK-77?recorded=1"
    assert "This payment is void" in said(finance.get("/billing/payments/BANK-77 (void 1)"))
    page = said(finance.get("/billing/payments/BANK-77 (void 1)/history"))
    assert "Reference before: BANK-77 → after: BANK-77 (void 1)" in page
    assert "Rp 12.00" in said(finance.get("/billing/payments/BANK-77"))


# More than can be stored


@pytest.fixture
def full(session: Any, book: dict[str, Any]) -> dict[str, Any]:
    """As much on A's meter as the columns hold."""
    PaymentFactory(
        reference="PAY-1", customer=book["A"], meter=book["meter A"], amount=MOST - Decimal(100)
    )
    session.commit()
    return book


def test_a_payment_past_what_can_be_stored_is_refused_and_kept_in_the_form(
    finance: FlaskClient, full: dict[str, Any], session: Any
) -> None:
    form = opened(finance, "customer=CUST-A", amount="300", reference="BIG 1")
    answer = finance.post(NEW, data=form)
    assert answer.status_code == 422
    assert "This comes to more than can be stored." in said(answer)
    again = fields_of(answer.text, "payment-form")
    assert (again["reference"], again["rest_on"]) == ("BIG 1", "M-A1")
    assert again["amount"].startswith("300")
    assert again[f"to-{full['invoice A'].id}"] == "100.00"
    assert count(session) == 1


def test_a_move_past_what_can_be_stored_is_refused_and_kept_in_the_form(
    finance: FlaskClient, full: dict[str, Any], session: Any
) -> None:
    PaymentFactory(reference="PAY-2", customer=full["A"], amount=Decimal(300))
    session.commit()
    path = "/billing/payments/PAY-2/move"
    answer = finance.post(path, data=fields_of(finance.get(path).text, "place-form"))
    assert answer.status_code == 422
    assert "This comes to more than can be stored." in said(answer)
    assert fields_of(answer.text, "place-form")["rest_on"] == "M-A1"


def test_making_void_past_what_can_be_stored_is_refused_and_the_reason_kept(
    finance: FlaskClient, full: dict[str, Any], session: Any
) -> None:
    MeterAdjustmentFactory(meter=full["meter A"], customer=full["A"], amount=MOST - 200)
    invoice(full["A"], full["meter A"], "BIG-1", 4, 5000)
    session.commit()
    path = "/billing/payments/PAY-1/void"
    page = finance.get(path).text
    form = dict(re.findall(r'name="(version|idempotency_key)"[^>]*value="([^"]*)"', page))
    answer = finance.post(path, data=form | {"reason": "bounced twice"})
    assert answer.status_code == 422
    assert "This comes to more than can be stored." in said(answer)
    assert "bounced twice" in answer.text


def test_a_verb_past_what_can_be_stored_leaves_nothing(session: Any, full: dict[str, Any]) -> None:
    part = Part(Decimal(300), meter_id=full["meter A"].id)
    entry = actions.ReceiptEntry(full["A"].id, date(2026, 3, 1), Decimal(300), "cash", (part,))
    with pytest.raises(TooMuchOwed):
        actions.record(session, entry)
    assert count(session) == 1
