"""A theme changes only colours and a language only words, so findings in one look hold in the others."""

import re

from backoffice.app.config import ROOT

SAYS_WHICH = {"base.html", "shell/preferences.html"}
"""The templates that write the theme or the language, and mark the pressed button."""

FOLDER = ROOT / "templates"


def asking_for(name: str) -> set[str]:
    """The templates with an expression that reads this variable; a sentence may contain its name."""
    asks = re.compile(rf"\{{[{{%][^}}]*(?<![\w.]){name}\b[^}}]*[}}%]\}}")
    texts = {p: re.sub(r'_\("[^"]*"', "_(", p.read_text()) for p in FOLDER.rglob("*.html")}
    return {str(p.relative_to(FOLDER)) for p, text in texts.items() if asks.search(text)}


def test_no_page_says_another_thing_in_another_theme() -> None:
    assert asking_for("theme") == SAYS_WHICH | {"shell/head.html"}


def test_a_theme_is_nothing_but_the_scheme_of_colours() -> None:
    sheet = (ROOT / "static" / "app.css").read_text()
    rules = re.findall(r"\[data-bs-theme[^\]]*\][^{]*\{([^}]*)\}", sheet)
    chosen = [r.strip() for r in rules if "--" not in r]
    assert chosen == ["color-scheme: light;", "color-scheme: dark;"], chosen
    schemes = re.findall(r"prefers-color-scheme", sheet)
    assert not schemes, "a user's choice would count for less than their system's"


def test_no_script_asks_for_the_theme() -> None:
    assert "heme" not in (ROOT / "static" / "app.js").read_text()


def test_no_page_is_built_otherwise_in_another_language() -> None:
    assert asking_for("language") == SAYS_WHICH
    for sheet in (ROOT / "static").rglob("*.css"):
        assert not re.search(r":lang\(|\[lang\b", sheet.read_text()), sheet.name
    assert "documentElement.lang" not in (ROOT / "static" / "app.js").read_text()
