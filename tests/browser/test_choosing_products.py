"""Choosing products in an order's form, in a real browser: by keyboard, by pasting, without JavaScript."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from backoffice.orders.editing import forms as editing
from backoffice.orders.models import Order
from backoffice.pricing import views
from tests.browser.hands import paste
from tests.browser.price_list import lines_of, orders_of_tea, total

Browse = Callable[..., Page]


@pytest.fixture
def orders(session: Any) -> dict[str, Order]:
    """Tea at 10, and open orders of it: two plain, one at a negotiated price, one that would become negative."""
    return orders_of_tea(session)


def test_a_product_is_chosen_by_keyboard_and_fills_description_and_price(
    browse: Browse, session: Any, orders: dict[str, Order]
) -> None:
    page = browse("finance")
    page.goto("/orders/SO-1/edit")
    page.get_by_role("button", name="Add a line").first.click()
    expect(page.locator("#lines-1-product")).to_be_focused()
    page.keyboard.type("cups")
    page.keyboard.press("Tab")
    expect(page.locator("#lines-1-description")).to_have_value("Cups and saucers")
    expect(page.locator("#lines-1-unit_price")).to_have_value("2,500.00")
    expect(page.locator("#lines-1-product")).to_have_value("CUPS")
    page.keyboard.press("Tab")
    expect(page.locator("#lines-1-quantity")).to_be_focused()
    page.keyboard.type("4")
    expect(page.locator("#lines-1-amount")).to_have_text("10,000.00")
    expect(total(page)).to_have_text("Rp 60,000.00")
    page.keyboard.press("Control+s")
    page.wait_for_url("**/orders/SO-1")
    expect(page.get_by_role("link", name="CUPS", exact=True)).to_be_visible()
    line = lines_of(session, orders["SO-1"])[1]
    assert (line.product.code, line.unit_price, line.quantity) == ("CUPS", 2500, 4)


def test_what_is_typed_over_it_stays(browse: Browse, orders: dict[str, Order]) -> None:
    page = browse("finance")
    page.goto("/orders/SO-1/edit")
    page.locator("#lines-0-unit_price").fill("9000")
    expect(total(page)).to_have_text("Rp 45,000.00")
    page.locator("#lines-0-product").fill("CUPS")
    page.keyboard.press("Tab")
    expect(page.locator("#lines-0-description")).to_have_value("Cups and saucers")
    expect(page.locator("#lines-0-unit_price")).to_have_value("9,000")
    expect(total(page)).to_have_text("Rp 45,000.00")


def test_what_is_typed_before_the_answer_comes_stays(
    browse: Browse, orders: dict[str, Order]
) -> None:
    page = browse("finance")
    page.goto("/orders/SO-1/edit")
    page.get_by_role("button", name="Add a line").first.click()
    expect(page.locator("#lines-1-product")).to_be_focused()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/orders/SO-1/edit?do=product*", hold)
    with page.expect_request("**/orders/SO-1/edit?do=product*"):
        page.keyboard.type("CUPS")
        page.keyboard.press("Tab")
    page.keyboard.type("Six cups")
    held[0].continue_()
    expect(page.locator("#lines-1-unit_price")).to_have_value("2,500.00")
    expect(page.locator("#lines-1-description")).to_have_value("Six cups")


def test_a_product_that_cannot_be_chosen_says_so_beside_its_line(
    browse: Browse, session: Any, orders: dict[str, Order]
) -> None:
    page = browse("finance")
    page.goto("/orders/SO-1/edit")
    product, note = page.locator("#lines-0-product"), page.locator("#lines-0-note")
    product.fill("coffee")
    product.press("Tab")
    expect(note).to_have_text("No product is called that. Type a code or a part of the name.")
    product.fill("OLD")
    product.press("Tab")
    expect(note).to_contain_text("OLD is not sold any more")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("OLD is not sold any more")
    product.fill("TEA")
    product.press("Tab")
    page.locator("#order_date").fill("2025-12-31")
    product.fill("CUPS")
    product.press("Tab")
    expect(note).to_have_text("CUPS has no price on 31 Dec 2025. Enter one.")
    price = page.locator("#lines-0-unit_price")
    expect(price).to_have_value("")  # the price of tea is none of cups


def test_a_long_price_list_follows_what_is_typed(
    browse: Browse, orders: dict[str, Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(editing, "OFFERED", 1)
    monkeypatch.setattr(views, "OFFERED", 1)
    page = browse("finance")
    page.goto("/orders/SO-1/edit")
    page.locator("#lines-0-product").fill("gree")
    expect(page.locator("#product-options-package option")).to_have_text("Green tea")
    page.locator("#lines-0-product").fill("sauc")
    expect(page.locator("#product-options-package option")).to_have_text("Cups and saucers")
    page.goto("/pricing")
    page.get_by_label("Product").fill("sauc")
    expect(page.locator("#product-options option")).to_have_attribute("value", "CUPS")


def test_a_block_of_a_spreadsheet_begins_at_the_description_or_at_the_product(
    browse: Browse, session: Any, orders: dict[str, Order]
) -> None:
    page = browse("finance")
    page.goto("/orders/SO-1/edit")
    paste(page, "#lines-0-description", "Matcha\t2\t12,000\nSpoons\t1\t500\n")
    expect(page.locator("#lines-1-description")).to_have_value("Spoons")
    expect(total(page)).to_have_text("Rp 24,500.00")
    paste(page, "#lines-1-product", "cups\t\t3\nTEA\tTea, cold\t1\t8,000\n")
    expect(page.locator("#lines-2-unit_price")).to_have_value("8,000")
    expect(page.locator("#lines-1-description")).to_have_value("Cups and saucers")
    expect(total(page)).to_have_text("Rp 33,500.00")
    page.keyboard.press("Control+s")
    page.wait_for_url("**/orders/SO-1")
    found = [(line.product.code, line.description) for line in lines_of(session, orders["SO-1"])]
    assert found == [("TEA", "Matcha"), ("CUPS", "Cups and saucers"), ("TEA", "Tea, cold")]


def test_without_javascript_a_line_is_filled_by_its_button(
    browse: Browse, orders: dict[str, Order]
) -> None:
    page = browse("finance", java_script_enabled=False)
    page.goto("/orders/SO-1/edit")
    page.get_by_role("button", name="Add a line").first.click()
    page.locator("#lines-1-product").fill("CUPS")
    page.get_by_role("button", name="Fill line 2 from its product").click()
    expect(page.locator("#lines-1-description")).to_have_value("Cups and saucers")
    expect(page.locator("#lines-1-unit_price")).to_have_value("2,500.00")
