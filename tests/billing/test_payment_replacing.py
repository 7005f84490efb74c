"""Replacing a receipt: voiding and recording anew in one step, from a form prefilled with the old one."""

import threading
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import select

from backoffice.app.extensions import db
from backoffice.audit.models import AuditEvent
from backoffice.base import money
from backoffice.billing.models import Invoice, Payment
from backoffice.billing.payments import actions
from backoffice.billing.payments.allocation import Part
from backoffice.billing.payments.refusals import PaymentStaysVoid
from tests.factories.billing import PaymentFactory
from tests.factories.customers import CustomerFactory
from tests.orders.pages import text_of
from tests.targets.pages import fields_of

from .payment_desk import alfreds, oldest_first, opened

REF = "/billing/payments/BANK-77"
REPLACE = f"{REF}/replace"


@pytest.fixture
def customer(session):
    """Alfreds, with three open invoices of 100.00 on meter M-A, and meter M-B without any."""
    return alfreds(session)


@pytest.fixture
def invoices(customer, session):
    """Ids of the invoices, the oldest first."""
    return oldest_first(session)


@pytest.fixture
def receipt(session, customer, invoices):
    """BANK-77: 130.00 in cash, of which the second invoice got 100.00, and 30.00 stay on its meter."""
    meter = session.get(Invoice, invoices[1]).meter_id
    parts = (Part(Decimal(100), invoice_id=invoices[1]), Part(Decimal(30), meter_id=meter))
    day = date(2026, 4, 1)
    entry = actions.ReceiptEntry(customer.id, day, Decimal(130), "cash", parts, "BANK-77")
    made = actions.record(session, entry)
    session.commit()
    return made


@pytest.fixture
def finance(sign_in):
    """A finance user's browser."""
    return sign_in("finance")


def form_of(browser, path=REPLACE, **typed):
    form = opened(browser, path)
    for name, text in {"reason": "Wrong day", **typed}.items():
        form[name] = text
    return form


def receipts(session):
    """Every receipt: reference, day, status, and what its parts pay."""
    session.rollback()
    found = {}
    for part in session.scalars(select(Payment).order_by(Payment.reference, Payment.part)):
        of = found.setdefault(part.reference, (part.paid_on, part.method, part.status, []))
        of[3].append((part.invoice_id, part.amount))
    return found


def test_the_form_holds_everything_and_changes_nothing(finance, session, receipt, invoices):
    page = finance.get(REPLACE)
    form = fields_of(page.text, "payment-form")
    assert form["customer"] == "ALFKI · Alfreds Futterkiste"
    assert (form["amount"], form["paid_on"], form["method"]) == ("130.00", "2026-04-01", "cash")
    assert (form["reference"], form["rest_on"]) == ("BANK-77", "M-A")
    paid = [form[f"to-{invoice}"] for invoice in invoices]
    assert paid == ["", "100.00", ""]
    assert "Until then nothing changes." in text_of(page.text)
    assert receipts(session)["BANK-77"][2] == "posted"


def test_a_wrong_day_is_put_right_in_one_step(finance, session, receipt, invoices):
    answer = finance.post(REPLACE, data=form_of(finance, paid_on="2026-04-02"))
    assert answer.status_code == 303
    meter_part = (None, Decimal(30))
    parts = [(invoices[1], Decimal(100)), meter_part]
    assert receipts(session) == {
        "BANK-77": (date(2026, 4, 2), "cash", "posted", parts),
        "BANK-77 (void 1)": (date(2026, 4, 1), "cash", "void", parts),
    }
    page = text_of(finance.get(answer.headers["Location"]).text)
    assert "Payment BANK-77 is recorded, and BANK-77 (void 1) is void." in page
    assert "Recorded in place of BANK-77 (void 1)" in page
    void = text_of(finance.get("/billing/payments/BANK-77 (void 1)").text)
    assert "Reason: Wrong day" in void
    assert "Recorded anew as BANK-77" in void


