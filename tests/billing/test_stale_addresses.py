"""A number, a code or a reference goes to another record while a user has the first one open.

What they send then changes neither: a form is about the record that it was opened on.
"""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from backoffice.app.extensions import db
from backoffice.base.refusals import Refusal
from backoffice.billing.models import Invoice, Meter, MeterAdjustment, MeterAssignment, Payment
from backoffice.billing.payments import actions
from backoffice.billing.payments.allocation import Part
from backoffice.billing.payments.refusals import PaymentStaysVoid
from backoffice.customers.models import Customer
from backoffice.orders.models import Order
from backoffice.products.models import Product
from backoffice.records.actions import RecordChanged
from tests.customers.desk import fields_of as form_in
from tests.customers.desk import form
from tests.factories.customers import CustomerFactory
from tests.orders.pages import text_of
from tests.processes import barrier, together
from tests.targets.pages import fields_of, filled

from .invoice_desk import invoice_of, wanjiru
from .payment_desk import alfreds, oldest_first, opened

SAID = "This number now belongs to another record than the one that you opened."
RECEIPT = "/billing/payments/BANK-77"
AnyRecord = Invoice | Meter | Order | Customer | Product


@pytest.fixture
def slow(sign_in: Callable[..., FlaskClient]) -> FlaskClient:
    """The browser of a user who opens a form, and sends it too late."""
    return sign_in("finance")


@pytest.fixture
def fast(sign_in: Callable[..., FlaskClient]) -> FlaskClient:
    """The browser of a user who changes something in between."""
    return sign_in("finance")


def reported(answer: Any) -> str:
    """The response to a stale form: a conflict, and why."""
    assert answer.status_code == 409, answer.text
    text = text_of(answer.text)
    assert SAID in text
    return text


# Receipts


@pytest.fixture
def receipt(session: Any) -> list[Payment]:
    """BANK-77 of Alfreds: 100.00 on their second invoice, and 30.00 on no meter."""
    customer = alfreds(session)
    parts = (Part(Decimal(100), invoice_id=oldest_first(session)[1]), Part(Decimal(30)))
    entry = actions.ReceiptEntry(
        customer.id, date(2026, 4, 1), Decimal(130), "cash", parts, "BANK-77"
    )
    made = actions.record(session, entry)
    session.commit()
    return made


def correct(browser: FlaskClient) -> None:
    """Record the receipt anew on another day; it keeps its reference."""
    page = opened(browser, f"{RECEIPT}/replace")
    page["paid_on"], page["reason"] = "2026-04-02", "Wrong day"
    assert browser.post(f"{RECEIPT}/replace", data=page).status_code == 303


def free(browser: FlaskClient) -> None:
    """Make the receipt void, and record another payment of the same amount under its reference."""
    page = form(browser, f"{RECEIPT}/void", reason="Bounced")
    assert browser.post(f"{RECEIPT}/void", data=page).status_code == 303
    typed = opened(browser)
    typed["amount"], typed["reference"], typed["rest_on"] = "130", "BANK-77", "M-B"
    again = browser.post("/billing/payments/new?do=show", data=typed)
    typed = fields_of(again.text, "payment-form")
    assert browser.post("/billing/payments/new", data=typed).status_code == 303


def present(session: Any) -> list[tuple[str, Decimal, int | None]]:
    """The parts of BANK-77 as it is now."""
    session.rollback()
    parts = actions.parts_in(session, "BANK-77")
    return [(part.status, part.amount, part.invoice_id) for part in parts]


def asked(browser: FlaskClient, verb: str) -> tuple[str, Any]:
    """The URL of a verb of the receipt, and its opened form."""
    address = f"{RECEIPT}/{verb}"
    if verb == "take-off":
        return address, form(browser, RECEIPT, address)
    if verb == "void":
        return address, form(browser, address, reason="Bounced")
    if verb == "move":
        return address, filled(browser, address, "place-form", rest_on="M-B")
    return address, filled(browser, address, "payment-form", reason="Wrong amount", amount="120")


@pytest.mark.parametrize("verb", ["void", "replace", "move", "take-off"])
@pytest.mark.parametrize("between", [correct, free])
def test_a_form_over_a_receipt_does_nothing_to_the_next_one_of_its_reference(
    slow: FlaskClient,
    fast: FlaskClient,
    session: Any,
    receipt: list[Payment],
    verb: str,
    between: Callable[[FlaskClient], None],
) -> None:
    address, late = asked(slow, verb)
    between(fast)
    before = present(session)
    assert {status for status, *_rest in before} == {"posted"}
    text = reported(slow.post(address, data=late))
    assert present(session) == before
    if verb != "take-off":
        assert "changed this at" in text


def test_after_the_conflict_was_shown_the_other_receipt_can_be_voided(
    slow: FlaskClient, fast: FlaskClient, session: Any, receipt: list[Payment]
) -> None:
    address, late = asked(slow, "void")
    correct(fast)
    answer = slow.post(address, data=late)
    reported(answer)
    again = form_in(answer.text, address, reason="Bounced")
    assert slow.post(address, data=again).status_code == 303
    assert {status for status, *_rest in present(session)} == {"void"}


