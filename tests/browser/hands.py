"""Input and network actions that Playwright's pages have no method for."""

from re import Pattern

from playwright.sync_api import Page, Route


def paste(page: Page, selector: str, block: str) -> None:
    """Paste `block` into the cell, as a spreadsheet's clipboard would."""
    page.locator(selector).focus()
    page.evaluate(
        """([selector, block]) => {
            const data = new DataTransfer();
            data.setData('text/plain', block);
            const event = new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true});
            document.querySelector(selector).dispatchEvent(event);
        }""",
        [selector, block],
    )


def hold_the_first(page: Page, address: str | Pattern[str]) -> list[Route]:
    """Hold the first request to the address without an answer; later ones go on."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route(address, hold)
    return held


def wait_for_a_frame(page: Page) -> None:
    """Wait until the page has rendered another frame: from then on, elements covered by a dialog can take the focus."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
