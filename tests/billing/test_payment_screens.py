"""The screens of payments over HTTP: the list, a receipt, voiding, moving, taking off."""

import re
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import select

from backoffice.billing.models import MeterAssignment, Payment
from backoffice.billing.payments import actions
from backoffice.billing.payments.allocation import Part
from tests.approvals.cards import confirm
from tests.factories.billing import PaymentFactory
from tests.files_for_people import text_for_people
from tests.orders.pages import text_of
from tests.targets.pages import fields_of

from .payment_desk import NEW, alfreds, oldest_first, stored


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


@pytest.fixture
def receipt(session, customer, invoices):
    """100.00 on the oldest invoice, and 20.00 on meter M-B."""
    meter = session.scalar(select(MeterAssignment.meter_id).order_by(MeterAssignment.id.desc()))
    parts = (Part(Decimal(100), invoice_id=invoices[0]), Part(Decimal(20), meter_id=meter))
    made = actions.record(
        session,
        actions.ReceiptEntry(customer.id, date(2026, 3, 5), Decimal(120), "cash", parts, "PAY-1"),
    )
    session.commit()
    return made


def test_the_list_has_a_row_per_receipt_and_void_ones_count_nothing(
    finance, receipt, customer, session
):
    PaymentFactory(reference="PAY-2", customer=customer, amount=Decimal(7))
    PaymentFactory(
        reference="PAY-3", customer=customer, amount=Decimal(900), status="void", void_reason="x"
    )
    session.commit()
    page = text_of(finance.get("/billing/payments?totals=1").text)
    assert "PAY-1 5 Mar 2026 Alfreds Futterkiste Cash M-A +1 INV-0001 Posted 120.00" in page
    assert re.search(r"PAY-2 .* Unmatched 7\.00", page)
    assert re.search(r"PAY-3 .* Void 900\.00", page)
    assert "3 payments · Rp 127.00" in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=posted", ["PAY-1"]),
        ("status=unmatched", ["PAY-2"]),
        ("status=void", ["PAY-3"]),
        ("method=cash", ["PAY-1"]),
        ("customer=ALFKI", ["PAY-1", "PAY-2", "PAY-3"]),
        ("customer=BERGS", []),
        ("meter=M-B", ["PAY-1"]),
        ("invoice=INV-0001", ["PAY-1"]),
        ("invoice=INV-0002", []),
        ("since=2026-03-10", ["PAY-2", "PAY-3"]),
        ("until=2026-03-10", ["PAY-1"]),
        ("q=pay-2", ["PAY-2"]),
    ],
)
def test_the_list_is_narrowed(finance, receipt, customer, session, query, found):
    PaymentFactory(reference="PAY-2", customer=customer)
    PaymentFactory(reference="PAY-3", customer=customer, status="void", void_reason="x")
    session.commit()
    page = finance.get(f"/billing/payments?{query}").text
    assert sorted(re.findall(r">(PAY-\d)</a>", page)) == found


def test_a_file_of_the_list_has_its_totals(finance, receipt):
    lines = text_for_people(finance, "/billing/payments/export.csv").splitlines()
    assert "PAY-1,2026-03-05,Alfreds Futterkiste,ALFKI,Cash,M-A,INV-0001,Posted,100.00" in lines
    assert lines[-1] == "Total: Amount,120.00"


def test_a_receipt_shows_where_it_went_and_who_recorded_it(finance, receipt):
    page = text_of(finance.get("/billing/payments/PAY-1").text)
    assert "Payment PAY-1 Posted" in page
    assert "M-A INV-0001 100.00" in page
    assert "M-B – 20.00" in page
    assert "2 parts · Rp 120.00" in page
    history = text_of(finance.get("/billing/payments/PAY-1/history").text)
    assert "Part 1 · Invoice" in history
    assert finance.get("/billing/payments/PAY-9").status_code == 404


def unseen(page):
    """The hidden fields of a form."""
    return dict(re.findall(r'name="(part|version|idempotency_key)"[^>]*value="([^"]*)"', page))


def void(browser, reference, **changes):
    path = f"/billing/payments/{reference}/void"
    return browser.post(path, data=unseen(browser.get(path).text) | {"reason": "bounced"} | changes)


