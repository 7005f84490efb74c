"""Orders in a real browser: the total is updated on every keystroke, and no input is lost."""

from collections.abc import Callable
from contextlib import suppress
from datetime import date
from typing import Any

import pytest
from playwright.sync_api import Error, Page, expect

from backoffice.orders.models import Order
from tests.browser.hands import hold_the_first, paste
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory

Browse = Callable[..., Page]


@pytest.fixture
def order(session: Any) -> Order:
    """An order of Alfreds Futterkiste: two package lines, freight, and a promo as one amount."""
    made = OrderFactory(
        number="SO-1",
        customer=CustomerFactory(code="ALFKI", name="Alfreds Futterkiste"),
        account_manager=AccountManagerFactory(name="Nancy Davolio"),
        total_price=0,
        additions=0,
        promo=50_000,
        reductions=0,
        lines=[
            ("package", "Queso Cabrales", "12", "140000"),
            ("package", "Mozzarella di Giovanni", "5", "348000.5"),
            ("addition", "Freight", "1", "323800"),
        ],
    )
    session.commit()
    return made


def total(page: Page) -> Any:
    return page.locator("#grand_total .figure-big")


def stored(session: Any, order: Order) -> Order:
    session.rollback()
    session.refresh(order)
    return order


# The total is updated, saving keeps it


def test_the_total_follows_what_is_typed_and_is_the_same_after_saving_and_reloading(
    browse: Browse, session: Any, order: Order
) -> None:
    page = browse("finance")
    page.goto("/orders")
    page.get_by_role("link", name="SO-1").click()
    page.get_by_role("link", name="Edit").click()
    expect(total(page)).to_have_text("Rp 3,693,802.50")
    page.get_by_label("Promo").fill("93,802.50")
    expect(total(page)).to_have_text("Rp 3,650,000.00")
    page.get_by_label("Quantity, line 1").fill("10")
    expect(page.locator("#lines-0-amount")).to_have_text("1,400,000.00")
    expect(page.locator("#total_price")).to_have_text("3,140,002.50")
    expect(total(page)).to_have_text("Rp 3,370,000.00")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/orders/SO-1")
    expect(page.locator(".record-total")).to_contain_text("Rp 3,370,000.00")
    page.reload()
    expect(page.locator(".record-total")).to_contain_text("Rp 3,370,000.00")
    assert stored(session, order).grand_total == 3_370_000


def test_changing_a_promo_takes_no_click(browse: Browse, session: Any, order: Order) -> None:
    page = browse("finance")
    page.goto("/orders")
    page.keyboard.press("/")
    page.keyboard.type("SO-1")
    page.keyboard.press("Enter")
    page.wait_for_url("**/orders/SO-1")
    page.keyboard.press("e")
    page.wait_for_url("**/edit")
    expect(page.get_by_label("Promo")).to_be_focused()
    page.keyboard.type("3802.5")
    expect(total(page)).to_have_text("Rp 3,740,000.00")
    page.keyboard.press("Control+s")
    page.wait_for_url("**/orders/SO-1")
    assert stored(session, order).grand_total == 3_740_000


def test_a_slow_earlier_answer_never_wins(browse: Browse, order: Order) -> None:
    page = browse("finance")
    page.goto("/orders/SO-1/edit")
    held = hold_the_first(page, "**/orders/preview")
    with page.expect_request("**/orders/preview"):
        page.get_by_label("Promo").fill("111")
    page.get_by_label("Promo").fill("3,802.50")
    expect(total(page)).to_have_text("Rp 3,740,000.00")
    answer = page.request.post(
        "/orders/preview",
        form={
            "promo": "111",
            "csrf_token": page.locator('meta[name="csrf-token"]').get_attribute("content"),
        },
    )
    with suppress(Error):  # the browser may have cancelled that request, which is as good
        held[0].fulfill(status=200, content_type="text/html", body=answer.text())
    page.wait_for_timeout(300)
    expect(total(page)).to_have_text("Rp 3,740,000.00")