def test_without_cents_the_same_invoice_is_paid_where_only_the_method_changes(
    finance, session, receipt, invoices, monkeypatch
):
    monkeypatch.setattr(money, "_currency", "VND")
    form = form_of(finance, method="transfer")
    assert (form["amount"], form[f"to-{invoices[1]}"]) == ("130", "100")
    assert finance.post(REPLACE, data=form).status_code == 303
    _day, method, _status, parts = receipts(session)["BANK-77"]
    assert (method, parts) == ("transfer", [(invoices[1], Decimal(100)), (None, Decimal(30))])


def test_what_a_payment_has_on_an_invoice_stays_where_another_overpaid_it(
    finance, session, customer, invoices
):
    day, invoice = date(2026, 4, 1), invoices[0]
    entry = actions.ReceiptEntry(
        customer.id, day, Decimal(80), "cash", (Part(Decimal(80), invoice_id=invoice),), "BANK-77"
    )
    actions.record(session, entry)
    PaymentFactory(customer=customer, invoice_id=invoice, amount=Decimal(80), reference="BANK-78")
    session.commit()
    form = form_of(finance, paid_on="2026-04-02")
    assert form[f"to-{invoice}"] == "80.00"
    finance.post(REPLACE, data=form)
    assert receipts(session)["BANK-77"] == (
        date(2026, 4, 2),
        "cash",
        "posted",
        [(invoice, Decimal(80))],
    )


def test_a_number_of_our_own_is_not_given_twice(finance, session, customer):
    PaymentFactory(reference="PAY-2026-00001", customer=customer, amount=Decimal(70))
    session.commit()
    form = form_of(finance, "/billing/payments/PAY-2026-00001/replace", method="card")
    assert form["reference"] == ""
    finance.post("/billing/payments/PAY-2026-00001/replace", data=form)
    found = receipts(session)
    assert {name: (method, status) for name, (_day, method, status, _parts) in found.items()} == {
        "PAY-2026-00001": ("transfer", "void"),
        "PAY-2026-00002": ("card", "posted"),
    }


def test_what_it_paid_is_open_for_the_new_one_and_follows_another_amount(
    finance, session, receipt, invoices
):
    form = form_of(finance, amount="80")
    shown = finance.post(f"{REPLACE}/preview", data=form, headers={"HX-Request": "true"})
    assert "80.00" in shown.headers["HX-Trigger"]
    finance.post(REPLACE, data=form)
    assert receipts(session)["BANK-77"][3] == [(invoices[0], Decimal(80))]
    session.rollback()
    assert session.get(Invoice, invoices[1]).paid == 0


def test_another_customer_gets_it(finance, session, receipt):
    CustomerFactory(code="BOLID", name="Bólido")
    session.commit()
    answer = finance.post(REPLACE, data=form_of(finance, customer="BOLID", rest_on=""))
    assert answer.status_code == 303
    session.rollback()
    [new] = session.scalars(select(Payment).where(Payment.reference == "BANK-77"))
    assert (new.customer.code, new.meter_id, new.amount) == ("BOLID", None, Decimal(130))


def test_without_a_reason_or_with_too_much_nothing_is_void(finance, session, receipt, invoices):
    without = finance.post(REPLACE, data=form_of(finance, reason=" "))
    assert without.status_code == 422
    assert "Say why it becomes void" in without.text
    too_much = form_of(finance, **{f"to-{invoices[1]}": "120.00"})
    assert finance.post(REPLACE, data=too_much).status_code == 422
    assert receipts(session)["BANK-77"][2] == "posted"


def test_a_refused_form_comes_back_into_its_page(finance, receipt):
    sent = finance.post(REPLACE, data=form_of(finance, reason=""), headers={"HX-Request": "true"})
    assert sent.status_code == 422
    assert "<form" in sent.text
    assert "<html" not in sent.text


