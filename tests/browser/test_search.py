"""The search in the top bar: by keyboard, by mouse, on a phone, with a screen reader, and without JavaScript."""

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from playwright.sync_api import Error, Page, Route, expect
from sqlalchemy import delete

from backoffice.people.models import WebSession
from backoffice.search import views as search
from tests.browser.hands import hold_the_first
from tests.browser.looks import LANGUAGES, WIDTHS
from tests.factories.billing import InvoiceFactory, MeterAssignmentFactory
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory

Browse = Callable[..., Page]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time limits for the busiest machine."""
    monkeypatch.setattr(search, "SUGGESTIONS", search.Pace(search.SUGGESTIONS.limit, 60.0, 300.0))
    monkeypatch.setattr(search, "WHOLE_PAGE", search.Pace(search.WHOLE_PAGE.limit, 60.0, 300.0))


@pytest.fixture
def book(session: Any) -> None:
    alfreds = CustomerFactory(code="ALFKI", name="Alfreds Futterkiste", city="Berlin")
    OrderFactory(number="SO-1", customer=alfreds)
    OrderFactory(number="SO-2", customer=alfreds)
    held = MeterAssignmentFactory(meter__number="M-7", customer=alfreds)
    InvoiceFactory(number="INV-7", customer=alfreds, meter=held.meter)
    session.commit()


def field(page: Page) -> Any:
    return page.locator("#search")


def options(page: Page) -> Any:
    return page.locator("#search-found [role=option]")


def chosen(page: Page) -> Any:
    return page.locator("#search-found [aria-selected=true]")


def test_from_the_key_to_the_record_without_a_mouse(browse: Browse, book: None) -> None:
    page = browse("finance")
    page.goto("/today")
    page.keyboard.press("/")
    expect(field(page)).to_be_focused()
    page.keyboard.type("alf", delay=30)
    expect(options(page)).to_have_count(6)  # customer, two orders, invoice, meter; all results
    expect(field(page)).to_have_attribute("aria-expanded", "true")
    expect(page.locator("#search-said")).to_have_text("5 found. Arrow down to choose.")
    expect(chosen(page)).to_have_count(0)
    page.keyboard.press("ArrowUp")
    expect(chosen(page)).to_contain_text("Everything for “alf”")
    page.keyboard.press("ArrowDown")
    expect(chosen(page)).to_have_count(0)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(chosen(page)).to_contain_text("SO-2")
    name = chosen(page).get_attribute("id")
    expect(field(page)).to_have_attribute("aria-activedescendant", name)
    expect(field(page)).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/orders/SO-2")


LATE = """
const soon = window.setTimeout;
window.setTimeout = (work, wait, ...given) =>
  document.readyState === "complete" || wait ? soon(work, wait, ...given) : soon(work, 1000, ...given);
