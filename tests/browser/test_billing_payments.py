"""Payments in a real browser: recorded by keyboard alone, allocations kept as typed, matched by one click."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect
from sqlalchemy import select

from backoffice.billing.models import Invoice, Payment
from backoffice.customers.models import Customer
from tests.factories.billing import (
    InvoiceFactory,
    MeterAssignmentFactory,
    MeterFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory

Browse = Callable[..., Page]

NEW = "/billing/payments/new"


@pytest.fixture
def customer(session: Any) -> Customer:
    """Alfreds, with three open invoices of 100.00 on meter M-A; and Berglunds with one of 70.00 on M-Z."""
    found = CustomerFactory(code="ALFKI", name="Alfreds Futterkiste")
    other = CustomerFactory(code="BERGS", name="Berglunds snabbköp")
    for owner, number, amount, months in ((found, "A", 100, 3), (other, "Z", 70, 1)):
        meter = MeterAssignmentFactory(
            customer=owner, meter=MeterFactory(number=f"M-{number}")
        ).meter
        for month in range(1, months + 1):
            InvoiceFactory(
                number=f"{number}-000{month}", customer=owner, meter=meter,
                units=None, rate=None, fixed_charge=0, amount=Decimal(amount),
                issued_on=date(2026, month, 1), due_on=date(2026, month, 20),
            )  # fmt: skip
    session.commit()
    return found


@pytest.fixture
def fields(session: Any, customer: Customer) -> list[str]:
    """The fields of Alfreds' invoices, the oldest first."""
    mine = select(Invoice.id).where(Invoice.customer_id == customer.id).order_by(Invoice.due_on)
    return [f"#to-{key}" for key in session.scalars(mine)]


def stored(session: Any) -> list[tuple[Any, ...]]:
    session.rollback()
    rows = session.scalars(select(Payment).order_by(Payment.id))
    return [(p.invoice and p.invoice.number, p.meter and p.meter.number, p.amount) for p in rows]


class Keys:
    """Input by keyboard; a word typed without a pause counts as one action."""

    def __init__(self, page: Page) -> None:
        self.keyboard, self.actions = page.keyboard, 0

    def type(self, text: str) -> None:
        self.actions += 1
        self.keyboard.type(text)

    def press(self, key: str) -> None:
        self.actions += 1
        self.keyboard.press(key)


def test_a_payment_is_recorded_by_keyboard_alone_in_five_actions(
    browse: Browse, session: Any, customer: Customer, fields: list[str]
) -> None:
    page = browse("finance")
    page.goto("/billing/payments")
    keys = Keys(page)
    keys.press("n")
    expect(page.locator("#customer")).to_be_focused()
    keys.type("alfki")
    keys.press("Tab")
    expect(page.locator("#customer")).to_have_value("ALFKI · Alfreds Futterkiste")
    expect(page.locator("#amount")).to_be_focused()
    keys.type("250")
    expect(page.locator(fields[2])).to_have_value("50.00")
    expect(page.locator("#rest")).to_contain_text("Rp 0.00")
    keys.press("Control+s")
    page.wait_for_url("**/billing/payments/PAY-*")
    assert keys.actions == 5
    expect(page.locator(".notice-success")).to_contain_text("is recorded")
    assert stored(session) == [
        ("A-0001", "M-A", 100),
        ("A-0002", "M-A", 100),
        ("A-0003", "M-A", 50),
    ]
    page.keyboard.press("n")
    page.wait_for_url(f"**{NEW}")
    expect(page.locator("#customer")).to_be_focused()


def test_a_user_who_is_faster_than_the_preview_has_it_allocated_all_the_same(
    browse: Browse, session: Any, customer: Customer
) -> None:
    page = browse("finance")
    page.goto(NEW)
    page.keyboard.type("alfki")
    page.keyboard.press("Tab")
    page.keyboard.type("120")
    page.keyboard.press("Control+s")
    page.wait_for_url("**/billing/payments/PAY-*")
    assert stored(session) == [("A-0001", "M-A", 100), ("A-0002", "M-A", 20)]


