"""Browser windows that tests use one after the other: a new one starts a process, which costs three pages."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from playwright.sync_api import Browser

from tests.browser.looks import AXE, resize

LASTING = (
    "on",
    "once",
    "route",
    "add_init_script",
    "add_locator_handler",
    "expose_function",
    "set_extra_http_headers",
    "emulate_media",
)
"""What a test does to a page that would last into the next test."""

PROBE = "/is-routed"
PROBED = f"""async () => {{
  while ((await fetch("{PROBE}")).status !== 204);
}}"""


def between_tests(_environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The WSGI app of an empty page, which stays in the process of the app's pages (Cross-Origin-Opener-Policy)."""
    headers = [("Content-Type", "text/html"), ("Cross-Origin-Opener-Policy", "same-origin")]
    start_response("200 OK", headers)
    return [b"<!DOCTYPE html><title>Between tests</title><link rel=icon href=data:,>"]


class Window:
    """A page in a browser context of its own, and the script errors and refused resources that it reported."""

    def __init__(
        self, chromium: Browser, address: str, has_axe: bool, options: dict[str, Any]
    ) -> None:
        self.address = address
        self.complaints: list[str] = []
        self.context = chromium.new_context(base_url=address, **options)
        self.page = self.context.new_page()
        if has_axe:
            self.page.add_init_script(AXE)  # a third of the cost of adding it to an open page
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._note)
        self.browser = self.context.new_cdp_session(self.page)
        self.is_changed = False
        for name in LASTING:
            setattr(self.page, name, self._noting(getattr(self.page, name)))
        self.page.route = self._in_force(self.page.route)  # type: ignore[method-assign]

    def _in_force(self, route: Callable[..., Any]) -> Callable[..., Any]:
        """Return `route` so that it ends only when the open page's requests are routed.

        Chromium says that it routes before the page does: on a busy machine a request made at once, as by a key, still
        reached the server, and Playwright never reported it.
        """

        def routed(*arguments: Any, **named: Any) -> None:
            route(*arguments, **named)
            if self.page.url.startswith(self.address):
                route(f"{self.address}{PROBE}", lambda request: request.fulfill(status=204))
                self.page.evaluate(PROBED)

        return routed

    def _noting(self, change: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any, **named: Any) -> Any:
            self.is_changed = True
            return change(*arguments, **named)

        return noted

    def _note(self, line: Any) -> None:
        # Errors that a test provokes (a 4xx, a lost connection) are logged too; they are no fault of the page.
        provoked = ("Failed to load resource", "Failed to fetch")
        if line.type == "error" and not any(words in line.text for words in provoked):
            self.complaints.append(line.text)

    def can_be_used_again(self) -> bool:
        """Whether the test left nothing behind but an address, cookies and what the page stored."""
        return not self.is_changed and self.context.pages == [self.page]

    def empty(self) -> None:
        """Leave the page and forget its cookies, what it stored and where it has been."""
        self.page.goto("/")
        self.browser.send(
            "Storage.clearDataForOrigin", {"origin": self.address, "storageTypes": "all"}
        )
        self.browser.send("Page.resetNavigationHistory")
        self.complaints.clear()


class Windows:
    """The windows at one address that wait for the next test, by the options that they were opened with."""

    def __init__(self, chromium: Browser, address: str) -> None:
        self.chromium = chromium
        self.address = address
        self._waiting: defaultdict[tuple[Any, ...], list[Window]] = defaultdict(list)
        self._taken: list[tuple[tuple[Any, ...], Window]] = []

    def take(self, width: str, has_axe: bool, **options: Any) -> Window:
        """A window that nothing has been done in; `has_axe`: axe-core comes with every page."""
        key = (has_axe, *sorted(options.items()))
        waiting = self._waiting[key]
        window = waiting.pop() if waiting else Window(self.chromium, self.address, has_axe, options)
        self._taken.append((key, window))
        resize(window.page, width)
        return window

    def put_back(self) -> list[str]:
        """Empty what has been taken or, if it cannot be used again, close it; what the pages complained about."""
        taken, self._taken = self._taken, []
        complaints = [complaint for _, window in taken for complaint in window.complaints]
        for key, window in taken:
            if window.can_be_used_again():
                window.empty()
                self._waiting[key].append(window)
            else:
                window.context.close()
        return complaints
