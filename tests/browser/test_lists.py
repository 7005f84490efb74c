"""Lists in a real browser: ticking rows, views, columns, exports, and totals loaded later."""

import csv
import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from backoffice.lists import screens
from backoffice.orders.models import Order
from tests.browser.hands import hold_the_first, wait_for_a_frame
from tests.browser.looks import LANGUAGES
from tests.factories.billing import (
    InvoiceFactory,
    MeterAssignmentFactory,
    MeterFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory

Browse = Callable[..., Page]


@pytest.fixture
def book(session: Any) -> None:
    """Sixty orders of two customers; every third is closed."""
    nancy, robert = AccountManagerFactory(name="Nancy"), AccountManagerFactory(name="Robert")
    customers = [CustomerFactory(name="Alfreds Futterkiste"), CustomerFactory(name="Bon app'")]
    for n in range(60):
        OrderFactory(
            number=f"L-{n:02}",
            customer=customers[n % 2],
            account_manager=(nancy, robert)[n % 3 == 1],
            order_date=date(2026, 3, 1 + n % 28),
            closing_date=None if n % 3 else date(2026, 4, 2),
        )
    session.commit()


def footer(page: Page) -> Any:
    return page.locator("tfoot.totals")


def tick(page: Page, *numbers: str) -> None:
    for number in numbers:
        page.get_by_role("checkbox", name=number, exact=True).check()


def test_totals_follow_the_page_and_the_filter(
    browse: Browse, book: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screens, "COSTLY", 0.0)
    page = browse("finance")
    page.goto("/orders")
    expect(footer(page)).to_contain_text("558,000,000.00")
    page.get_by_label("Search").fill("futter")
    expect(footer(page)).to_contain_text("30 orders")
    expect(footer(page)).to_contain_text("279,000,000.00")
    page.get_by_label("Status").select_option("closed")
    expect(footer(page)).to_contain_text("10 orders")
    page.go_back()
    expect(footer(page)).to_contain_text("30 orders")


def test_totals_that_come_late_are_not_shown_under_another_filter(
    browse: Browse, book: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screens, "COSTLY", 0.0)
    page = browse("finance")
    held = hold_the_first(page, re.compile(r"totals=1"))
    with page.expect_request(re.compile(r"totals=1")):
        page.goto("/orders")
    page.get_by_label("Search").fill("futter")
    expect(footer(page)).to_contain_text("30 orders")
    with page.expect_response(re.compile(r"/orders\?totals=1$")):
        held[0].continue_()
    page.get_by_label("Status").select_option("closed")
    expect(footer(page)).to_contain_text("10 orders")
    expect(page.locator("tfoot")).to_have_count(1)


def test_a_view_is_saved_opened_and_made_the_first(browse: Browse, book: None) -> None:
    page = browse("finance")
    page.goto("/orders")
    page.get_by_label("Status").select_option("open")
    expect(footer(page)).to_contain_text("40 orders")
    page.get_by_text("Views").click()
    page.get_by_label("Keep what is shown as").fill("Open ones")
    page.get_by_role("button", name="Save the view").click()
    expect(page.get_by_role("status").filter(has_text="Open ones")).to_be_visible()
    page.get_by_text("Views").click()
    page.get_by_role("link", name="The whole list").click()
    expect(footer(page)).to_contain_text("60 orders")
    page.get_by_text("Views").click()
    page.get_by_role("link", name="Edit the view Open ones").click()
    page.get_by_label("Begin with this view when the list is opened").check()
    page.get_by_role("button", name="Save the view").click()
    page.wait_for_url("**/orders?state=open")
    page.get_by_role("link", name="Orders", exact=True).first.click()
    page.wait_for_url("**/orders?state=open")
    expect(footer(page)).to_contain_text("40 orders")
    page.get_by_role("link", name="Clear").click()
    expect(footer(page)).to_contain_text("60 orders")


def test_columns_are_chosen_and_moved(browse: Browse, book: None) -> None:
    page = browse("finance")
    page.goto("/orders?state=open")
    heads = page.locator("thead th .sort")
    page.locator("#columns-menu summary").click()
    for name in ("Account manager", "Closed", "Additions", "Reductions"):
        page.locator("#columns-menu").get_by_role("checkbox", name=name, exact=True).uncheck()
    page.locator("#columns-menu").get_by_role("button", name="Apply").click()
    expect(heads).to_have_text(
        ["Number", "Customer", "Ordered", "Package price", "Promo", "Grand total"]
    )
    expect(footer(page)).to_contain_text("40 orders")
    page.locator("#columns-menu summary").click()
    page.get_by_role("link", name="Grand total further to the left").click()
    expect(heads.last).to_have_text("Promo")
    page.locator("#columns-menu summary").click()
    page.get_by_role("link", name="As usual").click()
    expect(heads).to_have_count(10)


def test_chosen_orders_are_edited_after_a_preview(browse: Browse, session: Any, book: None) -> None:
    page = browse("finance")
    page.goto("/orders?q=L-&state=open&sort=number")
    edit = page.get_by_role("button", name="Edit selected")
    expect(edit).to_be_disabled()
    page.get_by_role("checkbox", name="Choose all on this page").check()
    expect(page.locator("[data-selected]")).to_have_text("40 selected")
    page.get_by_role("checkbox", name="Choose all on this page").uncheck()
    tick(page, "L-01", "L-02")
    expect(page.locator("[data-selected]")).to_have_text("2 selected")
    edit.click()
    page.get_by_label("Account manager").select_option(label="Nancy")
    page.get_by_label("Closing date").select_option(label="Set to…")
    page.get_by_label("Closed on").fill("2026-05-06")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", name="What would change")).to_be_visible()
    page.get_by_role("button", name="Change 2 orders").click()
    expect(page.get_by_role("status").filter(has_text="2 orders are changed")).to_be_visible()
    expect(footer(page)).to_contain_text("38 orders")
    session.rollback()
    changed = session.query(Order).filter(Order.number.in_(["L-01", "L-02"])).all()
    assert {(o.account_manager.name, o.closing_date) for o in changed} == {
        ("Nancy", date(2026, 5, 6))
    }


def test_all_that_match_are_edited_without_javascript(
    browse: Browse, session: Any, book: None
) -> None:
    page = browse("finance", java_script_enabled=False)
    page.goto("/orders")
    page.get_by_label("Status").select_option("closed")
    page.get_by_role("button", name="Apply").first.click()
    page.get_by_role("button", name="Edit all 20 that match").click()
    page.get_by_label("Closing date").select_option(label="Remove")
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("button", name="Change 20 orders").click()
    expect(page.get_by_text("20 orders are changed")).to_be_visible()
    session.rollback()
    assert session.query(Order).filter(Order.closing_date.is_not(None)).count() == 0


@pytest.mark.parametrize(
    ("name", "delimiter", "totals"),
    [("CSV", ",", False), ("CSV for Excel in Indonesian", ";", True)],
)
def test_the_exported_file_has_the_rows_and_the_file_for_people_the_totals_of_the_screen(
    browse: Browse, book: None, name: str, delimiter: str, totals: bool
) -> None:
    page = browse("finance")
    page.goto("/orders")
    page.get_by_label("Search").fill("bon")
    expect(footer(page)).to_contain_text("30 orders")
    shown = footer(page).locator("td").last.inner_text()
    page.get_by_text("Export").click()
    with page.expect_download() as download:
        page.get_by_role("link", name=name, exact=True).click()
    assert re.fullmatch(r"orders-\d{4}-\d\d-\d\d\.csv", download.value.suggested_filename)
    with open(download.value.path(), encoding="utf-8-sig", newline="") as file:
        lines = list(csv.reader(file, delimiter=delimiter))
    amounts = [Decimal(line[-1].replace(",", ".")) for line in lines[1:31]]
    assert sum(amounts) == Decimal(shown.replace(",", ""))
    ends = [Decimal(line[-1].replace(",", ".")) for line in lines[31:32]]
    assert ends == ([sum(amounts)] if totals else [])


def test_the_keyboard_finds_walks_opens_and_makes(browse: Browse, book: None) -> None:
    page = browse("finance")
    page.goto("/orders?sort=number")
    page.keyboard.press("?")
    help_dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(help_dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(help_dialog).to_be_hidden()
    wait_for_a_frame(page)
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="L-00", exact=True)).to_be_focused()
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="L-01", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/orders/L-01?sort=number")
    page.keyboard.press("j")
    page.wait_for_url("**/orders/L-02?sort=number")
    page.keyboard.press("k")
    page.wait_for_url("**/orders/L-01?sort=number")
    page.keyboard.press("n")
    page.wait_for_url("**/orders/new")