"""


def test_what_is_typed_before_htmx_listens_is_searched_for(browse: Browse, book: None) -> None:
    """htmx starts in a separate task, which on a busy machine runs long after the page is shown."""
    page = browse("finance")
    page.add_init_script(LATE)
    page.goto("/today")
    page.keyboard.press("/")
    page.keyboard.type("alf")
    expect(options(page)).to_have_count(6)


def test_escape_closes_the_list_and_keeps_what_is_typed(browse: Browse, book: None) -> None:
    page = browse("finance")
    page.goto("/today")
    page.keyboard.press("/")
    page.keyboard.type("alf")
    expect(options(page)).to_have_count(6)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Escape")
    expect(page.locator("#search-found")).to_be_hidden()
    expect(field(page)).to_have_value("alf")
    expect(field(page)).to_have_attribute("aria-expanded", "false")
    assert field(page).get_attribute("aria-activedescendant") is None
    page.keyboard.press("ArrowDown")
    expect(page.locator("#search-found")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.locator("#search-found")).to_be_hidden()


def test_an_answer_that_comes_after_escape_opens_nothing(browse: Browse, book: None) -> None:
    page = browse("finance")
    page.goto("/today")
    page.keyboard.press("/")
    page.keyboard.type("a")
    expect(page.locator("#search-found")).to_be_visible()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/search?**", hold)
    with page.expect_request("**/search?**"):
        page.keyboard.type("lf")
    page.keyboard.press("Escape")
    with page.expect_response("**/search?**"):
        held[0].continue_()
    expect(options(page)).to_have_count(6)
    expect(page.locator("#search-found")).to_be_hidden()
    page.unroute("**/search?**")
    page.keyboard.press("End")
    page.keyboard.type("r")
    expect(page.locator("#search-found")).to_be_visible()


def test_a_slow_earlier_answer_never_wins(browse: Browse, book: None) -> None:
    page = browse("finance")
    page.goto("/today")
    held = hold_the_first(page, "**/search?**")
    page.keyboard.press("/")
    with page.expect_request("**/search?**"):
        page.keyboard.type("so")
    page.keyboard.type("-1")
    expect(options(page)).to_have_count(2)
    with suppress(Error):  # the browser may have cancelled that request, which is as good
        held[0].fulfill(status=200, content_type="text/html", body="<p>late</p>")
    expect(options(page)).to_have_count(2)
    expect(page.locator("#search-found")).not_to_contain_text("late")


def test_enter_without_choosing_goes_to_what_is_called_so(browse: Browse, book: None) -> None:
    page = browse("finance")
    page.goto("/today")
    page.keyboard.press("/")
    page.keyboard.type("inv-7")
    expect(options(page).first.locator("kbd")).to_have_text("Enter")
    page.keyboard.press("Enter")
    page.wait_for_url("**/billing/invoices/INV-7")


def test_enter_at_once_waits_for_no_list_and_complains_of_nothing(
    browse: Browse, book: None
) -> None:
    page = browse("finance")
    page.goto("/today")
    page.keyboard.press("/")
    with page.expect_request(lambda sent: "/search" in sent.url and "go=1" not in sent.url):
        page.keyboard.type("alf")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?**")
    expect(page.locator("h1")).to_have_text("Search: alf")
    expect(page.locator(".toast-note")).to_have_count(0)
    expect(page.locator("#search-found")).to_be_hidden()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/customers/ALFKI")


def test_the_mouse_opens_what_it_clicks(browse: Browse, book: None) -> None:
    page = browse("finance")
    page.goto("/today")
    field(page).fill("so-2")
    options(page).filter(has_text="Alfreds").click()
    page.wait_for_url("**/orders/SO-2")


def test_nothing_found_says_what_to_type(browse: Browse, axe: Any, book: None) -> None:
    page = browse("finance")
    page.goto("/today")
    field(page).press_sequentially("zzzz")
    expect(page.locator(".search-nothing")).to_contain_text("Type the beginning of a number")
    expect(field(page)).to_have_attribute("aria-expanded", "false")
    axe(page)
    field(page).fill("")
    expect(page.locator("#search-found")).to_be_hidden()


def test_a_search_after_the_session_has_ended_asks_before_it_leaves_what_is_typed(
    browse: Browse, session: Any, book: None
) -> None:
    page = browse("finance")
    page.goto("/orders/SO-1/edit")
    page.get_by_label("Promo", exact=True).fill("77")
    expect(page.locator("#grand_total .figure-big")).to_have_text("Rp 10,299,923.00")
    session.execute(delete(WebSession))
    session.commit()
    with page.expect_event("dialog") as asked:
        field(page).press_sequentially("alf")
    assert asked.value.type == "beforeunload"
    asked.value.dismiss()
    expect(page).to_have_url(re.compile("/orders/SO-1/edit"))
    expect(page.get_by_label("Promo", exact=True)).to_have_value("77")


@pytest.mark.parametrize("language", LANGUAGES)
def test_looks(browse: Browse, is_sound: Any, book: None, language: str) -> None:
    for width in WIDTHS:
        page = browse("finance", language=language, width=width)
        page.goto("/today")
        field(page).press_sequentially("alf")
        expect(options(page)).to_have_count(6)
        page.keyboard.press("ArrowDown")
        box = page.locator("#search-found").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= page.viewport_size["width"]
        is_sound(page, "search-list", [width])
    page.goto("/search?q=alf")
    is_sound(page, "search-page")


def test_without_javascript_enter_leads_to_the_page_and_on(
    browse: Browse, axe: Any, book: None
) -> None:
    page = browse("finance", width="narrow", java_script_enabled=False)
    page.goto("/today")
    field(page).fill("alf")
    field(page).press("Enter")
    page.wait_for_url("**/search?**")
    page.locator("main").get_by_role("link", name="SO-1").click()
    page.wait_for_url("**/orders/SO-1")
    field(page).fill("inv-7")
    field(page).press("Enter")
    page.wait_for_url("**/billing/invoices/INV-7")
