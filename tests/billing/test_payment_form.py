"""Recording payments over HTTP: the form, its live allocation, what is refused, and concurrent changes."""

import json
import re
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import select

from backoffice.base import money, periods
from backoffice.billing.models import Invoice, MeterAssignment
from backoffice.billing.payments import actions
from backoffice.billing.payments.allocation import Part
from tests.factories.billing import InvoiceFactory, MeterAssignmentFactory, MeterFactory
from tests.factories.customers import CustomerFactory
from tests.orders.pages import outputs_of, text_of
from tests.targets.pages import fields_of

from .payment_desk import NEW, alfreds, oldest_first, opened, stored, typed

HTMX = {"HX-Request": "true"}


@pytest.fixture
def customer(session):
    """Alfreds, with three open invoices of 100.00 on meter M-A, and meter M-B without any."""
    return alfreds(session)


@pytest.fixture
def invoices(customer, session):
    """Ids of the invoices, the oldest first."""
    return oldest_first(session)


@pytest.fixture
def finance(sign_in):
    """A finance user's browser."""
    return sign_in("finance")


def begins_in(page):
    """The id of the field with the initial focus."""
    [field] = [tag for tag in re.findall(r"<input[^>]*>", page) if " autofocus" in tag]
    return re.search(r' id="([^"]*)"', field)[1]


def fills(answer):
    """What an answer puts into fields of the page."""
    found = json.loads(answer.headers.get("HX-Trigger", "{}")).get("fill", {"fields": []})
    return {change["id"]: change["now"] for change in found["fields"]}


def test_the_form_names_the_customer_and_shows_what_is_open(finance, customer):
    page = finance.get(f"{NEW}?customer=ALFKI").text
    form = fields_of(page, "payment-form")
    assert form["customer"] == "ALFKI · Alfreds Futterkiste"
    assert form["rest_on"] == "M-A"
    assert re.findall(r">(INV-\d+)</label>", page) == ["INV-0001", "INV-0002", "INV-0003"]
    assert begins_in(page) == "amount"


def test_without_a_customer_the_customer_is_asked_first(finance, customer):
    page = finance.get(NEW).text
    assert begins_in(page) == "customer"
    assert "Choose a customer to see what is open" in page


def test_an_invoice_is_proposed_with_what_is_open_of_it_before_older_ones(finance, invoices):
    page = finance.get(f"{NEW}?invoice=INV-0002").text
    form = fields_of(page, "payment-form")
    assert (form["amount"], form[f"to-{invoices[1]}"]) == ("100.00", "100.00")
    assert form[f"to-{invoices[0]}"] == ""


def test_a_preview_fills_the_oldest_first_and_says_what_is_left(finance, invoices):
    form = typed(finance, amount="350")
    answer = finance.post("/billing/payments/preview", data=form, headers=HTMX)
    assert answer.status_code == 200
    assert {fills(answer)[f"to-{key}"] for key in invoices} == {"100.00"}
    outputs = outputs_of(answer.text)
    assert "Rp 50.00" in outputs["rest"].replace("\xa0", " ")
    assert "It stays on meter M-A." in outputs["rest"]
    assert outputs[f"left-{invoices[0]}"] == "0.00"
    assert "<input" not in answer.text


def test_the_invoice_that_was_due_first_is_paid_before_the_one_issued_first(
    finance, invoices, session
):
    session.get(Invoice, invoices[0]).due_on = date(2026, 4, 20)  # issued in January
    session.commit()
    form = typed(finance, amount="100")
    found = fills(finance.post("/billing/payments/preview", data=form, headers=HTMX))
    assert found[f"to-{invoices[1]}"] == "100.00"
    assert {found.get(f"to-{key}", "") for key in (invoices[0], invoices[2])} == {""}


def test_what_was_typed_stays_and_the_untouched_follow(finance, invoices):
    form = typed(finance, amount="150", **{f"to-{invoices[0]}": "30"})
    found = fills(finance.post("/billing/payments/preview", data=form, headers=HTMX))
    assert f"to-{invoices[0]}" not in found
    assert found[f"to-{invoices[1]}"] == "100.00"
    assert found[f"to-{invoices[2]}"] == "20.00"


def test_a_preview_for_another_customer_brings_their_sheet(finance, customer, session):
    MeterAssignmentFactory(customer=CustomerFactory(code="BERGS"), meter=MeterFactory(number="M-Z"))
    session.commit()
    form = typed(finance, customer="BERGS", amount="10")
    answer = finance.post("/billing/payments/preview", data=form, headers=HTMX)
    assert 'id="sheet"' in answer.text
    assert 'value="M-Z"' in answer.text
    assert "No invoice of" in text_of(answer.text)


def test_a_preview_writes_nothing(finance, customer, session):
    finance.post("/billing/payments/preview", data=typed(finance, amount="350"), headers=HTMX)
    assert stored(session) == []


def test_what_cannot_be_read_leaves_the_rest_unknown(finance, invoices):
    for name in ("amount", f"to-{invoices[0]}"):
        form = typed(finance, **{"amount": "100", name: "1.2.3"})
        answer = finance.post("/billing/payments/preview", data=form, headers=HTMX)
        assert "—" in outputs_of(answer.text)["rest"]


def test_a_payment_that_is_saved_before_its_preview_came_is_allocated_all_the_same(
    finance, invoices, session
):
    answer = finance.post(NEW, data=typed(finance, amount="250"))
    assert answer.status_code == 303
    reference = f"PAY-{periods.today().year}-00001"
    assert answer.location == f"/billing/payments/{reference}?recorded=1"
    assert [row[1:] for row in stored(session)] == [
        (1, invoices[0], "M-A", 100),
        (2, invoices[1], "M-A", 100),
        (3, invoices[2], "M-A", 50),
    ]
    assert {row[0] for row in stored(session)} == {reference}
    page = text_of(finance.get(answer.location).text)
    assert "is recorded." in page
    assert "Record another" in page


