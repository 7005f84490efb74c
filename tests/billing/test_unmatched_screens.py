"""The screen of unmatched payments: suggestions, matching one or all that are sure, and concurrent changes."""

import re
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import event, select

from backoffice.app.extensions import db
from backoffice.billing.models import Meter, MeterAssignment
from backoffice.billing.payments import actions, unmatched
from backoffice.billing.payments.allocation import Part
from tests.approvals.cards import pressed
from tests.factories.billing import (
    InvoiceFactory,
    MeterAssignmentFactory,
    MeterFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory
from tests.orders.pages import text_of

from .payment_desk import alfreds, oldest_first, stored


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


def meter_a(session):
    """The id of meter M-A."""
    return session.scalar(select(Meter.id).where(Meter.number == "M-A"))


def waiting(session, customer, **facts):
    made = PaymentFactory(customer=customer, **facts)
    session.commit()
    return made


def forms(page):
    """The forms that accept a suggestion, by what they choose."""
    found = re.findall(r'<form class="post-button".*?</form>', page, re.DOTALL)
    read = [dict(re.findall(r'name="(\w+)"[^>]*value="([^"]*)"', form)) for form in found]
    return {form["choice"]: form for form in read if "choice" in form}


def test_suggestions_are_read_from_the_book(finance, session, customer, invoices):
    waiting(session, customer, reference="TRF INV-0003", amount=Decimal(100))
    page = finance.get("/billing/unmatched")
    found = text_of(page.text)
    assert "Its reference holds the number of invoice INV-0003." in found
    assert "Of invoice INV-0001 exactly this amount is open." in found
    assert list(forms(page.text)) == [f"invoice:{invoices[n]}" for n in (2, 0, 1)] + ["oldest"]


def test_digits_of_a_reference_name_an_invoice_and_short_ones_do_not(finance, session, customer):
    meter = session.scalars(select(MeterAssignment).order_by(MeterAssignment.id)).first().meter
    InvoiceFactory(number="8483378519", customer=customer, meter=meter, due_on=date(2026, 5, 1))
    InvoiceFactory(number="12", customer=customer, meter=meter, due_on=date(2026, 5, 2))
    waiting(session, customer, reference="PAY-8483378519/12")
    found = text_of(finance.get("/billing/unmatched").text)
    assert found.count("Its reference holds the number") == 1
    assert "number of invoice 8483378519." in found


def test_one_click_accepts_the_best_and_the_rest_stays_on_its_meter(
    finance, session, customer, invoices
):
    waiting(session, customer, reference="TRF INV-0003", amount=Decimal(130))
    form = forms(finance.get("/billing/unmatched").text)[f"invoice:{invoices[2]}"]
    first, second = (finance.post("/billing/unmatched/match", data=form) for _ in range(2))
    assert first.status_code == second.status_code == 303
    assert stored(session) == [
        ("TRF INV-0003", 1, invoices[2], "M-A", 100),
        ("TRF INV-0003", 2, None, "M-A", 30),
    ]
    assert "Every payment is matched" in finance.get("/billing/unmatched").text


def test_the_oldest_open_invoices_are_accepted_at_once(finance, session, customer, invoices):
    waiting(session, customer, reference="CASH 1", amount=Decimal(150))
    form = forms(finance.get("/billing/unmatched").text)["oldest"]
    finance.post("/billing/unmatched/match", data=form)
    assert [row[2:] for row in stored(session)] == [
        (invoices[0], "M-A", 100),
        (invoices[1], "M-A", 50),
    ]


def test_a_suggestion_that_has_gone_is_not_put_elsewhere(finance, session, customer, invoices):
    waiting(session, customer, reference="TRF INV-0003", amount=Decimal(100))
    form = forms(finance.get("/billing/unmatched").text)[f"invoice:{invoices[2]}"]
    parts = (Part(Decimal(100), invoice_id=invoices[2]),)
    entry = (customer.id, date(2026, 3, 1), Decimal(100), "cash", parts, "OTHER 1")
    actions.record(session, actions.ReceiptEntry(*entry))
    session.commit()
    finance.post("/billing/unmatched/match", data=form)
    assert "is not open any more" in finance.get("/billing/unmatched").text
    assert stored(session)[1][2:] == (None, None, 100)


def test_a_payment_that_a_user_matched_meanwhile_is_not_matched_again(
    finance, session, customer, invoices
):
    made = waiting(session, customer, reference="CASH 1", amount=Decimal(150))
    form = forms(finance.get("/billing/unmatched").text)["oldest"]
    actions.place(
        session, made.id, 1, [Part(Decimal(150), invoice_id=None, meter_id=meter_a(session))]
    )
    session.commit()
    assert finance.post("/billing/unmatched/match", data=form).status_code == 409


@pytest.fixture
def three(session, customer):
    """One payment that is sure, one of a customer with two meters, one of a customer with none."""
    sure = CustomerFactory(code="BERGS")
    MeterAssignmentFactory(customer=sure, meter=MeterFactory(number="M-S"))
    made = [
        PaymentFactory(reference=f"U-{n}", customer=c)
        for n, c in enumerate((sure, customer, CustomerFactory()), 1)
    ]
    session.commit()
    return made


def test_all_that_are_sure_are_matched_and_the_others_are_said(finance, three, session):
    page = finance.get("/billing/unmatched").text
    form = {"matching": "1", "idempotency_key": "k1"}
    assert "Match those of the 3 that are sure" in page
    assert pressed(finance, "/billing/unmatched/match-sure", form).status_code == 303
    said = text_of(finance.get("/billing/unmatched").text)
    assert "1 payment is matched. Of 2 it is not sure where they belong." in said
    assert [row[3] for row in stored(session)] == ["M-S", None, None]


def test_older_ones_that_are_unsure_leave_their_place_to_those_that_are_sure(
    finance, three, session, monkeypatch
):
    monkeypatch.setattr(unmatched, "MOST_MATCHED", 2)
    for n in range(3):
        PaymentFactory(reference=f"S-{n}", customer=three[0].customer, paid_on=date(2026, 6, 1 + n))
    for n in range(3):
        PaymentFactory(customer=CustomerFactory(), paid_on=date(2026, 1, 1 + n))
    session.commit()
    form = {"matching": "1", "idempotency_key": "k1"}
    assert pressed(finance, "/billing/unmatched/match-sure", form).status_code == 303
    said = text_of(finance.get("/billing/unmatched").text)
    assert "2 payments are matched. Of 5 it is not sure where they belong." in said
    assert "2 more are sure: match again." in said
    assert {row[0] for row in stored(session) if row[3]} == {"U-1", "S-0"}
    pressed(finance, "/billing/unmatched/match-sure", form | {"idempotency_key": "k2"})
    said = text_of(finance.get("/billing/unmatched").text)
    assert "2 payments are matched. Of 5 it is not sure where they belong." in said
    assert "match again" not in said


def test_where_none_is_sure_it_says_of_how_many(finance, session, customer):
    waiting(session, customer)
    form = {"matching": "1", "idempotency_key": "k1"}
    assert finance.post("/billing/unmatched/match-sure", data=form).status_code == 303
    said = text_of(finance.get("/billing/unmatched").text)
    assert "0 payments are matched. Of 1 it is not sure where it belongs." in said


def test_only_the_ticked_are_matched_and_none_ticked_says_so(finance, three, session):
    form = {"selected": "1", "id": str(three[1].id), "idempotency_key": "k1"}
    finance.post("/billing/unmatched/match-sure", data=form)
    assert "Of 1 it is not sure" in finance.get("/billing/unmatched").text
    finance.post("/billing/unmatched/match-sure", data={"selected": "1", "idempotency_key": "k2"})
    assert "Tick payments first" in finance.get("/billing/unmatched").text
    assert {row[3] for row in stored(session)} == {None}


@pytest.mark.parametrize(
    ("place", "found"),
    [("sure", ["U-1"]), ("several", ["U-2"]), ("none", ["U-3"]), ("invoice", [])],
)
def test_the_unmatched_are_narrowed_by_how_sure_they_are(finance, three, place, found):
    page = finance.get(f"/billing/unmatched?place={place}").text
    assert sorted(re.findall(r">(U-\d)</a>", page)) == found


def test_a_payment_of_an_invoice_without_a_meter_says_so(finance, session, customer):
    invoice = InvoiceFactory(number="NO-1", customer=customer, meter=None)
    waiting(session, customer, invoice=invoice)
    page = finance.get("/billing/unmatched").text
    assert "It names invoice NO-1, which has no meter." in text_of(page)
    assert forms(page) == {}


def test_the_page_asks_as_often_for_fifty_payments_as_for_one(app, finance, session, customer):
    def statements():
        count = 0

        def note(*_):
            nonlocal count
            count += 1

        with app.app_context():
            engine = db.engine
        event.listen(engine, "before_cursor_execute", note)
        try:
            assert finance.get("/billing/unmatched").status_code == 200
        finally:
            event.remove(engine, "before_cursor_execute", note)
        return count

    waiting(session, customer)
    statements()
    one = statements()
    for _ in range(49):
        PaymentFactory(customer=customer)
    session.commit()
    assert statements() == one
