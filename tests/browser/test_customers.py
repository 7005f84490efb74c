"""Customers in a real browser: list, form, and a merge that is previewed, applied and undone."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from backoffice.customers.models import Customer
from backoffice.orders.models import Order
from tests.browser.looks import LANGUAGES
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory

Browse = Callable[..., Page]


@pytest.fixture
def company(session: Any) -> None:
    """Two records of one customer, with three orders between them, and a third customer."""
    alfreds = CustomerFactory(
        code="ALFKI", name="Alfreds Futterkiste", contact_name="Maria Anders", phone="030-0074321",
        city="Berlin", country="Germany",
    )  # fmt: skip
    twice = CustomerFactory(
        code="ALFRE", name="ALFREDS FUTTERKISTE GmbH", contact_name="", phone="030 007 4321",
        city="Hamburg", country="Germany",
    )  # fmt: skip
    CustomerFactory(code="BERGS", name="Berglunds snabbköp", city="Luleå", country="Sweden")
    for number, owner, total in (("SO-1", alfreds, 1_000_000), ("SO-2", twice, 200_000),
                                 ("SO-3", twice, 30_000)):  # fmt: skip
        OrderFactory(
            number=number, customer=owner, total_price=total, additions=0, promo=0, reductions=0
        )
    session.commit()


def owners(session: Any) -> dict[str, str]:
    session.rollback()
    return dict(session.execute(select(Order.number, Customer.code).join(Order.customer)).all())


@pytest.mark.usefixtures("company")
def test_a_customer_is_merged_as_previewed(browse: Browse, session: Any) -> None:
    page = browse("finance")
    page.goto("/customers/merge")
    page.keyboard.type("ALFKI")
    page.get_by_label("Merge into it").fill("ALFRE")
    page.keyboard.press("Enter")
    page.wait_for_url("**/customers/merge?**")
    orders = page.get_by_role("region", name="Orders")
    expect(orders.locator("tbody tr").nth(0)).to_contain_text("Rp 1,230,000.00")
    expect(orders.locator("tbody tr").nth(1)).to_contain_text("Rp 230,000.00")
    assert set(owners(session).values()) == {"ALFKI", "ALFRE"}
    page.get_by_role("radio", name="City: Hamburg").check()
    page.get_by_role("button", name="Merge ALFRE into ALFKI").click()

    page.wait_for_url("**/customers/ALFKI")
    expect(page.get_by_text("is merged into ALFKI · Alfreds Futterkiste.")).to_be_visible()
    expect(page.locator(".facts")).to_contain_text("Hamburg")
    assert set(owners(session).values()) == {"ALFKI"}
    page.goto("/customers/ALFRE")
    expect(page.get_by_text("ALFRE was merged into this customer.")).to_be_visible()


@pytest.mark.usefixtures("company")
def test_two_customers_are_chosen_by_typing(browse: Browse) -> None:
    page = browse("finance")
    page.goto("/customers/merge")
    expect(page.get_by_label("Keep")).to_be_focused()
    page.keyboard.type("berg")
    expect(page.locator("#survivor-options option")).to_have_count(1)
    page.get_by_label("Merge into it").fill("ALFRE")
    page.keyboard.press("Enter")
    page.wait_for_url("**/customers/merge?**")
    expect(page.get_by_role("button", name="Merge ALFRE into BERGS")).to_be_visible()
    page.get_by_role("link", name="The other way round").click()
    expect(page.get_by_role("button", name="Merge BERGS into ALFRE")).to_be_visible()


@pytest.mark.usefixtures("company")
def test_a_customer_is_changed_by_keyboard_and_a_second_editor_sees_the_difference(
    browse: Browse, session: Any
) -> None:
    page, other = browse("finance"), browse("finance")
    other.goto("/customers/BERGS/edit")
    page.goto("/customers/BERGS")
    page.keyboard.press("e")
    page.wait_for_url("**/edit")
    page.get_by_label("City").fill("Umeå")
    page.keyboard.press("Control+s")
    page.wait_for_url("**/customers/BERGS")
    expect(page.get_by_text("Customer BERGS is saved.")).to_be_visible()
    other.get_by_label("Phone").fill("0921-12 34 65")
    other.keyboard.press("Control+s")
    expect(other.get_by_text("saved this at")).to_be_visible()
    expect(other.get_by_label("City")).to_have_value("Umeå")
    expect(other.get_by_label("Phone")).to_have_value("0921-12 34 65")
    other.get_by_role("button", name="Save").click()
    other.wait_for_url("**/customers/BERGS")
    other.get_by_role("link", name="History").click()
    expect(other.locator(".history-event")).to_have_count(3)


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_customer_screen_is_sound_in_every_look(
    browse: Browse, is_sound: Callable[[Page, str], None], language: str
) -> None:
    page = browse("finance", language=language)
    for name, path in {
        "list": "/customers",
        "record": "/customers/ALFKI",
        "new": "/customers/new",
        "edit": "/customers/ALFKI/edit",
        "kept": "/customers/ALFKI/delete",
        "delete": "/customers/BERGS/delete",
        "choose": "/customers/merge",
        "preview": "/customers/merge?survivor=ALFKI&duplicate=ALFRE",
        "refused": "/customers/merge?survivor=ALFKI&duplicate=nobody",
    }.items():
        page.goto(path)
        is_sound(page, f"customers-{name}")
    page.goto("/customers/merge?survivor=ALFKI&duplicate=ALFRE")
    page.locator("form.merge button[type=submit]").click()
    page.wait_for_url("**/customers/ALFKI")
    is_sound(page, "customers-merged")
    page.goto("/customers/ALFKI/history")
    is_sound(page, "customers-history")
    page.goto("/customers/new")
    page.locator("#customer-form button[type=submit]").click()
    expect(page.locator(".error-summary")).to_be_visible()
    is_sound(page, "customers-new-refused")
