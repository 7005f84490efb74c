"""Payments over HTTP: recording with allocation, the list, a receipt and its verbs, and what is unmatched."""

import json
import re
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import event, select

from backoffice import periods
from backoffice.billing import payment_actions as actions
from backoffice.billing.allocation import Part
from backoffice.billing.models import Invoice, Meter, MeterAssignment, Payment
from backoffice.billing.suggestions import Known, OpenInvoice, ranked
from backoffice.extensions import db
from tests.factories.billing import (
    InvoiceFactory,
    MeterAssignmentFactory,
    MeterFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory
from tests.orders.pages import outputs_of, text_of
from tests.targets.pages import fields_of

NEW = "/billing/payments/new"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def customer(session):
    """Alfreds, with three open invoices of 100.00 on meter M-A, and meter M-B without any."""
    customer = CustomerFactory(code="ALFKI", name="Alfreds Futterkiste")
    meter = MeterFactory(number="M-A")
    MeterAssignmentFactory(customer=customer, meter=meter)
    MeterAssignmentFactory(customer=customer, meter=MeterFactory(number="M-B"))
    for month in (1, 2, 3):
        InvoiceFactory(
            number=f"INV-000{month}", customer=customer, meter=meter, units=None, rate=None,
            fixed_charge=0, amount=Decimal(100),
            issued_on=date(2026, month, 1), due_on=date(2026, month, 20),
        )  # fmt: skip
    session.commit()
    return customer


@pytest.fixture
def invoices(customer, session):
    """Ids of the invoices, the oldest first."""
    return list(session.scalars(select(Invoice.id).order_by(Invoice.due_on)))


@pytest.fixture
def finance(sign_in):
    """A browser of somebody of finance."""
    return sign_in("finance")


def opened(browser, path=f"{NEW}?customer=ALFKI"):
    return fields_of(browser.get(path).text, "payment-form")


def typed(browser, **fields):
    """The new-payment form for Alfreds with these fields typed into it, and shown for them."""
    form = opened(browser)
    for name, text in fields.items():
        form[name] = text
    return form


def begins_in(page):
    """The id of the field in which the keyboard begins."""
    [field] = [tag for tag in re.findall(r"<input[^>]*>", page) if " autofocus" in tag]
    return re.search(r' id="([^"]*)"', field)[1]


def stored(session):
    session.rollback()
    rows = session.scalars(select(Payment).order_by(Payment.reference, Payment.part))
    return [(p.reference, p.part, p.invoice_id, p.meter and p.meter.number, p.amount) for p in rows]


def fills(answer):
    """What an answer puts into fields of the page."""
    found = json.loads(answer.headers.get("HX-Trigger", "{}")).get("fill", {"fields": []})
    return {change["id"]: change["now"] for change in found["fields"]}


# Recording


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
        ({"customer": ""}, "Choose a customer."),
        ({"customer": "nobody"}, "No customer is called that."),
        ({"amount": ""}, "Enter the amount."),
        ({"amount": "0"}, "Enter an amount above zero."),
        ({"amount": "-5"}, "This is too small"),
        ({"amount": "NaN"}, "This is not a number."),
        ({"amount": "9999999999999999"}, "This is too large"),
        ({"paid_on": "2199-01-01"}, "This day is still to come."),
        ({"paid_on": ""}, "Enter the day."),
        ({"method": "barter"}, "Choose how it was paid."),
        ({"reference": "no digit"}, "end with a part that has a digit"),
        ({"rest_on": "M-?"}, "There is no meter M-?."),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_saved(finance, customer, session, changes, said):
    answer = finance.post(NEW, data=typed(finance, **{"amount": "50"} | changes))
    assert answer.status_code == 422
    assert said in text_of(answer.text)
    assert stored(session) == []


def test_a_reference_is_given_once(finance, customer, session):
    assert finance.post(NEW, data=typed(finance, amount="1", reference="B 1")).status_code == 303
    answer = finance.post(NEW, data=typed(finance, amount="1", reference="B 1"))
    assert answer.status_code == 422
    assert "There is already a payment B 1." in text_of(answer.text)


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


def test_a_double_click_records_one_payment(finance, customer, session):
    form = typed(finance, amount="50")
    first, second = (finance.post(NEW, data=form) for _ in range(2))
    assert first.location == second.location
    assert len(stored(session)) == 1
    form["amount"] = "60"
    assert finance.post(NEW, data=form).status_code == 422


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


# The list and a receipt


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
    page = text_of(finance.get("/billing/payments").text)
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
    lines = finance.get("/billing/payments/export.csv").data.decode("utf-8-sig").splitlines()
    assert 'PAY-1,2026-03-05,Alfreds Futterkiste,Cash,"M-A, M-B",INV-0001,Posted,120.00' in lines
    assert lines[-1] == "Total: Amount,120.00"


def test_a_receipt_shows_where_it_went_and_who_recorded_it(finance, receipt):
    page = text_of(finance.get("/billing/payments/PAY-1").text)
    assert "Payment PAY-1 Posted" in page
    assert "M-A INV-0001 100.00" in page
    assert "M-B – 20.00" in page
    assert "2 parts · Rp 120.00" in page
    assert "Part 1 · Invoice" in page
    assert finance.get("/billing/payments/PAY-9").status_code == 404


def void(browser, reference, **changes):
    path = f"/billing/payments/{reference}/void"
    page = browser.get(path).text
    form = dict(re.findall(r'name="(version|idempotency_key)"[^>]*value="([^"]*)"', page))
    return browser.post(path, data={**form, "reason": "bounced", **changes})


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


def test_voiding_wants_a_reason_and_the_version_that_was_shown(finance, receipt, session):
    answer = void(finance, "PAY-1", reason=" ")
    assert answer.status_code == 422
    assert "Say why the payment is void." in answer.text
    stale = void(finance, "PAY-1", version="1")
    assert stale.status_code == 409
    assert "changed this payment at" in text_of(stale.text)
    assert 'value="2"' in stale.text
    session.rollback()
    assert set(session.scalars(select(Payment.status))) == {"posted"}


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
    history = text_of(finance.get("/billing/payments/PAY-1").text)
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
        ({"version": "7"}, 409, "changed this payment at"),
    ],
)
def test_a_move_that_is_refused_says_why(finance, receipt, session, changes, status, said):
    answer = move(finance, 2, **changes)
    assert answer.status_code == status
    assert said in text_of(answer.text)
    assert stored(session)[1][3:] == ("M-B", 20)


