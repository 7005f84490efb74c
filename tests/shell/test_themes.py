"""A theme changes colours and nothing else, so a look at one theme has seen the other one's page, too."""

import re

from backoffice.app.config import ROOT

SAYS_WHICH = {"base.html", "shell/preferences.html"}
"""The templates that write the theme down, and which button is pressed."""


def test_no_page_says_another_thing_in_another_theme() -> None:
    folder = ROOT / "templates"
    asks = re.compile(r"\{[{%][^}]*\btheme\b[^}]*[}%]\}")
    asking = {
        str(p.relative_to(folder)) for p in folder.rglob("*.html") if asks.search(p.read_text())
    }
    assert asking == SAYS_WHICH


def test_a_theme_is_nothing_but_the_scheme_of_colours() -> None:
    sheet = (ROOT / "static" / "app.css").read_text()
    rules = re.findall(r"\[data-bs-theme[^\]]*\][^{]*\{([^}]*)\}", sheet)
    chosen = [r.strip() for r in rules if "--" not in r]
    assert chosen == ["color-scheme: light;", "color-scheme: dark;"], chosen
    schemes = re.findall(r"prefers-color-scheme", sheet)
    assert not schemes, "somebody's choice would count for less than their system's"


def test_no_script_asks_for_the_theme() -> None:
    assert "heme" not in (ROOT / "static" / "app.js").read_text()
