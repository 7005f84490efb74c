"""Gas in a browser: a price previewed while it is typed, the grid by keyboard and by pasting, and every look."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import func, select

from backoffice.gas.models import Deposit, GasPrice, Reading
from tests.browser.looks import LANGUAGES
from tests.factories.customers import CustomerFactory
from tests.factories.gas import DepositFactory, GasPriceFactory, ReadingFactory

D = Decimal


def _gas(session: Any) -> None:
    """Two customers, the first with readings in two months, one of them before the first price."""
    one = CustomerFactory(code="G-1", name="Gas One")
    GasPriceFactory(
        customer=one, effective_from=date(2026, 1, 2), price_per_sm3=D(100), correction_factor=D(1)
    )
    for day in range(0, 60, 10):
        ReadingFactory(
            customer=one, read_on=date(2026, 1, 1) + timedelta(days=day), metered_volume=D(10)
        )
    DepositFactory(customer=one, deposited_on=date(2026, 1, 1), amount=D(5000))
    GasPriceFactory(customer=CustomerFactory(code="G-2", name="Gas Two"))
    session.commit()


def _count(session: Any, model: Any) -> int:
    session.rollback()
    return int(session.scalar(select(func.count()).select_from(model)))


def test_a_price_shows_its_months_while_it_is_typed_and_is_saved_by_a_key(
    session: Any, browse: Callable[..., Page]
) -> None:
    _gas(session)
    page = browse("finance")
    page.goto("/gas/prices/new?customer=G-1")
    page.fill("input[name=effective_from]", "2026-02-01")
    page.locator("input[name=price_per_sm3]").click()
    page.keyboard.press("Control+a")
    page.keyboard.type("150")
    expect(page.locator("#price-effect")).to_contain_text("-Rp 1,000.00")
    expect(page.locator("#price-effects tbody tr")).to_have_count(1)
    page.keyboard.type("0")
    expect(page.locator("#price-effect")).to_contain_text("-Rp 28,000.00")
    expect(page.locator("input[name=price_per_sm3]")).to_be_focused()
    assert _count(session, GasPrice) == 2
    page.keyboard.press("Control+s")
    expect(page.locator("h1")).not_to_have_text("New gas price")
    assert _count(session, GasPrice) == 3


def test_the_grid_is_filled_by_keys_and_by_a_pasted_block(
    session: Any, browse: Callable[..., Page]
) -> None:
    _gas(session)
    page = browse("finance")
    page.goto("/gas/entry?month=2026-03")
    volumes = page.locator("input[name=volume]")
    expect(volumes.first).to_be_focused()
    page.keyboard.type("11")
    page.keyboard.press("Enter")
    expect(volumes.nth(1)).to_be_focused()
    page.keyboard.type("12.5")
    expect(page.locator("#entry-total")).to_contain_text("23.5")
    page.evaluate(
        """() => {
            const data = new DataTransfer();
            data.setData("text/plain", "G-1\\t2026-03-30\\t9\\nG-2\\t2026-03-29\\t500");
            document.querySelectorAll("input[name=customer]")[1].dispatchEvent(
                new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
        }"""
    )
    expect(page.locator("[data-row]")).to_have_count(3)
    expect(page.locator("form.filters")).to_have_count(1)
    expect(page.locator("#entry-total")).to_contain_text("520")
    page.keyboard.press("Control+s")
    expect(page.locator(".notice-success, .flash-success, [role=status]").first).to_be_visible()
    page.wait_for_url("**/gas/entry?month=2026-03")
    expect(page.locator("body")).to_contain_text("3 readings are saved.")
    assert _count(session, Reading) == 9


def test_on_a_phone_the_box_of_a_price_stands_beside_its_day_and_customer(
    session: Any, browse: Callable[..., Page]
) -> None:
    _gas(session)
    page = browse("finance", width="narrow")
    page.goto("/gas/prices")
    row = page.locator("tbody tr").first
    box = row.locator("input[name=id]").bounding_box()
    assert box
    for link in row.locator("a").all():
        text = link.bounding_box()
        assert text
        assert box["x"] + box["width"] <= text["x"]


def test_what_is_unusual_was_looked_at_only_as_it_was_typed_then(
    session: Any, browse: Callable[..., Page]
) -> None:
    _gas(session)
    page = browse("finance")
    page.goto("/gas/entry?month=2026-03")
    volume, box = page.locator("input[name=volume]").first, page.locator("input[name=anyway]")
    volume.press_sequentially("500")
    box.check()
    page.locator("input[name=day]").first.fill("2026-03-30")
    expect(box).not_to_be_checked()
    box.check()
    page.locator("input[name=volume]").nth(1).fill("3")
    expect(page.locator("#entry-total")).to_contain_text("503")
    expect(box).to_be_checked()
    volume.fill("5000")
    expect(page.locator("#entry-total")).to_contain_text("5,003")
    expect(box).not_to_be_checked()


@pytest.mark.parametrize("language", LANGUAGES)
def test_gas_is_sound_in_every_look(
    session: Any, browse: Callable[..., Page], is_sound: Any, language: str
) -> None:
    _gas(session)
    page = browse("finance", language=language)
    for name, address in (
        ("gas-months", "/gas/months"), ("gas-readings", "/gas/readings"), ("gas-prices", "/gas/prices"),
        ("gas-statement", "/gas/customers/G-1/statement"), ("gas-month", "/gas/customers/G-1/months/2026-01"),
        ("gas-price", "/gas/prices/new?customer=G-1"), ("gas-bulk", "/gas/prices/bulk?matching=1"),
        ("gas-entry", "/gas/entry?month=2026-03"), ("gas-customer", "/customers/G-1"),
    ):  # fmt: skip
        page.goto(address)
        is_sound(page, name)


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_adjustment_is_sound_in_every_look_and_accepted_by_one_press(
    session: Any,
    browse: Callable[..., Page],
    is_sound: Any,
    surgery: Any,
    run_command: Any,
    language: str,
) -> None:
    _gas(session)
    assert (
        run_command("balance", "lock", "--until", "2026-01-31", "--reason", "Reported").exit_code
        == 0
    )
    surgery.execute(
        "UPDATE monthly_customer_balances SET closing_balance = closing_balance + 70"
        " WHERE year_month = '2026-01'"
    )
    page = browse("finance", language=language)
    page.goto("/gas/customers/G-1/adjustment")
    expect(page.locator("main")).to_contain_text("70")
    is_sound(page, "gas-adjustment")
    page.locator("main form button[type=submit]").click()
    page.wait_for_url("**/gas/customers/G-1/statement")
    session.rollback()
    [taken_back] = session.scalars(select(Deposit.amount).where(Deposit.amount < 0))
    assert taken_back == -70