def test_a_receipt_is_made_void_with_a_reason_all_of_it_at_once(finance, receipt, session):
    answer = void(finance, "PAY-1")
    assert (answer.status_code, answer.location) == (303, "/billing/payments/PAY-1")
    session.rollback()
    assert set(session.execute(select(Payment.status, Payment.void_reason)).all()) == {
        ("void", "bounced")
    }
    page = text_of(finance.get("/billing/payments/PAY-1").text)
    assert "This payment is void and counts nowhere. Reason: bounced" in page
    assert "Take off" not in page
    assert finance.get("/billing/payments/PAY-1/void").status_code == 409
    assert finance.get("/billing/payments/PAY-1/move").status_code == 409


def move(browser, part, **changes):
    path = "/billing/payments/PAY-1/move"
    form = fields_of(browser.get(f"{path}?part={part}").text, "place-form")
    for name, text in changes.items():
        form[name] = text
    return browser.post(path, data=form)


def test_a_part_moves_to_another_invoice(finance, receipt, invoices, session):
    changes = {f"to-{invoices[0]}": "", f"to-{invoices[2]}": "100"}
    assert move(finance, 1, **changes).status_code == 303
    assert [row[1:] for row in stored(session)] == [
        (1, invoices[2], "M-A", 100),
        (2, None, "M-B", 20),
    ]
    history = text_of(finance.get("/billing/payments/PAY-1/history").text)
    assert "Part 1 · Invoice before: INV-0001 → after: INV-0003" in history


def test_the_form_of_a_part_begins_with_where_it_is(finance, receipt, invoices):
    page = finance.get("/billing/payments/PAY-1/move?part=1").text
    form = fields_of(page, "place-form")
    assert (form[f"to-{invoices[0]}"], form[f"to-{invoices[1]}"]) == ("100.00", "")
    form = fields_of(finance.get("/billing/payments/PAY-1/move?part=2").text, "place-form")
    assert form["rest_on"] == "M-B"
    assert {form[f"to-{key}"] for key in invoices[1:]} == {""}
    assert finance.get("/billing/payments/PAY-1/move?part=3").status_code == 404


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({}, 422, "That is where this payment already is."),
        ({"rest_on": "M-?"}, 422, "There is no meter M-?."),
        ({"version": "7"}, 409, "changed this at"),
    ],
)
def test_a_move_that_is_refused_says_why(finance, receipt, session, changes, status, said):
    answer = move(finance, 2, **changes)
    assert answer.status_code == status
    assert said in text_of(answer.text)
    assert stored(session)[1][3:] == ("M-B", 20)


def test_a_part_is_taken_off_its_meter_once(finance, receipt, session):
    shown = finance.get("/billing/payments/PAY-1").text
    form = unseen(shown.split("/billing/payments/PAY-1/take-off")[-1])
    assert form["part"] == "2"
    card = finance.post("/billing/payments/PAY-1/take-off", data=form)
    assert "M-B" in text_of(card.text)
    assert stored(session)[1][2:] != (None, None, 20), "shown, and nothing else"
    assert confirm(finance, card).status_code == 303
    assert confirm(finance, card).status_code == 303
    assert stored(session)[1][2:] == (None, None, 20)
    page = text_of(finance.get("/billing/payments/PAY-1").text)
    assert "What is on no meter counts in no balance." in page
    stale = form | {"idempotency_key": "k2"}
    assert finance.post("/billing/payments/PAY-1/take-off", data=stale).status_code == 409


def test_viewers_see_payments_and_change_nothing(sign_in, receipt, customer, session):
    PaymentFactory(reference="PAY-2", customer=customer)
    session.commit()
    browser = sign_in("viewer")
    for path in ("/billing/payments", "/billing/payments/PAY-1", "/billing/unmatched"):
        page = browser.get(path)
        assert page.status_code == 200
        assert "/new" not in re.sub(r'href="/orders/new"', "", page.text)
        assert not re.search(r'method="post"[^>]*action="/billing/', page.text)
    assert browser.get(NEW).status_code == 403
    assert sign_in("account_manager").get("/billing/payments").status_code == 403
