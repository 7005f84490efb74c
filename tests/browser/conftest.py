"""A real Chromium on the real app: a live server on the tests' database, and the checks of every page.

`browse(role)` returns a signed-in page; `axe(page)` fails on any finding; `is_sound(page, name)` checks a page as it
is in every look, and with BACKOFFICE_SCREENSHOTS=folder takes screenshots.
"""

import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect, sync_playwright
from werkzeug.serving import BaseWSGIServer, make_server

from tests.browser.looks import LANGUAGES, WIDTHS, Seen, assert_no_axe_findings, wear
from tests.browser.windows import Windows, between_tests
from tests.signing_in import cookie_for, someone

HERE = Path(__file__).parent
PATIENCE = 20_000
"""Milliseconds to wait for an expectation; on a busy machine the usual five seconds are not enough."""

expect.set_options(timeout=PATIENCE)

CHROMIUM = next(
    filter(
        None,
        map(
            shutil.which,
            ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"),
        ),
    ),
    None,
)
"""The headless shell is the same engine without windows: a page costs a third."""

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--js-flags=--no-opt,--no-maglev",
]
"""Without the optimising compilers: no page runs long enough to earn back what they cost, an eighth of all."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all of them slow; without a Chromium, report how to install one."""
    how = "No Chromium here. Install it with: apt-get install chromium-headless-shell (or brew install chromium)"
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)
            if not CHROMIUM:
                item.add_marker(pytest.mark.skip(reason=how))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for all tests; every test gets separate windows."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server() -> Iterator[BaseWSGIServer]:
    """A real port; between tests it has only an empty page."""
    server = make_server("127.0.0.1", 0, between_tests, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=[0.02], daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join(timeout=10)
    server.server_close()


@pytest.fixture
def live_server(app: Flask, server: BaseWSGIServer) -> Iterator[str]:
    """The app on a real port with CSRF protection; its address."""
    app.config["WTF_CSRF_ENABLED"] = True
    server.app = app
    yield address_of(server)
    server.app = between_tests


def address_of(server: BaseWSGIServer) -> str:
    """Where a browser finds it."""
    return f"http://127.0.0.1:{server.server_port}"


@pytest.fixture(scope="session")
def windows(chromium: Browser, server: BaseWSGIServer) -> Windows:
    """The windows of all tests of this process."""
    return Windows(chromium, address_of(server))


@pytest.fixture
def open_page(
    windows: Windows, server: BaseWSGIServer, live_server: str, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Page]]:
    """`open_page(width="narrow", language="id", theme="dark")`: a window that is not signed in.

    A script error or a refused (CSP) resource on any page fails the test.
    """

    has_axe = "seen" in request.fixturenames

    def open_page(
        width: str = "wide", language: str = "en", theme: str = "light", **options: Any
    ) -> Page:
        window = windows.take(width, has_axe, **{"reduced_motion": "reduce"} | options)
        for name, value in (("language", language), ("theme", theme)):
            window.context.add_cookies([{"name": name, "value": value, "url": live_server}])
        return window.page

    yield open_page
    server.app = between_tests
    complaints = windows.put_back()
    assert not complaints, f"The browser complained: {complaints}"


@pytest.fixture
def browse(app: Flask, live_server: str, open_page: Callable[..., Page]) -> Callable[..., Page]:
    """`browse("finance", width=…, language=…, theme=…)`: a window signed in as a user of this role.

    `browse(user)` with a committed user signs in as them.
    """

    def browse(
        who: str | Any = "finance", language: str = "en", number_format: str = "", **options: Any
    ) -> Page:
        chosen = {"language": language, "number_format": number_format}
        user_id = someone(app, who, **chosen) if isinstance(who, str) else who.id
        page = open_page(language=language, **options)
        name, value = cookie_for(app, user_id)
        page.context.add_cookies([{"name": name, "value": value, "url": live_server}])
        return page

    return browse


@pytest.fixture
def axe() -> Callable[[Page], None]:
    """`axe(page)`: axe-core finds nothing on the page, by WCAG 2.2 AA and its best practices."""
    return assert_no_axe_findings


@pytest.fixture
def screenshot() -> Callable[[Page, str], None]:
    """`screenshot(page, "order")`: a screenshot for people; only on request."""

    def screenshot(page: Page, name: str, full_page: bool = True) -> None:
        folder = os.environ.get("BACKOFFICE_SCREENSHOTS")
        if folder:
            page.screenshot(
                path=Path(folder) / f"{name}.png", full_page=full_page, animations="disabled"
            )

    return screenshot


@pytest.fixture(scope="session")
def seen() -> Seen:
    """The parts of pages that this process has already found sound."""
    return Seen()


@pytest.fixture
def is_sound(seen: Seen, screenshot: Callable[[Page, str], None]) -> Callable[..., None]:
    """`is_sound(page, "order")`: in every look of its language, axe finds nothing and the page fits the width.

    The page itself stays as it was, wide and light. A test calls it in both languages.
    """

    def is_sound(page: Page, name: str, widths: Iterable[str] = WIDTHS) -> None:
        seen.examine(page, name, widths, screenshot)
        wear(page, "light", "wide")

    return is_sound


@pytest.fixture
def every_look(
    browse: Callable[..., Page], seen: Seen, screenshot: Callable[[Page, str], None]
) -> Callable[..., None]:
    """`every_look({"orders": "/orders"})`: each, opened once per language, is sound in every look."""

    def every_look(screens: Mapping[str, str], who: str | Any = "finance") -> None:
        for language in LANGUAGES:
            page = browse(who, language=language)
            for name, path in screens.items():
                page.goto(path)
                assert page.evaluate("document.documentElement.lang") == language, path
                seen.examine(page, name, WIDTHS, screenshot)

    return every_look