def test_what_is_typed_counts_where_the_next_field_ends_as_it_was(
    browse: Browse, order: Order
) -> None:
    page = browse("finance")
    page.goto("/orders/SO-1/edit")
    page.get_by_label("Promo").fill("93,802.50")
    expect(total(page)).to_have_text("Rp 3,650,000.00")
    page.evaluate(
        """fields => {
            for (const [id, value] of fields) {
                const input = document.getElementById(id);
                input.value = value;
                input.dispatchEvent(new Event("input", {bubbles: true}));
            }
        }""",
        [["lines-0-quantity", "10"], ["promo", "93,802.5"], ["promo", "93,802.50"]],
    )  # all within the debounce time
    expect(page.locator("#lines-0-amount")).to_have_text("1,400,000.00")
    expect(total(page)).to_have_text("Rp 3,370,000.00")


def test_inputs_keep_what_is_typed_while_answers_come_in(browse: Browse, order: Order) -> None:
    page = browse("finance")
    page.goto("/orders/SO-1/edit")
    promo = page.get_by_label("Promo")
    promo.fill("")
    promo.press_sequentially("1234567", delay=90)
    expect(promo).to_have_value("1234567")
    expect(promo).to_be_focused()
    expect(total(page)).to_have_text("Rp 2,509,235.50")


@pytest.mark.parametrize(
    ("number_format", "typed", "shown"),
    [
        ("en", "1,000,000.50", "Rp 2,743,802.00"),
        ("id", "1.000.000,50", "Rp 2.743.802,00"),
        ("plain", "1000000.50", "Rp 2743802.00"),
    ],
)
def test_both_number_formats_are_typed_and_shown(
    browse: Browse, session: Any, order: Order, number_format: str, typed: str, shown: str
) -> None:
    page = browse("finance", number_format=number_format)
    page.goto("/orders/SO-1/edit")
    page.get_by_label("Promo").fill(typed)
    expect(total(page)).to_have_text(shown)
    page.keyboard.press("Control+s")
    page.wait_for_url("**/orders/SO-1")
    expect(page.locator(".record-total")).to_contain_text(shown)
    assert stored(session, order).grand_total == 2_743_802


def test_a_doubtful_number_is_asked_about_not_guessed(browse: Browse, order: Order) -> None:
    page = browse("finance")
    page.goto("/orders/SO-1/edit")
    page.get_by_label("Promo").fill("1.500")
    expect(total(page)).to_have_text("—")
    expect(page.locator("#grand_total")).to_contain_text("1,500 or 1.5")


# Lines


def test_enter_goes_down_and_makes_a_new_line_at_the_end(
    browse: Browse, session: Any, order: Order
) -> None:
    page = browse("finance")
    page.goto("/orders/SO-1/edit")
    page.get_by_label("Quantity, line 1").press("Enter")
    expect(page.get_by_label("Quantity, line 2")).to_be_focused()
    page.get_by_label("Quantity, line 2").press("Enter")
    new = page.locator("#lines-3-quantity")
    expect(new).to_be_focused()
    page.keyboard.type("2")
    page.keyboard.press("Tab")
    page.keyboard.type("100000")
    expect(page.locator("#lines-3-amount")).to_have_text("200,000.00")
    expect(total(page)).to_have_text("Rp 3,893,802.50")
    page.keyboard.press("Shift+Enter")
    expect(page.get_by_label("Unit price, line 2")).to_be_focused()
    page.keyboard.press("Control+s")
    page.wait_for_url("**/orders/SO-1")
    assert [line.quantity for line in stored(session, order).lines][-2:] == [
        2,
        1,
    ] or order.grand_total == 3_893_802.5


def test_a_block_of_a_spreadsheet_is_pasted_into_the_lines(
    browse: Browse, session: Any, order: Order
) -> None:
    page = browse("finance")
    page.goto("/orders/SO-1/edit")
    paste(page, "#lines-1-description", "Tea\t2\t1,000.50\nCups\t10\t250\nSpoons\t1\tabc\n")
    expect(page.locator("#lines-1-amount")).to_have_text("2,001.00")
    expect(page.locator("#lines-4-unit_price")).to_have_attribute("aria-invalid", "true")
    expect(total(page)).to_have_text("—")
    page.locator("#lines-4-unit_price").fill("7")
    expect(total(page)).to_have_text("Rp 1,958,308.00")
    expect(page.locator("#lines-0-description")).to_have_value("Queso Cabrales")
    page.keyboard.press("Control+s")
    page.wait_for_url("**/orders/SO-1")
    assert stored(session, order).grand_total == 1_958_308


def test_removing_a_line_lowers_the_total(browse: Browse, order: Order) -> None:
    page = browse("finance")
    page.goto("/orders/SO-1/edit")
    page.get_by_role("button", name="Remove line 1").click()
    expect(total(page)).to_have_text("Rp 2,013,802.50")
    expect(page.locator("#lines-0")).to_have_count(0)