def test_a_part_is_taken_off_its_meter_once(finance, receipt, session):
    form = {"part": "2", "version": "1", "idempotency_key": "k1"}
    answer = finance.post("/billing/payments/PAY-1/take-off", data=form)
    assert answer.status_code == 303
    assert finance.post("/billing/payments/PAY-1/take-off", data=form).status_code == 303
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


# What is unmatched


def known(**facts):
    base = {"id": 1, "version": 1, "amount": Decimal(50), "paid_on": date(2026, 3, 15)}
    return Known(**base | facts)


def an_open(key, amount, day=1, **facts):
    return OpenInvoice(key, f"I-{key}", "M-1", Decimal(amount), date(2026, 3, day), **facts)


def places(facts):
    return [(s.reason, s.choice) for s in ranked(facts)]


def test_suggestions_stand_in_the_order_of_how_likely_they_are():
    book = (an_open(1, 70), an_open(2, 50), an_open(3, 30, is_in_reference=True))
    assert places(known(invoices=book, sure_meter=(9, "M-9"), sure_by="assignment")) == [
        ("reference", "invoice:3"),
        ("amount", "invoice:2"),
        ("assigned", "meter:9"),
        ("oldest", "oldest"),
    ]


def test_a_place_is_suggested_once_by_its_best_reason():
    book = (an_open(1, 50, is_in_reference=True),)
    assert places(known(invoices=book)) == [("reference", "invoice:1"), ("oldest", "oldest")]


def test_an_invoice_that_was_issued_later_does_not_fit_by_its_amount():
    assert places(known(invoices=(an_open(1, 50, day=16),))) == [("oldest", "oldest")]


def test_a_payment_that_names_its_invoice_has_one_place_and_one_without_a_meter_none():
    named = known(names="I-1", sure_by="invoice", sure_meter=(9, "M-9"), invoices=(an_open(1, 50),))
    assert places(named) == [("named", "sure")]
    assert places(known(unsure="invoice without meter", invoices=(an_open(1, 50),))) == []


def test_the_only_meter_ever_is_suggested_where_none_is_sure():
    assert places(known(only_meter=(4, "M-4"), unsure="no assignment")) == [("only", "meter:4")]


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


def test_a_payment_that_somebody_matched_meanwhile_is_not_matched_again(
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
    assert finance.post("/billing/unmatched/match-sure", data=form).status_code == 303
    said = text_of(finance.get("/billing/unmatched").text)
    assert "1 payment is matched. Of 2 it is not sure where they belong." in said
    assert [row[3] for row in stored(session)] == ["M-S", None, None]


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


def test_a_payment_whose_invoice_has_no_meter_says_so(finance, session, customer):
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
