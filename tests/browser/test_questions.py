"""The confirmations of the invoice form in a real browser: both languages, light and dark, wide and narrow."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.billing.invoice_desk import invoice_of, wanjiru


@pytest.mark.parametrize(
    ("language", "theme", "width"), [("en", "light", "wide"), ("id", "dark", "narrow")]
)
def test_two_amounts_and_a_second_invoice_are_asked_about(
    session: Any,
    browse: Callable[..., Page],
    axe: Callable[..., None],
    screenshot: Callable[..., None],
    language: str,
    theme: str,
    width: str,
) -> None:
    invoice_of(session, wanjiru(session), number="INV-1")
    page = browse("finance", language=language, theme=theme, width=width)

    def is_sound(name: str) -> None:
        screenshot(page, f"questions-{name}-{language}-{theme}-{width}")
        page.mouse.move(0, 0)
        axe(page)
        assert page.evaluate(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        )

    page.goto("/billing/invoices/new?customer=C-1&meter=M-1&issued_on=2026-03-20")
    for name, text in (("units", "12.5"), ("rate", "100"), ("fixed_charge", "250")):
        page.locator(f"#{name}").fill(text)
    page.locator("#amount").fill("2000")
    page.keyboard.press("Control+s")
    expect(page.locator("input[name=holds]")).to_have_count(2)
    is_sound("two-amounts")
    page.locator("input[name=holds]").first.check()
    page.keyboard.press("Control+s")
    expect(page.locator("input[name=anyway]")).to_be_visible()
    expect(page.locator("input[name=holds]").first).to_be_checked()
    is_sound("second")
    page.locator("input[name=anyway]").check()
    page.keyboard.press("Control+s")
    page.wait_for_url("**/billing/invoices/INV-2026-*")