def test_under_the_lock_a_receipt_is_known_by_its_first_part(
    app: Flask, session: Any, receipt: list[Payment]
) -> None:
    """Of two who correct one receipt and keep its reference, the second never voids the first one's."""
    receipt_id, version = receipt[0].id, actions.version_of(receipt)
    customer_id = receipt[0].customer_id
    session.rollback()
    part = Part(Decimal(130))
    entry = actions.ReceiptEntry(
        customer_id, date(2026, 4, 2), Decimal(130), "cash", (part,), "BANK-77"
    )
    meet = barrier(2)

    def replace() -> str:
        meet.wait()
        try:
            actions.replace_receipt(db.session(), receipt_id, version, "Wrong day", entry)
            db.session.commit()
        except Refusal as refusal:
            db.session.rollback()
            return type(refusal).__name__
        return ""

    outcomes = together(app, replace, replace)
    refusals = {kind.__name__ for kind in (PaymentStaysVoid, RecordChanged)}
    assert min(outcomes) == ""
    assert max(outcomes) in refusals
    assert present(session) == [("posted", Decimal(130), None)]


# Invoices


@pytest.fixture
def invoices(session: Any) -> tuple[int, int]:
    """INV-1 and INV-2 of Wanjiru, on M-1; their ids. Renumbered, the second is at the first one's version."""
    customer = wanjiru(session)
    first = invoice_of(session, customer, number="INV-1", version=2)
    second = invoice_of(session, customer, number="INV-2")
    return first.id, second.id


def renumber(browser: FlaskClient, numbers: dict[str, str], at: str, form_id: str) -> None:
    """Renumber these records in this order, each in its form."""
    for old, new in numbers.items():
        page = filled(browser, at.format(old), form_id)
        page["code" if "code" in page else "number"] = new
        answer = browser.post(at.format(old), data=page)
        assert answer.status_code == 303, text_of(answer.text)


def swapped(browser: FlaskClient) -> None:
    """INV-1 becomes INV-9, and INV-2 INV-1."""
    numbers = {"INV-1": "INV-9", "INV-2": "INV-1"}
    renumber(browser, numbers, "/billing/invoices/{}/edit", "invoice-form")


def test_a_form_to_move_an_invoice_does_not_move_the_next_one_of_its_number(
    slow: FlaskClient, fast: FlaskClient, session: Any, invoices: tuple[int, int]
) -> None:
    path = "/billing/invoices/INV-1/move"
    late = form(slow, path, meter="M-2")
    swapped(fast)
    reported(slow.post(path, data=late))
    session.rollback()
    on = {invoice.meter.number for invoice in session.scalars(select(Invoice))}
    assert on == {"M-1"}


# Meters


@pytest.fixture
def meters(session: Any) -> dict[str, int]:
    """M-8 and M-9, unassigned; their ids by their numbers."""
    versions = {"M-8": 2, "M-9": 1}
    made = {number: Meter(number=number, version=version) for number, version in versions.items()}
    session.add_all(made.values())
    CustomerFactory(code="RINA", name="Rina")
    session.commit()
    return {number: meter.id for number, meter in made.items()}


METER_VERBS = {
    "edit": ("meter-form", {"description": "Attic"}),
    "assign": ("assignment-form", {"customer": "RINA"}),
}  # fmt: skip


@pytest.mark.parametrize("verb", METER_VERBS)
def test_a_form_over_a_meter_does_nothing_to_the_next_one_of_its_number(
    slow: FlaskClient, fast: FlaskClient, session: Any, meters: dict[str, int], verb: str
) -> None:
    form_id, typed = METER_VERBS[verb]
    late = filled(slow, f"/billing/meters/M-8/{verb}", form_id, **typed)
    numbers = {"M-8": "M-80", "M-9": "M-8"}
    renumber(fast, numbers, "/billing/meters/{}/edit", "meter-form")
    answer = slow.post(f"/billing/meters/M-8/{verb}", data=late)
    reported(answer)
    session.rollback()
    assert session.scalars(select(MeterAssignment)).all() == []
    assert {meter.description for meter in session.scalars(select(Meter))} == {""}
    again = fields_of(answer.text, form_id)
    sent = slow.post(f"/billing/meters/M-80/{verb}", data=again)
    assert sent.status_code == 303, text_of(sent.text)


def test_an_untouched_name_means_the_record_that_was_shown(
    slow: FlaskClient, fast: FlaskClient, session: Any, meters: dict[str, int]
) -> None:
    path = "/billing/adjustments/new"
    fee = {"amount": "5", "reason": "Fee", "adjusted_on": "2026-03-10", "customer": "RINA"}
    late = filled(slow, f"{path}?meter=M-8", "meteradjustment-form", **fee)
    other = filled(slow, f"{path}?meter=M-9", "meteradjustment-form", **fee, meter="M-8")
    renumber(fast, {"M-8": "M-80", "M-9": "M-8"}, "/billing/meters/{}/edit", "meter-form")
    for sent in (late, other):
        assert slow.post(path, data=sent).status_code == 303
    posted = session.scalars(select(MeterAdjustment).order_by(MeterAdjustment.id)).all()
    assert [one.meter_id for one in posted] == [meters["M-8"], meters["M-9"]], "typed is typed"


def test_a_meter_is_assigned_as_it_was_shown(
    slow: FlaskClient, fast: FlaskClient, session: Any, meters: dict[str, int]
) -> None:
    path = "/billing/meters/M-8/assign"
    late = filled(slow, path, "assignment-form", customer="RINA")
    edit = "/billing/meters/M-8/edit"
    fast.post(edit, data=filled(fast, edit, "meter-form", description="Out of order"))
    answer = slow.post(path, data=late)
    assert answer.status_code == 409
    assert "Another user has saved meter M-8" in text_of(answer.text)
    assert session.scalars(select(MeterAssignment)).all() == []
    again = fields_of(answer.text, "assignment-form")
    assert slow.post(path, data=again).status_code == 303
