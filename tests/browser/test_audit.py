"""The audit trail in a real browser: finding the author of a change, in every look and without JavaScript."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import text

from backoffice.app.extensions import db
from backoffice.audit.chain.keys import Keyring
from backoffice.audit.chain.sealing import seal
from backoffice.audit.chain.verifying import record, verify
from backoffice.base.actor import acting_as
from tests.browser.looks import LANGUAGES
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.factories.people import UserFactory

Browse = Callable[..., Page]


@pytest.fixture
def trail(session: Any, app: Any) -> None:
    """Ayu entered an order and changed its promo; a customer was created and deleted. All of it is sealed."""
    ayu = UserFactory(name="Ayu Lestari")
    session.commit()
    with acting_as(f"user:{ayu.id}"):
        order = OrderFactory(
            number="SO-1", customer=CustomerFactory(code="ALFKI"), account_manager=ayu,
            promo=Decimal(1000), lines=[("package", "Queso", "2", "500")],
        )  # fmt: skip
        session.commit()
        order.promo, order.closing_date = Decimal(2500), date(2026, 3, 31)
        session.commit()
    CustomerFactory(code="GONE")
    session.commit()
    session.execute(text("DELETE FROM customers WHERE code = 'GONE'"))
    session.commit()
    keys = Keyring.of(app.config)
    seal(db.engine, keys)
    with db.engine.begin() as connection:
        record(connection, verify(db.engine, keys))


def test_who_changed_the_promo_is_found_out(browse: Browse, trail: None) -> None:
    page = browse("finance")
    page.goto("/orders")
    page.get_by_role("link", name="Audit").click()
    page.wait_for_url("**/audit")
    expect(page.locator(".chain-state")).to_contain_text("clean")
    page.locator("#table").select_option("Order")
    page.locator("#action").select_option("Changed")
    row = page.locator("tbody tr").filter(has_text="2,500.00")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("Ayu Lestari")
    expect(row.locator(".changes")).to_contain_text("1,000.00")
    expect(row.locator(".changes")).to_contain_text("2,500.00")
    row.locator(".row-link").click()
    page.wait_for_url("**/audit/*")
    expect(page.get_by_role("heading", level=1)).to_have_text("Order SO-1")
    page.get_by_role("link", name="Everything about this record").click()
    page.wait_for_url("**/audit?*row=*")
    expect(page.locator("tbody tr").last).to_contain_text("Created")
    page.locator("tbody tr").first.get_by_role("link", name="SO-1").click()
    page.wait_for_url("**/orders/SO-1")


def test_a_value_is_searched_for_while_it_is_typed(browse: Browse, trail: None) -> None:
    page = browse("finance")
    page.goto("/audit")
    page.get_by_label("Value").press_sequentially("queso")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody tr")).to_contain_text("Order line")
    page.get_by_label("Value").fill("nothing of the kind")
    expect(page.locator("#results")).to_contain_text("Nothing fits that")


def test_it_works_without_javascript(browse: Browse, trail: None) -> None:
    page = browse("finance", java_script_enabled=False)
    page.goto("/audit")
    page.locator("#action").select_option("Deleted")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url("**/audit?*action=delete*")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.locator(".row-link").click()
    expect(page.locator(".audit-fields")).to_contain_text("GONE")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_accessible_in_every_look(
    browse: Browse, trail: None, is_sound: Any, language: str
) -> None:
    page = browse("finance", language=language)
    for name, address in {"audit": "/audit", "audit-none": "/audit?q=zzz"}.items():
        page.goto(address)
        is_sound(page, name)
    page.goto("/audit?table=orders&action=update")
    page.locator(".row-link").first.click()
    expect(page.locator(".audit-fields")).to_be_visible()
    is_sound(page, "audit-event")
