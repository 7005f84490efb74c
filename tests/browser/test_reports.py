"""The revenue report in a real browser: the filter, the chart, and the links from a number to its orders."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.looks import LANGUAGES
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory

Browse = Callable[..., Page]


@pytest.fixture
def year(session: Any) -> None:
    """Fourteen customers of two managers, an order each in 1997 and in 1996."""
    managers = [AccountManagerFactory(name=name) for name in ("Nancy Davolio", "Andrew Fuller")]
    for number in range(14):
        customer = CustomerFactory(code=f"K{number:02}", name=f"Customer {number:02}")
        for year in (1996, 1997):
            day = date(year, number % 12 + 1, 5)
            OrderFactory(
                customer=customer,
                account_manager=managers[number % 2],
                order_date=day,
                closing_date=day,
                total_price=Decimal(1_000_000 * (number + 1) * (year - 1995)),
            )
    session.commit()


def test_the_report_is_accessible_in_every_look(browse: Browse, year: None, is_sound: Any) -> None:
    for language in LANGUAGES:
        page = browse("finance", language=language)
        page.goto("/reports?year=1997")
        expect(page.locator(".chart-bar")).to_have_count(12)
        is_sound(page, "report")


def test_a_number_leads_to_the_orders_behind_it(browse: Browse, year: None) -> None:
    page = browse("finance")
    page.goto("/reports")
    expect(page.get_by_role("heading", name="1997")).to_be_visible()
    row = page.get_by_role("row", name="January 1997")
    amount = row.get_by_role("link").first.inner_text()
    row.get_by_role("link").first.click()
    page.wait_for_url("**/orders?**")
    expect(page.locator("tfoot.totals")).to_contain_text(amount)
    expect(page.locator("tfoot.totals")).to_contain_text("2 orders")


def test_a_bar_leads_to_its_orders_too(browse: Browse, year: None) -> None:
    page = browse("finance")
    page.goto("/reports?year=1997")
    page.locator("a.chart-item").nth(2).click()
    page.wait_for_url("**/orders?*closed_since=1997-03-01*")
    expect(page.locator("tfoot.totals")).to_contain_text("1 order")


def test_the_filter_is_applied_at_once_and_stays_in_the_address(browse: Browse, year: None) -> None:
    page = browse("finance")
    page.goto("/reports?year=1997")
    page.get_by_label("Account manager", exact=True).select_option("Andrew Fuller")
    expect(page.locator("#report")).to_contain_text("· Andrew Fuller")
    expect(page.get_by_role("row", name="Nancy Davolio")).to_have_count(0)
    page.get_by_label("Counted by").select_option("Order date")
    expect(page.locator("#report")).to_contain_text("All orders, open ones too")
    page.reload()
    expect(page.locator("#report")).to_contain_text("· Andrew Fuller")
    page.get_by_role("link", name="The year before: 1996").click()
    expect(page.get_by_role("heading", name="1996")).to_be_visible()
    expect(page.locator("#report")).to_contain_text("· Andrew Fuller")


def test_all_customers_are_found_behind_the_others(browse: Browse, year: None, axe: Any) -> None:
    page = browse("finance")
    page.goto("/reports?year=1997")
    page.get_by_role("link", name="4 others").first.click()
    expect(page.get_by_role("heading", name="Revenue by customer")).to_be_visible()
    expect(page.get_by_role("row", name="Customer 00")).to_be_visible()
    axe(page)


def test_a_file_is_one_click_away(browse: Browse, year: None) -> None:
    page = browse("finance")
    page.goto("/reports?year=1997")
    page.get_by_label("Export: Revenue by customer").click()
    with page.expect_download() as download:
        page.locator("#export-customer").get_by_role("link", name="CSV", exact=True).click()
    assert download.value.suggested_filename.startswith("revenue-by-customer-")


def test_the_report_works_without_javascript(browse: Browse, year: None) -> None:
    page = browse("finance", java_script_enabled=False)
    page.goto("/reports?year=1997")
    page.get_by_label("Account manager", exact=True).select_option("Andrew Fuller")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#report")).to_contain_text("· Andrew Fuller")


def test_an_empty_book_has_a_page_too(browse: Browse, axe: Any) -> None:
    page = browse("finance")
    page.goto("/reports")
    expect(page.locator(".empty-title")).to_have_text("No revenue yet")
    axe(page)
