"""A window that is used again is as good as a new one."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.browser.hands import wait_for_a_frame
from tests.browser.windows import Window, Windows

LEFT = """() => ({
    stored: [localStorage.length, sessionStorage.length],
    cookies: document.cookie,
    visited: history.length,
    hovered: document.querySelectorAll(":hover").length,
})"""

FIELD = "input:not([type=hidden])"


def use(window: Window) -> None:
    """Leave behind what a test leaves: cookies, storage, a history, a filled field and a resting mouse."""
    for path in ("/login", "/login?next=/today"):
        window.page.goto(path)
    window.page.evaluate("document.cookie = 'a=b'; localStorage.a = sessionStorage.a = 'b'")
    window.page.locator(FIELD).first.fill("typed")
    window.page.mouse.move(200, 200)
    assert window.page.evaluate(LEFT)["hovered"]


def test_nothing_of_the_last_test_is_left_in_a_window(live_server: str, windows: Windows) -> None:
    first = windows.take("narrow", has_axe=False)
    use(first)
    assert windows.put_back() == []
    second = windows.take("wide", has_axe=False)
    assert second is first
    assert second.context.cookies() == []
    second.page.goto("/login")
    wait_for_a_frame(second.page)
    nothing = {"stored": [0, 0], "cookies": "", "visited": 2, "hovered": 0}
    assert second.page.evaluate(LEFT) == nothing
    assert second.page.evaluate("[innerWidth, innerHeight]") == [1280, 800]
    assert second.page.locator(FIELD).first.input_value() == ""
    windows.put_back()


CHANGES: dict[str, Callable[[Page], object]] = {
    "answers to dialogs": lambda page: page.on("dialog", lambda dialog: dialog.accept()),
    "requests held": lambda page: page.route("**/today", lambda route: route.abort()),
    "a script on every page": lambda page: page.add_init_script("window.changed = true"),
    "print": lambda page: page.emulate_media(media="print"),
    "a second page": lambda page: page.context.new_page(),
    "only a second page": lambda page: (page.context.new_page(), page.close()),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_window_that_was_changed_for_good_is_closed(
    what: str, live_server: str, windows: Windows
) -> None:
    changed = windows.take("wide", has_axe=False)
    CHANGES[what](changed.page)
    windows.put_back()
    assert windows.take("wide", has_axe=False) is not changed
    windows.put_back()


def test_what_a_page_complains_about_is_told_once(live_server: str, windows: Windows) -> None:
    window = windows.take("wide", has_axe=False)
    window.page.goto("/login")
    window.page.evaluate("console.error('Something is wrong')")
    assert windows.put_back() == ["Something is wrong"]
    assert windows.take("wide", has_axe=False) is window
    assert windows.put_back() == []
