"""Products and prices in a real browser: a price change before it is saved, and how the screens look."""

from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Error, Page, expect

from backoffice.orders.models import Order
from tests.browser.hands import hold_the_first
from tests.browser.price_list import difference, lines_of, orders_of_tea

Browse = Callable[..., Page]


@pytest.fixture
def orders(session: Any) -> dict[str, Order]:
    """Tea at 10, and open orders of it: two plain, one at a negotiated price, one that would become negative."""
    return orders_of_tea(session)


# The pricing screen


def test_a_price_is_changed_with_a_preview_in_two_clicks_and_typing(
    browse: Browse, session: Any, orders: dict[str, Order]
) -> None:
    page = browse("finance")
    page.goto("/orders")
    page.get_by_role("link", name="Pricing").click()
    expect(page.get_by_label("Product")).to_be_focused()
    page.keyboard.type("TEA")
    page.get_by_label("In force from").fill("2026-03-01")
    page.get_by_label("New unit price").fill("9,800")
    expect(difference(page)).to_have_text("-Rp 2,000.00")
    expect(page.locator(".effects-table tbody tr")).to_have_count(4)
    expect(page.get_by_label("Change order SO-3")).not_to_be_checked()
    expect(page.get_by_label("Change order SO-4")).to_be_disabled()
    expect(page.locator(".effects-table")).to_contain_text("The grand total cannot be negative")
    page.get_by_role("button", name="Store the price and change them").click()
    page.wait_for_url("**/pricing/changes/*")
    expect(page.locator(".effects-table tfoot")).to_contain_text("98,000.00")
    page.get_by_role("link", name="SO-1").click()
    expect(page.locator(".record-total")).to_contain_text("Rp 49,000.00")
    page.get_by_role("link", name="History").click()
    expect(page.locator(".history")).to_contain_text("Price change of Green tea from 1 Mar 2026")
    session.rollback()
    prices = {n: lines_of(session, order)[0].unit_price for n, order in orders.items()}
    assert prices == {"SO-1": 9800, "SO-2": 9800, "SO-3": 9500, "SO-4": 10000}


def test_enter_shows_what_changes_and_applies_nothing(
    browse: Browse, session: Any, orders: dict[str, Order]
) -> None:
    page = browse("finance")
    page.goto("/pricing?product=TEA&effective_from=2026-03-01&unit_price=11000")
    expect(difference(page)).to_have_text("+Rp 15,000.00")
    with page.expect_response("**/pricing/preview"):
        page.get_by_label("New unit price").press("Enter")
    page.get_by_label("New unit price").fill("12,000")
    expect(difference(page)).to_have_text("+Rp 30,000.00")
    assert page.url.endswith("unit_price=11000")
    assert lines_of(session, orders["SO-1"])[0].unit_price == 10000


def test_orders_are_taken_out_and_put_in_and_the_total_follows(
    browse: Browse, session: Any, orders: dict[str, Order]
) -> None:
    page = browse("finance")
    page.goto("/pricing?product=TEA&effective_from=2026-03-01&unit_price=11000")
    expect(difference(page)).to_have_text("+Rp 15,000.00")
    page.get_by_label("Change order SO-1").uncheck()
    expect(difference(page)).to_have_text("+Rp 10,000.00")
    page.get_by_label("Change order SO-3").check()
    expect(difference(page)).to_have_text("+Rp 17,500.00")
    page.get_by_label("New unit price").fill("12,000")
    expect(difference(page)).to_have_text("+Rp 32,500.00")
    expect(page.get_by_label("Change order SO-1")).not_to_be_checked()
    expect(page.get_by_label("Change order SO-3")).to_be_checked()
    page.get_by_role("button", name="Choose none").click()
    expect(difference(page)).to_have_text("Rp 0.00")
    page.get_by_role("button", name="Choose all").click()
    expect(difference(page)).to_have_text("+Rp 42,500.00")
    page.get_by_label("Change order SO-4").uncheck()
    expect(difference(page)).to_have_text("+Rp 32,500.00")
    page.keyboard.press("Control+s")
    page.wait_for_url("**/pricing/changes/*")
    prices = {n: lines_of(session, order)[0].unit_price for n, order in orders.items()}
    assert prices == {"SO-1": 12000, "SO-2": 12000, "SO-3": 12000, "SO-4": 10000}


def test_a_slow_earlier_preview_never_wins(browse: Browse, orders: dict[str, Order]) -> None:
    page = browse("finance")
    page.goto("/pricing?product=TEA&effective_from=2026-03-01")
    held = hold_the_first(page, "**/pricing/preview")
    with page.expect_request("**/pricing/preview"):
        page.get_by_label("New unit price").fill("11,000")
    page.get_by_label("New unit price").fill("12,000")
    expect(difference(page)).to_have_text("+Rp 30,000.00")
    fields = {
        "product": "TEA",
        "effective_from": "2026-03-01",
        "unit_price": "11,000",
        "csrf_token": page.locator('meta[name="csrf-token"]').get_attribute("content"),
    }
    late = page.request.post("/pricing/preview", form=fields, headers={"HX-Request": "true"})
    assert "15,000.00" in late.text()
    with suppress(Error):  # the browser may have cancelled that request, which is as good
        held[0].fulfill(status=200, content_type="text/html", body=late.text())
    page.get_by_label("Change order SO-1").uncheck()
    expect(difference(page)).to_have_text("+Rp 20,000.00")
    expect(page.locator("input[name=previewed]")).to_have_value("1 2026-03-01 12000.0000")