def test_an_edited_allocation_is_saved_as_it_stands(finance, invoices, session, customer):
    form = typed(finance, amount="250", reference="BANK 1", **{f"to-{invoices[1]}": "40"})
    form["shown_for"] = f"{customer.id}:250.00"
    assert finance.post(NEW, data=form).status_code == 303
    assert stored(session) == [
        ("BANK 1", 1, invoices[1], "M-A", 40),
        ("BANK 1", 2, None, "M-A", 210),
    ]


def test_the_rest_stays_on_the_meter_that_was_chosen_or_on_none(finance, customer, session):
    for number, meter in (("M-B", "M-B"), ("", None)):
        form = typed(finance, amount="310", rest_on=number)
        assert finance.post(NEW, data=form).status_code == 303
        assert stored(session)[-1][3:] == (meter, Decimal(10) if meter else Decimal(310))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"amount": ""}, "Enter the amount."),
        ({"amount": "0"}, "Enter an amount above zero."),
        ({"amount": "-5"}, "This is too small"),
        ({"amount": "NaN"}, "This is not a number."),
        ({"amount": "9999999999999999"}, "This is too large"),
        ({"rest_on": "M-?"}, "There is no meter M-?."),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_saved(finance, customer, session, changes, said):
    answer = finance.post(NEW, data=typed(finance, **{"amount": "50"} | changes))
    assert answer.status_code == 422
    assert said in text_of(answer.text)
    assert stored(session) == []


def test_more_than_is_open_or_than_is_paid_is_refused_at_its_field(finance, invoices, session):
    first = f"to-{invoices[0]}"
    answer = finance.post(NEW, data=typed(finance, amount="500", **{first: "101"}))
    assert answer.status_code == 422
    assert "INV-0001: Only Rp 100.00 is open." in text_of(answer.text).replace("\xa0", " ")
    assert f'href="#{first}"' in answer.text
    answer = finance.post(NEW, data=typed(finance, amount="60", **{first: "100"}))
    assert answer.status_code == 422
    said = text_of(answer.text).replace("\xa0", " ")
    assert "The invoices get Rp 40.00 more than is paid." in said
    assert stored(session) == []


def test_without_cents_what_another_cashier_paid_meanwhile_is_not_put_elsewhere(
    finance, invoices, session, customer, monkeypatch
):
    monkeypatch.setattr(money, "_currency", "VND")
    form = opened(finance, f"{NEW}?invoice=INV-0002")
    assert (form["amount"], form[f"to-{invoices[1]}"]) == ("100", "100")
    parts = (Part(Decimal(60), invoice_id=invoices[1]),)
    day = date(2026, 3, 1)
    actions.record(session, actions.ReceiptEntry(customer.id, day, Decimal(60), "cash", parts))
    session.commit()
    answer = finance.post(NEW, data=form)
    assert answer.status_code == 422
    assert "Only ₫ 40 is open." in text_of(answer.text).replace("\xa0", " ")
    assert len(stored(session)) == 1


def test_what_another_cashier_paid_meanwhile_is_shown_and_not_put_elsewhere(
    finance, invoices, session, customer
):
    form = typed(finance, amount="100", **{f"to-{invoices[0]}": "100.00"})
    form[f"filled-{invoices[0]}"] = "100.00"
    form["shown_for"] = f"{customer.id}:100.00"
    actions.record(
        session,
        actions.ReceiptEntry(
            customer.id, date(2026, 3, 1), Decimal(100), "cash",
            (Part(Decimal(100), invoice_id=invoices[0]),), "OTHER 1",
        ),
    )  # fmt: skip
    session.commit()
    answer = finance.post(NEW, data=form)
    assert answer.status_code == 422
    assert "Only Rp 0.00 is open." in text_of(answer.text).replace("\xa0", " ")
    assert len(stored(session)) == 1


def test_without_javascript_a_button_shows_the_open_invoices(finance, invoices):
    form = opened(finance, NEW)
    form["customer"], form["amount"] = "alfreds", "150"
    answer = finance.post(f"{NEW}?do=show", data=form)
    shown = fields_of(answer.text, "payment-form")
    assert [shown[f"to-{key}"] for key in invoices] == ["100.00", "50.00", ""]
    assert finance.post(NEW, data=shown).status_code == 303


def test_invoices_of_an_earlier_customer_on_the_meter_and_own_ones_elsewhere_can_be_paid(
    finance, customer, session
):
    earlier, elsewhere = CustomerFactory(name="Earlier"), MeterFactory(number="M-X")
    meter = session.scalars(select(MeterAssignment).order_by(MeterAssignment.id)).first().meter
    InvoiceFactory(number="OLD-1", customer=earlier, meter=meter, due_on=date(2025, 1, 1))
    InvoiceFactory(number="OLD-2", customer=customer, meter=elsewhere, due_on=date(2025, 2, 1))
    InvoiceFactory(number="OLD-3", customer=customer, meter=None)
    InvoiceFactory(number="OLD-4", customer=earlier, meter=elsewhere)
    session.commit()
    page = finance.get(f"{NEW}?customer=ALFKI").text
    assert re.findall(r">(OLD-\d+)</label>", page) == ["OLD-1", "OLD-2"]
    assert "Earlier" in page