def test_a_component_is_entered_as_lines_and_as_one_amount_again(
    browse: Browse, order: Order
) -> None:
    page = browse("finance")
    page.goto("/orders/SO-1/edit")
    promo = page.locator("#component-promo")
    promo.get_by_role("button", name="Enter as lines").click()
    expect(promo.get_by_label("Unit price")).to_have_value("50,000.00")
    expect(total(page)).to_have_text("Rp 3,693,802.50")
    promo.get_by_role("button", name="Add a line").click()
    expect(page.locator("#lines-4-description")).to_be_focused()
    page.keyboard.type("More off")
    page.locator("#lines-4-quantity").fill("1")
    page.locator("#lines-4-unit_price").fill("802.5")
    expect(total(page)).to_have_text("Rp 3,693,000.00")
    promo.get_by_role("button", name="Enter one amount").click()
    expect(page.locator("input#promo")).to_have_value("50,802.50")
    expect(total(page)).to_have_text("Rp 3,693,000.00")


# Refusals, conflicts, leaving


def test_all_errors_come_at_once_with_the_focus_on_their_summary(
    browse: Browse, order: Order, axe: Any
) -> None:
    page = browse("finance")
    page.goto("/orders/SO-1/edit")
    page.get_by_label("Customer").fill("nobody")
    page.get_by_label("Promo").fill("-5")
    page.get_by_label("Quantity, line 2").fill("x")
    page.keyboard.press("Control+s")
    summary = page.locator("[data-error-summary]")
    expect(summary).to_be_focused()
    expect(summary.get_by_role("listitem")).to_have_count(3)
    expect(page.get_by_label("Promo")).to_have_value("-5")
    axe(page)
    summary.get_by_role("link", name="Customer").click()
    expect(page.get_by_label("Customer")).to_be_focused()
    page.get_by_label("Customer").fill("ALFKI")
    page.get_by_label("Promo").fill("0")
    page.get_by_label("Quantity, line 2").fill("5")
    page.keyboard.press("Control+s")
    page.wait_for_url("**/orders/SO-1")


def test_two_editors_see_what_the_other_changed_and_lose_nothing(
    browse: Browse, session: Any, order: Order, axe: Any, screenshot: Any
) -> None:
    first, second = browse("finance"), browse("finance")
    for page in (first, second):
        page.goto("/orders/SO-1/edit")
    first.get_by_label("Promo").fill("0")
    first.get_by_label("Quantity, line 1").fill("1")
    first.keyboard.press("Control+s")
    first.wait_for_url("**/orders/SO-1")
    second.get_by_label("Promo").fill("1")
    second.get_by_label("Reductions").fill("2")
    second.keyboard.press("Control+s")
    conflict = second.locator(".conflict")
    expect(conflict).to_be_focused()
    expect(conflict).to_contain_text("saved this at")
    expect(second.get_by_label("Promo")).to_have_value("1.00")
    expect(second.get_by_label("Quantity, line 1")).to_have_value("1")
    axe(second)
    screenshot(second, "conflict")
    second.keyboard.press("Control+s")
    second.wait_for_url("**/orders/SO-1")
    saved = stored(session, order)
    assert (saved.promo, saved.reductions, saved.lines[0].quantity, saved.version) == (1, 2, 1, 3)


def test_leaving_with_unsaved_changes_asks_first(browse: Browse, order: Order) -> None:
    page = browse("finance")
    page.goto("/orders/SO-1/edit")
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.get_by_role("link", name="Customers").first.click(no_wait_after=True)
    page.wait_for_url("**/customers")
    assert asked == []
    page.goto("/orders/SO-1/edit")
    page.get_by_label("Promo").fill("7")
    with page.expect_event("dialog"):
        page.get_by_role("link", name="Customers").first.click(no_wait_after=True)
    assert asked == ["beforeunload"]
    assert page.url.endswith("/orders/SO-1/edit")


def test_a_double_click_on_save_makes_one_order(browse: Browse, session: Any, order: Order) -> None:
    page = browse("finance")
    page.goto("/orders/new")
    page.get_by_label("Customer").fill("ALFKI")
    page.get_by_label("Account manager").select_option("Nancy Davolio")
    page.get_by_label("Package price").fill("46000000")
    page.get_by_role("button", name="Save").dblclick()
    page.wait_for_url("**/orders/SO-2")
    session.rollback()
    assert session.query(Order).count() == 2