def test_the_totals_stay_in_sight(browse: Browse, book: None) -> None:
    for width in ("wide", "narrow"):
        page = browse("finance", width=width)
        page.goto("/orders")
        totals = footer(page).get_by_role("rowheader")
        expect(totals).to_be_in_viewport()
        page.mouse.wheel(0, 300)
        expect(totals).to_be_in_viewport()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_widest_lists_show_their_last_column_on_a_small_laptop(
    browse: Browse, session: Any, language: str
) -> None:
    """The last column holds the amount that the list is read for."""
    customer = CustomerFactory(
        name="Ana Trujillo Emparedados y helados", contact_name="Ana Trujillo", phone="(5) 555-4729",
        city="México D.F.",
    )  # fmt: skip
    meter = MeterFactory(number="NM-1002", description="Warehouse")
    MeterAssignmentFactory(meter=meter, customer=customer)
    of: dict[str, Any] = {"meter": meter, "customer": customer, "amount": Decimal("2880168326.00")}
    invoice = InvoiceFactory(number="INV-202611-1002", units=None, rate=None, **of)
    PaymentFactory(reference="PAY-00807", invoice=invoice, **of)
    session.commit()
    page = browse("finance", language=language)
    for path in ("/customers", "/billing/meters", "/billing/invoices", "/billing/payments"):
        page.goto(path)
        expect(page.locator(".list-table tbody td").last).to_be_in_viewport(ratio=1)


