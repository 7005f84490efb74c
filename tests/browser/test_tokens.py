"""Settings → Tokens in a real browser: created by keyboard, copied, revoked after confirmation."""

import re

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from backoffice.people import tokens
from backoffice.people.models import ApiToken


@pytest.mark.parametrize(
    ("language", "theme", "width"), [("en", "light", "wide"), ("id", "dark", "narrow")]
)
def test_every_token_screen_is_sound_and_a_token_is_made_and_revoked(
    language, theme, width, session, browse, axe, screenshot
):
    page = browse("admin", language=language, theme=theme, width=width)

    def is_sound(name):
        screenshot(page, f"{name}-{language}-{theme}-{width}")
        axe(page)
        scrolls = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert not page.evaluate(scrolls)

    page.goto("/settings/tokens")
    expect(page.locator(".empty-state")).to_be_visible()
    is_sound("tokens-none")
    page.locator(".page-actions a").click()
    expect(page.locator("[name=name]")).to_be_focused()
    page.keyboard.press("Control+s")
    expect(page.locator(".error-summary")).to_be_visible()
    is_sound("token-refused")
    page.locator("[name=name]").fill("prometheus")
    page.keyboard.press("Control+s")
    shown = page.locator("#secret")
    expect(shown).to_be_focused()
    expect(shown).to_have_value(re.compile(f"^{tokens.PREFIX}.{{43}}$"))
    assert page.evaluate("getSelection().toString()") == shown.input_value()
    is_sound("token-made")
    page.locator("main .form-actions a").click()
    is_sound("tokens")
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.accept()))
    page.locator("td form button").click()
    expect(page.locator(".badge-tone.tone-neutral")).to_be_visible()
    expect(page.locator("td form")).to_have_count(0)
    is_sound("tokens-revoked")
    assert "prometheus" in asked[0]
    assert session.scalars(select(ApiToken.revoked_at)).one() is not None
