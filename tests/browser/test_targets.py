"""Targets in a real browser: entering a year without the mouse, and the links of the charts and pages."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from backoffice.base.periods import Month
from backoffice.people.models import User
from backoffice.targets import actions
from backoffice.targets.actions import Entry
from backoffice.targets.models import AccountManagerTarget
from tests.browser.hands import paste
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory

Browse = Callable[..., Page]


@pytest.fixture
def nancy(session: Any) -> User:
    """Nancy closed an order a month from January to April 1997; her January target is 20 million."""
    made: User = AccountManagerFactory(name="Nancy Davolio")
    AccountManagerFactory(name="Andrew Fuller")
    for month in range(1, 5):
        day = date(1997, month, 15)
        OrderFactory(
            number=f"SO-{month}",
            account_manager=made,
            order_date=day,
            closing_date=day,
            total_price=Decimal(10_000_000 * month),
            additions=0,
            promo=0,
            reductions=0,
        )
    session.flush()
    actions.enter(session(), made.id, {Month(1997, 1): Entry(None, Decimal(20_000_000))})
    session.commit()
    return made


def stored(session: Any, year: int) -> dict[int, Decimal | None]:
    session.rollback()
    rows = session.scalars(select(AccountManagerTarget).order_by(AccountManagerTarget.month))
    return {row.month.month: row.target for row in rows if row.month.year == year}


def total(page: Page) -> Any:
    return page.locator("#year_total .figure-big")


# Entering


def test_a_year_is_entered_with_the_keyboard_alone(
    browse: Browse, session: Any, nancy: User
) -> None:
    page = browse("finance")
    page.goto(f"/targets/years/1998/{nancy.id}")
    page.keyboard.press("e")
    page.wait_for_url("**/edit")
    expect(page.get_by_label("Target, January 1998")).to_be_focused()
    for number in range(1, 13):
        page.keyboard.type(f"{number}000000")
        if number < 12:
            page.keyboard.press("Enter")
            expect(page.locator(f"#target_{number + 1}")).to_be_focused()
    expect(total(page)).to_have_text("Rp 78,000,000.00")
    page.keyboard.press("Control+s")
    page.wait_for_url(f"**/targets/years/1998/{nancy.id}")
    expect(page.locator("main")).to_contain_text("12 targets are saved.")
    assert stored(session, 1998) == {n: Decimal(n * 1_000_000) for n in range(1, 13)}


@pytest.mark.parametrize("by", ["\n", "\t"], ids=["column", "row"])
def test_a_row_or_a_column_is_pasted_from_a_spreadsheet(
    browse: Browse, session: Any, nancy: User, by: str
) -> None:
    page = browse("finance", number_format="id")
    page.goto(f"/targets/years/1998/{nancy.id}/edit")
    expect(page.locator("#target_1")).to_be_focused()
    paste(page, "#target_2", by.join(["1.500.000", "2.000.000,50", "3"]) + "\n")
    expect(page.locator("#target_4")).to_have_value("3")
    expect(page.locator("#target_2")).to_have_value("1.500.000")
    expect(total(page)).to_have_text("Rp 3.500.003,50")
    page.keyboard.press("Control+s")
    page.wait_for_url(f"**/targets/years/1998/{nancy.id}")
    assert stored(session, 1998) == {2: 1_500_000, 3: Decimal("2000000.50"), 4: 3}


def test_the_buttons_fill_in_and_save_nothing(browse: Browse, session: Any, nancy: User) -> None:
    page = browse("finance")
    page.goto(f"/targets/years/1998/{nancy.id}/edit")
    page.get_by_label("Amount").fill("5,000,000")
    page.get_by_role("button", name="Same for every month").click()
    expect(page.locator("#target_12")).to_have_value("5,000,000.00")
    expect(total(page)).to_have_text("Rp 60,000,000.00")
    page.get_by_label("Copy from", exact=True).select_option("what was achieved last year")
    page.get_by_label("Percent more").fill("10")
    page.get_by_role("button", name="Copy into the months").click()
    expect(page.locator("#target_4")).to_have_value("44,000,000.00")
    expect(page.locator("#target_5")).to_have_value("5,000,000.00")
    assert stored(session, 1998) == {}
    page.get_by_role("button", name="Save").click()
    page.wait_for_url(f"**/targets/years/1998/{nancy.id}")
    assert stored(session, 1998)[4] == 44_000_000


def test_what_is_wrong_is_said_beside_it_and_the_rest_is_kept(
    browse: Browse, nancy: User, axe: Any
) -> None:
    page = browse("finance")
    page.goto(f"/targets/years/1998/{nancy.id}/edit")
    page.locator("#target_1").fill("7")
    page.locator("#target_2").fill("seven")
    expect(total(page)).to_have_text("—")
    page.keyboard.press("Control+s")
    expect(page.locator("[data-error-summary]")).to_be_focused()
    expect(page.locator("#target_2-error")).to_contain_text("This is not a number")
    expect(page.locator("#target_1")).to_have_value("7")
    axe(page)


def test_two_editors_see_what_the_other_changed(
    browse: Browse, session: Any, nancy: User, axe: Any, screenshot: Any
) -> None:
    first, second = browse("finance"), browse("finance")
    for page in (first, second):
        page.goto(f"/targets/years/1997/{nancy.id}/edit")
    for page, amount in ((first, "21"), (second, "22")):
        page.locator("#target_1").fill(amount)
    first.keyboard.press("Control+s")
    first.wait_for_url(f"**/targets/years/1997/{nancy.id}")
    second.keyboard.press("Control+s")
    expect(second.locator(".conflict")).to_be_focused()
    expect(second.locator(".conflict")).to_contain_text("January 1997: 21.00")
    expect(second.locator("#target_1")).to_have_value("22")
    axe(second)
    screenshot(second, "targets-conflict")
    second.keyboard.press("Control+s")
    second.wait_for_url(f"**/targets/years/1997/{nancy.id}")
    assert stored(session, 1997)[1] == 22


def test_one_month_is_entered_on_its_page(browse: Browse, session: Any, nancy: User) -> None:
    page = browse("finance")
    page.goto(f"/targets/years/1997/{nancy.id}")
    page.locator("table").get_by_role("link", name="February 1997").click()
    page.wait_for_url("**/1997-02")
    page.keyboard.press("e")
    page.get_by_label("Target").fill("25,000,000")
    page.keyboard.press("Control+s")
    expect(page.locator("main")).to_contain_text("The target is saved.")
    expect(page.locator(".key-figures")).to_contain_text("80.0%")
    assert stored(session, 1997)[2] == 25_000_000


def test_the_grid_works_without_javascript(browse: Browse, session: Any, nancy: User) -> None:
    page = browse("finance", java_script_enabled=False)
    page.goto(f"/targets/years/1998/{nancy.id}/edit")
    page.get_by_label("Amount").fill("100")
    page.get_by_role("button", name="Spread over the year").click()
    expect(page.locator("#target_1")).to_have_value("8.34")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url(f"**/targets/years/1998/{nancy.id}")
    assert sum(stored(session, 1998).values()) == 100


# Looking


def test_every_page_is_accessible_in_every_look(nancy: User, every_look: Any) -> None:
    screens = {
        "list": "/targets",
        "year": f"/targets/years/1997/{nancy.id}",
        "everybody": "/targets/years/1997",
        "month": f"/targets/{nancy.id}/1997-01",
        "empty": f"/targets/{nancy.id}/2001-01",
        "edit": f"/targets/{nancy.id}/1997-01/edit",
        "new": "/targets/new",
        "grid": f"/targets/years/1997/{nancy.id}/edit",
    }
    every_look({f"targets-{name}": path for name, path in screens.items()})


def test_an_achieved_amount_leads_to_its_orders(browse: Browse, nancy: User) -> None:
    page = browse("finance")
    page.goto(f"/targets/years/1997/{nancy.id}")
    expect(page.locator(".key-figures")).to_contain_text("Rp 100,000,000.00")
    page.locator("a.chart-item").nth(3).click()
    page.wait_for_url("**/orders?**")
    expect(page.locator("tfoot.totals")).to_contain_text("40,000,000.00")
    page.go_back()
    page.locator(".key-figures").get_by_role("link").click()
    page.wait_for_url("**/orders?**")
    expect(page.locator("tfoot.totals")).to_contain_text("100,000,000.00")


def test_a_manager_is_chosen_and_the_years_are_walked_by_key(browse: Browse, nancy: User) -> None:
    page = browse("finance")
    page.goto("/targets/years/1997")
    page.get_by_label("Account manager", exact=True).select_option("Nancy Davolio")
    page.wait_for_url(f"**/targets/years/1997/{nancy.id}")
    page.keyboard.press("k")
    page.wait_for_url(f"**/targets/years/1996/{nancy.id}")
    expect(page.get_by_role("heading", name="1996")).to_be_visible()


def test_an_empty_list_says_what_comes_there(browse: Browse, axe: Any) -> None:
    page = browse("finance")
    page.goto("/targets")
    expect(page.locator(".empty-title")).to_have_text("No targets yet")
    axe(page)