def test_the_sheet_follows_the_amount_but_never_what_was_typed(
    browse: Browse, session: Any, customer: Customer, fields: list[str]
) -> None:
    first, second, third = fields
    page = browse("finance")
    page.goto(f"{NEW}?customer=ALFKI")
    page.locator("#amount").fill("150")
    expect(page.locator(second)).to_have_value("50.00")
    page.locator(first).fill("30")
    expect(page.locator(second)).to_have_value("100.00")
    expect(page.locator(third)).to_have_value("20.00")
    expect(page.locator(first)).to_have_value("30")
    page.locator("#amount").fill("300")
    expect(page.locator(third)).to_have_value("100.00")
    expect(page.locator(first)).to_have_value("30")
    rest = page.locator("#rest")
    expect(rest).to_contain_text("Rp 70.00")
    expect(rest).to_contain_text("It stays on meter M-A.")
    page.locator(first).fill("301")
    expect(rest).to_contain_text("The invoices get Rp 1.00 more than is paid.")
    page.locator(first).fill("30")
    expect(rest).to_contain_text("Rp 70.00")
    page.keyboard.press("Control+s")
    page.wait_for_url("**/billing/payments/PAY-*")
    assert stored(session) == [
        ("A-0001", "M-A", 30),
        ("A-0002", "M-A", 100),
        ("A-0003", "M-A", 100),
        (None, "M-A", 70),
    ]


def test_what_is_typed_before_a_slow_answer_comes_stays(
    browse: Browse, customer: Customer, fields: list[str]
) -> None:
    page = browse("finance")
    page.goto(f"{NEW}?customer=ALFKI")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/billing/payments/preview", hold, times=1)
    with page.expect_request("**/billing/payments/preview"):
        page.locator("#amount").fill("150")
    page.locator(fields[0]).evaluate("field => { field.value = '12' }")  # typed, but not sent yet
    with page.expect_response("**/billing/payments/preview"):
        held[0].continue_()
    expect(page.locator(fields[1])).to_have_value("50.00")
    expect(page.locator(fields[0])).to_have_value("12")


def test_what_is_typed_just_before_another_field_is_filled_counts(
    browse: Browse, customer: Customer, fields: list[str]
) -> None:
    """A field that is filled in counts as entered, even if its value is unchanged."""
    page = browse("finance")
    page.goto(f"{NEW}?customer=ALFKI")
    page.locator("#amount").fill("90")
    expect(page.locator(fields[0])).to_have_value("90.00")
    with page.expect_response("**/billing/payments/preview"):
        page.locator(fields[2]).dispatch_event("input")
    page.evaluate(
        """([typed, same]) => {
            document.querySelector(typed).value = "15";
            for (const id of [typed, same])
                document.querySelector(id).dispatchEvent(new Event("input", {bubbles: true}));
        }""",
        [fields[0], fields[2]],
    )
    expect(page.locator(fields[1])).to_have_value("75.00")
    expect(page.locator(fields[0])).to_have_value("15")


def test_another_customer_brings_another_sheet(browse: Browse, customer: Customer) -> None:
    page = browse("finance")
    page.goto(f"{NEW}?customer=ALFKI")
    page.locator("#amount").fill("60")
    expect(page.locator("#rest")).to_contain_text("Rp 0.00")
    page.locator("#customer").fill("BERGS")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Z-0001", exact=True)).to_have_value("60.00")
    expect(page.get_by_label("A-0001", exact=True)).to_have_count(0)
    expect(page.locator("#rest_on")).to_have_value("M-Z")


def test_a_double_submit_records_one_payment(
    browse: Browse, session: Any, customer: Customer
) -> None:
    page = browse("finance")
    page.goto(f"{NEW}?customer=ALFKI")
    page.locator("#amount").fill("40")
    expect(page.get_by_label("A-0001", exact=True)).to_have_value("40.00")
    page.locator("#save-record").dblclick()
    page.wait_for_url("**/billing/payments/PAY-*")
    assert stored(session) == [("A-0001", "M-A", 40)]


def test_without_javascript_a_payment_is_recorded_too(
    browse: Browse, session: Any, customer: Customer
) -> None:
    page = browse("finance", java_script_enabled=False)
    page.goto(NEW)
    page.locator("#customer").fill("alfreds")
    page.locator("#amount").fill("130")
    page.get_by_role("button", name="Show open invoices").click()
    expect(page.get_by_label("A-0002", exact=True)).to_have_value("30.00")
    page.get_by_label("A-0002", exact=True).fill("10")
    page.locator("#save-record").click()
    expect(page.get_by_role("heading", name="Payment PAY-")).to_be_visible()
    assert stored(session) == [
        ("A-0001", "M-A", 100),
        ("A-0002", "M-A", 10),
        (None, "M-A", 20),
    ]