def test_a_lost_connection_keeps_the_input(browse: Browse, order: Order) -> None:
    page = browse("finance")
    page.goto("/orders/SO-1/edit")
    page.get_by_label("Promo").fill("7")
    page.route("**/orders/**", lambda route: route.abort())
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#toasts")).to_contain_text("cannot be reached")
    expect(page.get_by_label("Promo")).to_have_value("7")


def test_the_form_works_without_javascript(
    chromium: Any, browse: Browse, session: Any, order: Order
) -> None:
    page = browse("finance", java_script_enabled=False)
    page.goto("/orders/SO-1/edit")
    page.get_by_label("Promo").fill("93802.50")
    page.get_by_role("button", name="Recalculate").click()
    expect(total(page)).to_have_text("Rp 3,650,000.00")
    page.locator("#component-package").get_by_role("button", name="Add a line").click()
    page.locator("#lines-3-quantity").fill("1")
    page.locator("#lines-3-unit_price").fill("350000")
    page.get_by_role("button", name="Remove line 1").click()
    page.locator("#lines-3-unit_price").press("Enter")
    page.wait_for_url("**/orders/SO-1")
    assert stored(session, order).grand_total == 2_320_000


# List


def test_the_list_is_filtered_while_typing_and_the_address_follows(
    browse: Browse, session: Any, order: Order
) -> None:
    for _ in range(3):
        OrderFactory()
    session.commit()
    page = browse("finance")
    page.goto("/orders")
    expect(page.locator("tbody tr")).to_have_count(4)
    page.get_by_label("Search").fill("futter")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tfoot")).to_contain_text("3,693,802.50")
    assert "q=futter" in page.url
    page.get_by_role("link", name="SO-1").click()
    page.wait_for_url("**/orders/SO-1?q=futter")
    page.go_back()
    expect(page.get_by_label("Search")).to_have_value("futter")
    expect(page.locator("tbody tr")).to_have_count(1)


def test_j_and_k_walk_the_list_and_enter_opens(browse: Browse, session: Any, order: Order) -> None:
    OrderFactory(number="SO-0", order_date=date(2020, 1, 1))
    session.commit()
    page = browse("finance")
    page.goto("/orders")
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="SO-1")).to_be_focused()
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="SO-0")).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url("**/orders/SO-1")


# Every screen, every look


def test_every_order_screen_is_sound_in_every_look(order: Order, every_look: Any) -> None:
    line_id = order.lines[0].id
    screens = {
        "orders": "/orders",
        "orders-nothing": "/orders?q=zzz",
        "order": "/orders/SO-1",
        "order-edit": "/orders/SO-1/edit",
        "order-new": "/orders/new",
        "order-calculation": "/orders/SO-1/calculation",
        "order-component": "/orders/SO-1/calculation/total_price",
        "order-entered": "/orders/SO-1/calculation/promo",
        "order-line": f"/orders/SO-1/calculation/amount/{line_id}",
        "order-history": "/orders/SO-1/history",
        "order-delete": "/orders/SO-1/delete",
    }
    every_look(screens)


def test_lines_that_one_amount_replaces_are_kept_until_the_save(
    session: Any, browse: Browse, axe: Callable[..., None]
) -> None:
    lines = [("package", f"Line {n}", "1", "10") for n in range(1, 26)]
    OrderFactory(number="K-1", lines=lines, total_price=0, additions=0, promo=0, reductions=0)
    session.commit()
    page = browse("finance", width="narrow", theme="dark")
    page.goto("/orders/K-1/edit")
    package = page.locator("#component-package")
    expect(package.locator("tbody tr")).to_have_count(25)
    package.get_by_role("button", name="Enter one amount").click()
    expect(package.get_by_text("When you save, 25 lines go: Rp 250.00.")).to_be_visible()
    expect(package.locator("#total_price")).to_have_value("250.00")
    axe(page)
    assert page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )
    package.get_by_role("button", name="Bring the lines back").click()
    expect(package.locator("tbody tr")).to_have_count(25)
    expect(package.get_by_role("textbox", name="Description, line 25")).to_have_value("Line 25")
    page.get_by_role("button", name="Save").last.click()
    page.wait_for_url("**/orders/K-1")
    expect(page.get_by_text("Line 25")).to_be_visible()