def test_what_the_books_refuse_leaves_the_old_one_as_it_was(finance, session, receipt, invoices):
    """Another user pays the oldest invoice between the form and its saving."""
    form = form_of(finance, **{f"to-{invoices[0]}": "30.00"})
    customer, day = receipt[0].customer_id, date(2026, 4, 3)
    pays = (Part(Decimal(100), invoice_id=invoices[0]),)
    actions.record(session, actions.ReceiptEntry(customer, day, Decimal(100), "cash", pays))
    session.commit()
    answer = finance.post(REPLACE, data=form)
    assert answer.status_code == 422
    assert receipts(session)["BANK-77"][2] == "posted"
    taken = form_of(finance, reference="PAY-2026-00001")
    assert "There is already a payment" in finance.post(REPLACE, data=taken).text
    assert receipts(session)["BANK-77"][2] == "posted"


def test_a_concurrent_change_is_reported_and_nothing_is_done(finance, session, receipt):
    form = form_of(finance, paid_on="2026-04-02")
    session.rollback()
    rest = session.get(Payment, receipt[1].id)
    actions.take_off(session, rest.id, rest.version)
    session.commit()
    answer = finance.post(REPLACE, data=form)
    assert answer.status_code == 409
    assert "changed this" in text_of(answer.text)
    assert fields_of(answer.text, "payment-form")["paid_on"] == "2026-04-02"
    assert list(receipts(session)) == ["BANK-77"]
    again = fields_of(answer.text, "payment-form")
    assert "Wrong day</textarea>" in answer.text
    again["reason"] = "Wrong day"
    assert finance.post(REPLACE, data=again).status_code == 303


def test_sent_twice_it_happens_once(finance, session, receipt):
    form = form_of(finance, paid_on="2026-04-02")
    first, second = (finance.post(REPLACE, data=form) for _ in range(2))
    assert first.headers["Location"] == second.headers["Location"]
    assert len(receipts(session)) == 2


def test_one_receipt_is_replaced_once_by_two_at_a_time(app, session, receipt, customer):
    version, done, refused = actions.version_of(receipt), [], []
    opened_id, part = receipt[0].id, Part(Decimal(130))
    entry = actions.ReceiptEntry(customer.id, date(2026, 4, 2), Decimal(130), "cash", (part,))
    session.rollback()
    start = threading.Barrier(2)

    def replace():
        with app.app_context():
            start.wait()
            try:
                actions.replace_receipt(db.session(), opened_id, version, "Wrong day", entry)
                db.session.commit()
                done.append(1)
            except PaymentStaysVoid:
                db.session.rollback()
                refused.append(1)

    both = [threading.Thread(target=replace) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert (done, refused) == ([1], [1])
    assert len(receipts(session)) == 2


def test_one_transaction_did_both_and_the_history_says_it(finance, session, receipt):
    finance.post(REPLACE, data=form_of(finance, paid_on="2026-04-02"))
    session.rollback()
    newest = session.scalars(
        select(AuditEvent).where(AuditEvent.table_name == "payments").order_by(AuditEvent.id.desc())
    ).all()
    of_both = {(event.action, event.xid) for event in newest[:4]}
    assert {action for action, _xid in of_both} == {"INSERT", "UPDATE"}
    assert len({xid for _action, xid in of_both}) == 1
    history = text_of(finance.get("/billing/payments/BANK-77 (void 1)/history").text)
    assert "Reason after: Wrong day" in history
    assert "before: BANK-77 → after: BANK-77 (void 1)" in history


def test_a_void_one_cannot_be_replaced(finance, session, receipt):
    actions.void(session, receipt[0].id, actions.version_of(receipt), "Bounced")
    session.commit()
    assert finance.get(REPLACE).status_code == 409
    assert "Void and record anew" not in finance.get(REF).text


def test_the_receipt_offers_it_to_who_may_write(finance, sign_in, receipt):
    assert f'href="{REPLACE}"' in finance.get(REF).text
    assert REPLACE not in sign_in("viewer").get(REF).text
