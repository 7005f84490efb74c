"""A session that ends while a user types: no input is lost, and the same user can save it afterwards."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import delete

from backoffice.orders.models import Order
from backoffice.people import actions
from backoffice.people.models import User, WebSession
from tests.factories.orders import OrderFactory

Browse = Callable[..., Page]

PASSWORD = "seventeen brown hens"


@pytest.fixture
def people(session: Any) -> dict[str, User]:
    """Two users who can sign in with a password, and an order."""
    made = {
        name: actions.create_user(
            session,
            email=f"{name}@northwind.example",
            name=name.title(),
            role="finance",
            password=PASSWORD,
        )
        for name in ("ayu", "budi")
    }
    OrderFactory(number="SO-1")
    session.commit()
    return made


@pytest.fixture
def typed(browse: Browse, session: Any, people: dict[str, User]) -> Page:
    """Ayu's page: a new promo is typed, her session has ended, and she has pressed Ctrl+S."""
    page = browse(people["ayu"])
    page.goto("/orders/SO-1/edit")
    page.get_by_label("Promo", exact=True).fill("77")
    expect(page.locator("#grand_total .figure-big")).to_have_text("Rp 10,299,923.00")
    session.execute(delete(WebSession))
    session.commit()
    page.keyboard.press("Control+s")
    expect(ended(page)).to_be_visible()
    return page


def ended(page: Page) -> Any:
    return page.locator("#session-ended")


def sign_in_beside(page: Page, name: str) -> Page:
    """Sign in in the window that the page opens."""
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Sign in in a new window").click()
    other = opened.value
    other.locator("[name=email]").fill(f"{name}@northwind.example")
    other.locator("[name=password]").fill(PASSWORD)
    other.locator(".gate button[type=submit]").click()
    expect(other.get_by_role("heading", name="You are signed in")).to_be_visible()
    return other


def promo(session: Any) -> Any:
    session.rollback()
    return session.query(Order).one().promo


def test_what_was_typed_is_saved_after_signing_in_again_in_another_window(
    typed: Page, session: Any, axe: Callable[[Page], None], screenshot: Callable[..., None]
) -> None:
    screenshot(typed, "session-ended", full_page=False)
    axe(typed)
    sign_in_beside(typed, "ayu")
    expect(ended(typed)).to_be_hidden()
    expect(typed.get_by_text("You are signed in again.")).to_be_visible()
    expect(typed.get_by_label("Promo", exact=True)).to_have_value("77")
    assert promo(session) == 1_000_000
    typed.keyboard.press("Control+s")
    typed.wait_for_url("**/orders/SO-1")
    assert promo(session) == 77


def test_another_user_who_signs_in_is_told_whose_page_it_is_and_saves_nothing(
    typed: Page, session: Any, axe: Callable[[Page], None], screenshot: Callable[..., None]
) -> None:
    other = sign_in_beside(typed, "budi")
    expect(typed.get_by_text("This page was opened by Ayu")).to_be_visible()
    expect(ended(typed).locator("[data-user]")).to_have_text("Budi")
    screenshot(typed, "session-of-another-user", full_page=False)
    axe(typed)
    typed.get_by_role("button", name="Not now").click()
    typed.keyboard.press("Control+s")
    expect(typed.get_by_text("This page was opened by Ayu")).to_be_visible()
    expect(typed.get_by_label("Promo", exact=True)).to_have_value("77")
    assert promo(session) == 1_000_000

    other.locator("details.menu-user summary").click()
    other.get_by_role("button", name="Sign out").click()
    other.wait_for_url("**/login")
    other.close()
    sign_in_beside(typed, "ayu")
    expect(ended(typed)).to_be_hidden()
    typed.keyboard.press("Control+s")
    typed.wait_for_url("**/orders/SO-1")
    assert promo(session) == 77


def test_a_page_that_was_open_before_signing_in_anew_saves_at_the_second_attempt(
    browse: Browse, session: Any, people: dict[str, User], app: Any
) -> None:
    """Signed out and in again in another window: the page's token belongs to a deleted session."""
    page = browse(people["ayu"])
    page.goto("/orders/SO-1/edit")
    other = page.context.new_page()
    other.goto("/profile")
    other.locator("details.menu-user summary").click()
    other.get_by_role("button", name="Sign out").click()
    other.wait_for_url("**/login")
    other.locator("[name=email]").fill("ayu@northwind.example")
    other.locator("[name=password]").fill(PASSWORD)
    other.locator(".gate button[type=submit]").click()
    other.wait_for_url("**/today")
    other.close()
    page.get_by_label("Promo", exact=True).fill("78")
    expect(page.get_by_text("You are signed in again.")).to_be_visible()
    page.keyboard.press("Control+s")
    page.wait_for_url("**/orders/SO-1")
    assert promo(session) == 78


def test_reading_on_leads_to_the_sign_in_page_and_back(
    open_page: Callable[..., Page], people: dict[str, User]
) -> None:
    page = open_page(java_script_enabled=False)
    page.goto("/orders/SO-1")
    page.locator("[name=email]").fill("ayu@northwind.example")
    page.locator("[name=password]").fill(PASSWORD)
    page.locator(".gate button[type=submit]").click()
    page.wait_for_url("**/orders/SO-1")


def test_a_save_without_javascript_leads_back_to_its_form(
    browse: Browse, session: Any, people: dict[str, User]
) -> None:
    page = browse(people["ayu"], java_script_enabled=False)
    page.goto("/orders/SO-1/edit")
    session.execute(delete(WebSession))
    session.commit()
    page.locator("#save-record").click()
    page.locator("[name=email]").fill("ayu@northwind.example")
    page.locator("[name=password]").fill(PASSWORD)
    page.locator(".gate button[type=submit]").click()
    page.wait_for_url("**/orders/SO-1/edit")


def test_a_form_that_leaves_its_page_asks_first_and_keeps_what_was_typed(
    browse: Browse, session: Any, people: dict[str, User]
) -> None:
    page = browse(people["ayu"])
    page.goto("/profile")
    page.locator("#number_format").select_option("id")
    session.execute(delete(WebSession))
    session.commit()
    page.keyboard.press("Control+s")
    expect(ended(page)).to_be_visible()
    sign_in_beside(page, "ayu")
    expect(ended(page)).to_be_hidden()
    expect(page.locator("#number_format")).to_have_value("id")
    page.keyboard.press("Control+s")
    expect(page.get_by_text("Your settings are saved.")).to_be_visible()
    session.rollback()
    session.refresh(people["ayu"])
    assert people["ayu"].number_format == "id"