def test_what_is_wrong_stands_at_its_field_and_what_was_typed_stays(
    browse: Browse, session: Any, customer: Customer, fields: list[str], axe: Callable[..., None]
) -> None:
    page = browse("finance")
    page.goto(f"{NEW}?customer=ALFKI")
    page.locator("#amount").fill("500")
    expect(page.locator(fields[2])).to_have_value("100.00")
    page.locator(fields[1]).fill("101")
    page.keyboard.press("Control+s")
    expect(page.locator("[data-error-summary]")).to_be_focused()
    expect(page.locator(fields[1])).to_have_attribute("aria-invalid", "true")
    expect(page.locator(fields[1])).to_have_value("101")
    axe(page)
    assert stored(session) == []


def test_a_suggestion_is_accepted_by_one_click_and_taken_back(
    browse: Browse, session: Any, customer: Customer
) -> None:
    PaymentFactory(reference="TRF A-0002", customer=customer, amount=Decimal(120))
    session.commit()
    page = browse("finance")
    page.goto("/billing/unmatched")
    expect(page.get_by_text("Its reference holds the number of invoice A-0002.")).to_be_visible()
    page.get_by_role("button", name="Match TRF A-0002: A-0002").click()
    expect(page.get_by_text("Every payment is matched")).to_be_visible()
    assert stored(session) == [("A-0002", "M-A", 100), (None, "M-A", 20)]
    page.goto("/billing/payments/TRF A-0002")
    page.get_by_role("button", name="Take off part 1").click()
    page.get_by_label("Reason").fill("Another customer's")
    page.get_by_role("button", name="Take the payment off its meter").click()
    expect(page.get_by_role("link", name="Match part 1")).to_be_visible()
    assert stored(session) == [(None, None, 100), (None, "M-A", 20)]


def test_another_place_than_the_suggested_is_chosen(
    browse: Browse, session: Any, customer: Customer, fields: list[str]
) -> None:
    PaymentFactory(reference="TRF 1", customer=customer, amount=Decimal(60))
    session.commit()
    page = browse("finance")
    page.goto("/billing/unmatched")
    page.get_by_text("Something else").click()
    page.get_by_role("link", name="Choose an invoice or a meter").click()
    expect(page.locator(fields[0])).to_have_value("60.00")
    page.locator(fields[0]).fill("")
    expect(page.locator(fields[1])).to_have_value("60.00")
    page.locator(fields[1]).fill("0")
    expect(page.locator(fields[2])).to_have_value("60.00")
    page.keyboard.press("Control+s")
    page.wait_for_url("**/billing/payments/TRF*1")
    assert stored(session) == [("A-0003", "M-A", 60)]


def test_all_that_are_sure_are_matched_at_once(
    browse: Browse, session: Any, customer: Customer
) -> None:
    for n in range(3):
        PaymentFactory(reference=f"S-{n}", customer=customer, amount=Decimal(5))
    PaymentFactory(reference="S-9", customer=CustomerFactory(), amount=Decimal(5))
    session.commit()
    page = browse("finance")
    page.goto("/billing/unmatched")
    page.get_by_role("button", name="Match those of the 4 that are sure").click()
    page.get_by_label("Reason").fill("Bank file of March")
    page.get_by_role("button", name="Match the payments that are sure").click()
    said = page.locator(".notice-success")
    expect(said).to_have_text("3 payments are matched. Of 1 it is not sure where it belongs.")
    assert [row[1] for row in stored(session)] == ["M-A", "M-A", "M-A", None]


def test_the_pages_of_payments_stand_up_to_axe(
    session: Any, customer: Customer, every_look: Callable[..., None]
) -> None:
    mine = select(Invoice).where(Invoice.customer_id == customer.id).order_by(Invoice.due_on)
    invoice = session.scalars(mine).first()
    PaymentFactory(
        reference="P-1", customer=customer, invoice=invoice, meter=invoice.meter, amount=Decimal(40)
    )
    PaymentFactory(reference="P-2", customer=customer, amount=Decimal(100))
    PaymentFactory(reference="P-3", customer=customer, status="void", void_reason="bounced")
    session.commit()
    screens = {
        "payments": "/billing/payments",
        "new": f"{NEW}?customer=ALFKI",
        "receipt": "/billing/payments/P-1",
        "void-receipt": "/billing/payments/P-3",
        "void": "/billing/payments/P-1/void",
        "move": "/billing/payments/P-1/move",
        "unmatched": "/billing/unmatched",
    }
    every_look({f"payments-{name}": path for name, path in screens.items()})