def test_on_paper_there_is_a_table_with_its_heads_and_totals(browse: Browse, book: None) -> None:
    page = browse("finance")
    page.set_viewport_size({"width": 760, "height": 1000})
    page.goto("/orders?print=1")
    page.emulate_media(media="print")
    for hidden in (".topbar", ".sidebar", ".list-tools"):
        expect(page.locator(hidden).first).to_be_hidden()
    display = "element => getComputedStyle(element).display"
    assert page.locator("thead").evaluate(display) == "table-header-group"
    assert page.locator("tfoot").evaluate(display) == "table-row-group"
    expect(page.locator("tbody tr")).to_have_count(60)
    expect(page.locator("tfoot .cell-part").first).to_be_visible()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_screen_of_a_list_is_sound_in_every_look(
    browse: Browse, book: None, is_sound: Any, language: str
) -> None:
    page = browse("finance", language=language)
    screens = {
        "list-page": "/orders?page=2",
        "list-columns": "/orders?columns=customer,grand_total,promo,number",
        "list-print": "/orders?print=1",
        "bulk": "/orders/bulk?matching=1&state=open",
        "bulk-preview": "/orders/bulk?matching=1&preview=1&closing=set&to_closing_date=2026-03-05",
        "bulk-refused": "/orders/bulk?matching=1&preview=1",
        "bulk-nothing": "/orders/bulk?selected=1",
    }
    for name, path in screens.items():
        page.goto(path)
        is_sound(page, name)
    page.goto("/orders?state=open")
    for menu in ("views", "columns", "export"):
        page.locator(f"#{menu}-menu summary").click()
        expect(page.locator(f"#{menu}-menu .menu-body")).to_be_visible()
        is_sound(page, f"list-{menu}")
        page.keyboard.press("Escape")
    page.locator("#views-menu summary").click()
    page.locator("#view-name").fill("Mine")
    page.keyboard.press("Enter")
    expect(page.locator(".notice-success")).to_be_visible()
    page.locator("#views-menu summary").click()
    page.locator("#views-menu li .btn").click()
    expect(page.locator("#name")).to_have_value("Mine")
    is_sound(page, "list-view")
