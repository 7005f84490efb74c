"""The checks of every look find the faults they are meant to find, each in the language requested."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

WRITE = """([css, html]) => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    document.adoptedStyleSheets.push(sheet);
    document.querySelector("main").insertAdjacentHTML("beforeend", html);
}"""

NARROW = "@media (width > 600px) {.narrow {display: none}}"
DARK = "[data-bs-theme=dark] .narrow {color: #555}"
SMALL = ".small a {display: block; margin: 2em} @media (width < 600px) {.small a {margin: 0; font-size: 8px}}"
LINKS = "<a href=/a>aa</a><a href=/b>bb</a><a href=/c>cc</a>"
LONG = "pertanggungjawaban-keuangan-perusahaan-perseroan-terbatas-dan-umum"

BROKEN = {
    "pale": ("en", ".pale {color: #999; background: #fff}", "<p class=pale>Total</p>", "light-wide.*color-contrast"),
    "pale, dark and narrow": ("en", NARROW + DARK, "<p class=narrow>Total</p>", "dark-narrow.*color-contrast"),
    "nameless, narrow": ("en", NARROW, "<button class=narrow></button>", "light-narrow.*button-name"),
    "nameless, as its words are hidden": ("en", "@media (width < 600px) {.words {display: none}}",
                    "<button><span class=words>Save</span></button>", "light-narrow.*button-name"),
    "unlabelled": ("id", "", "<input type=text>", "light-narrow.*label"),
    "of one name": ("id", "", "<section aria-label=Uang>a</section><section aria-label=Uang>b</section>",
                    "light-narrow.*landmark-unique"),
    "too long": ("id", ".long {white-space: nowrap}", f"<p class=long>{LONG}</p>", "light-narrow.*too wide"),
    "too small": ("id", SMALL, f"<nav class=small aria-label=Dekat>{LINKS}</nav>", "light-narrow.*target-size"),
}  # fmt: skip
"""The language, style sheet and markup of each fault, and the look and rule that find it."""


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_seen(
    what: str, open_page: Callable[..., Page], is_sound: Callable[[Page, str], None]
) -> None:
    language, css, html, finding = BROKEN[what]
    page = open_page(language=language)
    page.goto("/login")
    is_sound(page, "whole")  # marks everything else on the page as checked
    page.evaluate(WRITE, [css, html])
    with pytest.raises(AssertionError, match=f"(?s)broken-{language}-{finding}"):
        is_sound(page, "broken")
