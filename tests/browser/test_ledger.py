"""The journal by keyboard, and the ledger in every look: both languages, dark, narrow, axe."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from backoffice.base import periods
from backoffice.ledger import actions
from backoffice.ledger.models import Account
from tests.browser.looks import LANGUAGES
from tests.factories.ledger import AccountFactory, draft, of, posted

PASTE = """([selector, block]) => {
    const data = new DataTransfer();
    data.setData("text/plain", block);
    document.querySelector(selector).dispatchEvent(
        new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true}));
}"""


@pytest.fixture
def chart(session: Any) -> dict[str, Account]:
    made = {
        code: AccountFactory(code=code, name=name, type=kind)
        for code, name, kind in (
            ("1100", "Bank", "asset"), ("4100", "Sales", "revenue"), ("5100", "Rent", "expense"),
        )
    }  # fmt: skip
    session.commit()
    return made


def test_an_entry_is_typed_by_keys_alone_and_both_totals_follow(
    session: Any, browse: Callable[..., Page], chart: dict[str, Account]
) -> None:
    page = browse("finance")
    page.goto("/ledger/entries/new")
    expect(page.locator("#number")).to_be_focused()
    total = page.locator("#entry-totals")
    page.locator("#lines-0-account").focus()
    for text in ("1100", "Tab", "Sold", "Tab", "1000", "Enter"):
        if text in ("Tab", "Enter"):
            page.keyboard.press(text)
        else:
            page.keyboard.type(text)
    expect(page.locator("#lines-1-debit")).to_be_focused()
    expect(total).to_contain_text("Difference Rp 1,000.00")
    page.locator("#lines-1-account").focus()
    page.keyboard.type("4100")
    page.locator("#lines-1-credit").focus()
    page.keyboard.type("1000")
    expect(total).to_contain_text("Balanced")
    page.locator("#lines-2-debit").focus()
    page.keyboard.press("Enter")  # Enter in the last row adds rows
    expect(page.locator("#lines-3-debit")).to_be_focused()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".badge-tone")).to_have_text("Draft")
    page.keyboard.press("p")
    page.get_by_role("button", name="Post").click()
    expect(page.locator(".badge-tone")).to_have_text("Posted")
    page.get_by_role("link", name="Reverse").click()
    page.fill("input[name=memo]", "Booked twice")
    page.keyboard.press("Control+s")
    expect(page.get_by_text("Reversed by")).to_be_visible()
    session.rollback()
    assert [session.get_one(Account, chart[code].id).balance for code in ("1100", "4100")] == [0, 0]
    session.rollback()


def test_rows_are_pasted_and_removed(
    session: Any, browse: Callable[..., Page], chart: dict[str, Account]
) -> None:
    page = browse("finance")
    page.goto("/ledger/entries/new")
    block = "1100\tOne\t10.00\t\n1100\tTwo\t20.00\t\n5100\tThree\t5.00\t\n4100\tFour\t\t30.00\n4100\tFive\t\t5.00"
    page.locator("#lines-0-account").focus()
    page.evaluate(PASTE, ["#lines-0-account", block])
    expect(page.locator("#lines-4-credit")).to_have_value("5.00")
    expect(page.locator("#entry-totals")).to_contain_text("Balanced")
    page.get_by_role("button", name="Remove line 3").click()
    expect(page.locator("#entry-totals")).to_contain_text("Difference")
    expect(page.locator("#lines-2-memo")).to_have_count(0)
    page.get_by_role("button", name="Remove line 5").click()
    expect(page.locator("#entry-totals")).to_contain_text("Balanced")
    page.keyboard.press("Control+s")
    expect(page.locator("tfoot")).to_contain_text("30.00")
    page.keyboard.press("c")
    expect(page.locator("#lines-2-memo")).to_have_value("Four")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_ledger_is_sound_in_every_look(
    session: Any,
    browse: Callable[..., Page],
    is_sound: Any,
    language: str,
    chart: dict[str, Account],
) -> None:
    bank, sales, rent = chart.values()
    first = posted(of(bank, 1000, "March"), of(sales, -1000), day=date(2026, 3, 2), memo="Sold")
    owed = AccountFactory(code="1200", name="Receivables", role="receivables")
    unposted = draft(of(rent, 30), of(bank, -20), of(owed, 2), memo="Rent")
    actions.reverse(session, first.id, {"entry_date": periods.today(), "memo": "Booked twice"})
    ruled = posted(
        of(bank, 70), of(sales, -70), day=periods.today(), memo="Sold again", document="invoices/1",
        document_date=periods.today(),
    )  # fmt: skip
    session.commit()
    page = browse("finance", language=language)
    entry = f"/ledger/entries/{first.number}"
    for name, address in (
        ("journal", "/ledger/entries"), ("drafts", "/ledger/entries?status=draft"), ("entry", entry),
        ("entry-draft", f"/ledger/entries/{unposted.number}"), ("entry-history", f"{entry}/history"),
        ("entry-edit", f"/ledger/entries/{unposted.number}/edit"),
        ("entry-post", f"/ledger/entries/{unposted.number}/post"),
        ("entry-reverse", f"/ledger/entries/{ruled.number}/reverse"),
        ("entry-copy", f"/ledger/entries/new?copy={first.number}"),
        ("accounts", "/ledger/accounts"), ("account", "/ledger/accounts/1100"),
        ("account-new", "/ledger/accounts/new"),
        ("account-statement", "/ledger/accounts/1100/statement?since=2026-03-03"),
        ("account-calculation", "/ledger/accounts/1100/calculation"),
        ("trial-balance", "/ledger/trial-balance"),
    ):  # fmt: skip
        page.goto(address)
        is_sound(page, f"ledger-{name}")
    page.goto("/ledger/entries/new")
    page.fill("#lines-0-account", "1200")
    expect(page.locator("#entry-controlled")).to_contain_text("1200")
    page.fill("#lines-0-account", "None such")
    expect(page.locator("#entry-controlled")).to_be_empty()
    page.fill("#lines-0-debit", "5")
    page.keyboard.press("Control+s")
    expect(page.locator("[data-error-summary]")).to_be_visible()
    is_sound(page, "ledger-entry-refused")
