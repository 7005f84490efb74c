"""A check that differs, and Health with it, in every look: both languages, dark, narrow, axe."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page, expect

from backoffice.drift import figure_status
from tests.browser.looks import LANGUAGES
from tests.drift.books import run_of
from tests.drift.whole_book import write_everything
from tests.surgery import past_every_trigger


@pytest.mark.leaves_drift
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_check_that_differs_is_sound_in_every_look(
    session: Any, browse: Callable[..., Page], is_sound: Any, admin_database_url: str, language: str
) -> None:
    write_everything()
    with past_every_trigger(admin_database_url) as surgery:
        assert isinstance(surgery, psycopg.Connection)
        surgery.execute("UPDATE orders SET total_price = total_price + 7000000")
    run_of("figures.verify")
    figure_status.forget()
    page = browse("admin", language=language)
    page.goto("/health")
    is_sound(page, "checks-health")
    page.goto("/health/drift/checks/orders.lines")
    expect(page.locator("table").last).to_contain_text("-7,000,000.00")
    is_sound(page, "checks-differs")
    page.goto("/health/drift/checks/meters.balances")
    is_sound(page, "checks-same")
