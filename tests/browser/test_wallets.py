"""Wallets by keyboard, and in every look: both languages, dark, narrow, axe."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from backoffice.wallets import actions
from tests.browser.looks import LANGUAGES
from tests.factories.wallets import WalletFactory


def _wallets(session: Any) -> None:
    used = WalletFactory(number="W-1", customer__code="A", low_limit=Decimal(500))
    actions.recharge(session, used.id, Decimal(1000), reference="TRF-1")
    actions.charge(session, used.id, Decimal(700), service_type="vps", description="March")
    WalletFactory(number="W-2", customer=used.customer)
    session.commit()


def test_a_wallet_is_recharged_and_adjusted_by_keys_alone(
    session: Any, browse: Callable[..., Page]
) -> None:
    _wallets(session)
    page = browse("finance")
    page.goto("/wallets/W-1")
    for key, typed, balance in (
        ("r", ("250",), "Rp 550.00"),
        ("a", ("-50", "Miscounted"), "Rp 500.00"),
    ):
        page.keyboard.press(key)
        expect(page.locator("input[name=amount]")).to_be_focused()
        for number, text in enumerate(typed):
            if number:
                page.keyboard.press("Tab")
            page.keyboard.type(text)
        page.keyboard.press("Control+s")
        expect(page.locator(".figure-big")).to_have_text(balance)
    expect(page.locator("tbody").last).to_contain_text("Miscounted")


@pytest.mark.parametrize("language", LANGUAGES)
def test_wallets_are_sound_in_every_look(
    session: Any, browse: Callable[..., Page], is_sound: Any, language: str
) -> None:
    _wallets(session)
    page = browse("finance", language=language)
    for name, address in (
        ("wallets", "/wallets"), ("wallet", "/wallets/W-1"), ("wallet-empty", "/wallets/W-2"),
        ("wallet-adjust", "/wallets/W-1/adjust"), ("wallet-transaction", "/wallet-transactions/1"),
    ):  # fmt: skip
        page.goto(address)
        is_sound(page, name)
