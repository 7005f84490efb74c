"""Products and prices in a real browser: choosing by keyboard, and a price change before it is saved."""

from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Error, Locator, Page, Route, expect

from backoffice.orders import editing
from backoffice.orders.models import Order, OrderLine
from backoffice.pricing import views
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory
from tests.factories.products import ProductFactory

Browse = Callable[..., Page]

LOOKS = [
    (language, theme, width)
    for language in ("en", "id")
    for theme in ("light", "dark")
    for width in ("wide", "narrow")
]


@pytest.fixture
def orders(session: Any) -> dict[str, Order]:
    """Tea at 10, and open orders of it: two plain, one at a negotiated price, one that would be in the red."""
    tea = ProductFactory(code="TEA", name="Green tea", prices={"2026-01-01": "10000"})
    ProductFactory(code="CUPS", name="Cups and saucers", prices={"2026-01-01": "2500"})
    ProductFactory(code="OLD", name="Old stock", is_active=False, prices={"2026-01-01": "1"})
    customer = CustomerFactory(code="ALFKI", name="Alfreds Futterkiste")
    manager = AccountManagerFactory(name="Nancy Davolio")
    facts = {
        "SO-1": ("10000", 0),
        "SO-2": ("10000", 0),
        "SO-3": ("9500", 0),
        "SO-4": ("10000", 50_000),
    }
    made = {}
    for number, (price, promo) in facts.items():
        made[number] = OrderFactory(
            number=number,
            customer=customer,
            account_manager=manager,
            total_price=0,
            additions=0,
            promo=promo,
            reductions=0,
            lines=[("package", "Green tea", "5", price)],
        )
        made[number].lines[0].product_id = tea.id
    session.commit()
    return made


def total(page: Page) -> Locator:
    return page.locator("#grand_total .figure-big")


def difference(page: Page) -> Locator:
    return page.locator("#chosen-total .figure-big")


def lines_of(session: Any, order: Order) -> list[OrderLine]:
    session.rollback()
    session.refresh(order)
    return list(order.lines)


# Choosing a product in the form


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
    expect(page.locator("#lines-0-unit_price")).to_have_value("10,000.00")


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


def paste(page: Page, selector: str, block: str) -> None:
    """Paste `block` into the cell, as a spreadsheet's clipboard would."""
    page.locator(selector).focus()
    page.evaluate(
        """([selector, block]) => {
            const data = new DataTransfer();
            data.setData('text/plain', block);
            const event = new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true});
            document.querySelector(selector).dispatchEvent(event);
        }""",
        [selector, block],
    )


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
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route("**/pricing/preview", hold_the_first)
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
    with suppress(Error):  # the browser has given that request up already: the better outcome
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
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route("**/pricing/preview", hold_the_first)
    with page.expect_request("**/pricing/preview"):
        page.get_by_label("New unit price").fill("12,000")
    page.get_by_label("Change order SO-1").uncheck()
    expect(difference(page)).to_have_text("+Rp 20,000.00")
    with suppress(Error):  # the browser has given that request up already
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
    expect(page.locator(".left-orders")).to_contain_text("saved by somebody after it was shown")
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


# How it looks


@pytest.mark.parametrize(("language", "theme", "width"), LOOKS)
def test_the_screens_are_accessible_in_every_look(
    browse: Browse,
    orders: dict[str, Order],
    axe: Callable[[Page], None],
    screenshot: Callable[[Page, str], None],
    language: str,
    theme: str,
    width: str,
) -> None:
    page = browse("finance", language=language, theme=theme, width=width)
    price = "/pricing?product=TEA&effective_from=2026-03-01&unit_price=9800"
    screens = {
        "products": "/products",
        "product": "/products/TEA",
        "product-new": "/products/new",
        "pricing-empty": "/pricing",
        "pricing": price,
        "order-with-products": "/orders/SO-1/edit",
    }
    for name, path in screens.items():
        page.goto(path)
        axe(page)
        screenshot(page, f"{name}-{language}-{theme}-{width}")
    page.goto(price)
    page.locator("#apply-price").click()
    page.wait_for_url("**/pricing/changes/*")
    axe(page)
    screenshot(page, f"price-change-{language}-{theme}-{width}")


def test_nothing_is_wider_than_a_narrow_screen(browse: Browse, orders: dict[str, Order]) -> None:
    page = browse("finance", width="narrow")
    price = "/pricing?product=TEA&effective_from=2026-03-01&unit_price=9800"
    for path in ("/products", "/products/TEA", "/products/new", price, "/orders/SO-1/edit"):
        page.goto(path)
        across = page.evaluate("document.documentElement.scrollWidth")
        assert across <= 390, path


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