def test_a_box_that_is_unticked_while_a_preview_is_on_its_way_stays_so(
    browse: Browse, orders: dict[str, Order]
) -> None:
    page = browse("finance")
    page.goto("/pricing?product=TEA&effective_from=2026-03-01&unit_price=11000")
    expect(difference(page)).to_have_text("+Rp 15,000.00")
    held = hold_the_first(page, "**/pricing/preview")
    with page.expect_request("**/pricing/preview"):
        page.get_by_label("New unit price").fill("12,000")
    page.get_by_label("Change order SO-1").uncheck()
    expect(difference(page)).to_have_text("+Rp 20,000.00")
    with suppress(Error):  # the browser may have cancelled that request
        held[0].continue_()
    page.get_by_label("Change order SO-3").check()
    expect(difference(page)).to_have_text("+Rp 32,500.00")
    expect(page.get_by_label("Change order SO-1")).not_to_be_checked()


def test_what_has_not_been_shown_is_not_applied(
    browse: Browse, session: Any, orders: dict[str, Order]
) -> None:
    page = browse("finance")
    page.goto("/pricing?product=TEA&effective_from=2026-03-01&unit_price=11000")
    expect(difference(page)).to_have_text("+Rp 15,000.00")
    page.route("**/pricing/preview", lambda route: route.abort())
    page.get_by_label("New unit price").fill("12,000")
    page.keyboard.press("Control+s")
    expect(page.get_by_role("alert")).to_contain_text("had not been shown to you yet")
    expect(difference(page)).to_have_text("+Rp 30,000.00")
    assert lines_of(session, orders["SO-1"])[0].unit_price == 10000
    page.keyboard.press("Control+s")
    page.wait_for_url("**/pricing/changes/*")
    assert lines_of(session, orders["SO-1"])[0].unit_price == 12000


def test_an_order_that_was_saved_meanwhile_is_left_and_the_way_back_is_offered(
    browse: Browse, session: Any, orders: dict[str, Order]
) -> None:
    page = browse("finance")
    page.goto("/pricing?product=TEA&effective_from=2026-03-01&unit_price=11000")
    expect(difference(page)).to_have_text("+Rp 15,000.00")
    orders["SO-2"].lines[0].quantity = Decimal(7)
    orders["SO-2"].version += 1
    session.commit()
    page.get_by_role("button", name="Store the price and change them").click()
    page.wait_for_url("**/pricing/changes/*")
    expect(page.locator(".left-orders")).to_contain_text("saved by a user after it was shown")
    page.get_by_role("link", name="Back to 10,000.00").click()
    expect(page.get_by_label("New unit price")).to_have_value("10,000.00")
    expect(page.get_by_label("Change order SO-1")).to_be_checked()
    expect(difference(page)).to_have_text("-Rp 10,000.00")


def test_without_a_single_order_the_day_of_the_oldest_one_is_offered(
    browse: Browse, orders: dict[str, Order]
) -> None:
    page = browse("finance")
    page.goto("/pricing?product=TEA&effective_from=2026-12-01&unit_price=11000")
    expect(page.locator("#effects")).to_contain_text("No open order changes")
    page.get_by_role("link", name="Change the price from that day on").click()
    expect(page.get_by_label("In force from")).to_have_value("2026-03-02")
    expect(difference(page)).to_have_text("+Rp 15,000.00")


def test_without_javascript_a_price_is_shown_and_then_changed(
    browse: Browse, session: Any, orders: dict[str, Order]
) -> None:
    page = browse("finance", java_script_enabled=False)
    page.goto("/pricing?product=TEA")
    page.get_by_label("In force from").fill("2026-03-01")
    page.get_by_label("New unit price").fill("11,000")
    page.get_by_role("button", name="Show what changes").click()
    expect(difference(page)).to_have_text("+Rp 15,000.00")
    page.get_by_label("Change order SO-2").uncheck()
    page.get_by_role("button", name="Store the price and change them").click()
    expect(page.get_by_text("The new price is stored.")).to_be_visible()
    prices = {n: lines_of(session, order)[0].unit_price for n, order in orders.items()}
    assert prices == {"SO-1": 11000, "SO-2": 10000, "SO-3": 9500, "SO-4": 11000}


# How it looks


def test_the_screens_are_sound_in_every_look(
    browse: Browse,
    orders: dict[str, Order],
    is_sound: Callable[[Page, str], None],
    every_look: Callable[..., None],
) -> None:
    price = "/pricing?product=TEA&effective_from=2026-03-01&unit_price=9800"
    screens = {
        "products": "/products",
        "product": "/products/TEA",
        "product-new": "/products/new",
        "pricing-empty": "/pricing",
        "pricing": price,
        "order-with-products": "/orders/SO-1/edit",
    }
    every_look(screens)
    page = browse("finance", language="en")
    page.goto(price)
    page.locator("#apply-price").click()
    page.wait_for_url("**/pricing/changes/*")
    address = page.url
    is_sound(page, "price-change")
    page = browse("finance", language="id")
    page.goto(address)
    is_sound(page, "price-change")


def test_a_new_product_is_entered_with_its_price(browse: Browse, orders: dict[str, Order]) -> None:
    page = browse("finance")
    page.goto("/products")
    page.get_by_role("link", name="New product").first.click()
    page.get_by_label("Code").fill("TEA")
    page.get_by_label("Name").fill("Black tea")
    page.get_by_label("Unit price").fill("8,500")
    page.keyboard.press("Control+s")
    expect(page.get_by_role("alert")).to_contain_text("There is already a product TEA")
    page.get_by_label("Code").fill("BLACK")
    page.keyboard.press("Control+s")
    page.wait_for_url("**/products/BLACK")
    expect(page.locator(".record-total")).to_contain_text("Rp 8,500.00")
