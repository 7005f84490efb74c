"""The checks of a page in every look: axe finds nothing, the page fits, and nothing is examined twice.

Contrast depends on the text colour, the background, the size and the weight (WCAG 1.4.3), here an *ink*: a page is
checked in a theme only for inks not yet found sound there. An element shown in only one of the widths has a *shape*:
if all of them have been checked, the names and roles of the page are those checked in the wide look.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

AXE = (Path(__file__).parent / "vendor" / "axe-core-4.14.1" / "axe.min.js").read_text()

STILL = """async () => {
    const moving = () => document.getAnimations().filter(
        animation => animation.effect.getComputedTiming().endTime !== Infinity);
    while (moving().length) await Promise.allSettled(moving().map(animation => animation.finished));
}"""
"""Wait for animations to end: colours are intermediate during a transition."""

TOO_WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"

WIDTHS = {"wide": (1280, 800), "narrow": (390, 844)}
LANGUAGES = ("en", "id")
THEMES = ("light", "dark")

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS = ["color-contrast", "link-in-text-block"]
"""Rules that another theme may break: it changes only colours (tests/shell/test_themes.py)."""
ROOM = [
    "target-size",
    "scrollable-region-focusable",
    "landmark-unique",
    "label-content-name-mismatch",
]
"""Rules that less room may break, whatever the content."""
NAMES = [
    "aria-command-name",
    "aria-dialog-name",
    "aria-input-field-name",
    "aria-meter-name",
    "aria-progressbar-name",
    "aria-toggle-field-name",
    "aria-tooltip-name",
    "button-name",
    "document-title",
    "empty-heading",
    "empty-table-header",
    "form-field-multiple-labels",
    "html-has-lang",
    "html-lang-valid",
    "html-xml-lang-mismatch",
    "image-alt",
    "input-button-name",
    "label",
    "label-title-only",
    "link-name",
    "role-img-alt",
    "select-name",
    "summary-name",
    "svg-img-alt",
    "table-duplicate-name",
    "valid-lang",
]
"""Rules that other words may break."""

EVERYTHING: dict[str, Any] = {"runOnly": RULES}
ONLY_COLOURS = {"runOnly": {"type": "rule", "values": COLOURS}}
NO_COLOURS = {"runOnly": RULES, "rules": {rule: {"enabled": False} for rule in COLOURS}}
ONLY_ROOM = {"runOnly": {"type": "rule", "values": ROOM}}
ONLY_WORDS = {"runOnly": {"type": "rule", "values": [*ROOM, *NAMES]}}

IN_COLOUR = (("light", "wide"), ("light", "narrow"), ("dark", "narrow"), ("dark", "wide"))
"""An order in which a page is laid out anew only twice."""
IN_WORDS = (("light", "wide"), ("light", "narrow"))
"""Another language changes only words (tests/shell/test_themes.py), so its colours have been checked."""

WEAR = """theme => {
    if (document.documentElement.dataset.bsTheme === theme) return;
    document.documentElement.dataset.bsTheme = theme;
    document.querySelector("meta[name=color-scheme]").content = theme;
    for (const button of document.querySelectorAll("button[name=theme]"))
        button.setAttribute("aria-pressed", button.value === theme);
}"""
"""Set another theme on an open page, as the server would have rendered it."""

INKS = """() => {
    const grounds = new Map([[null, ""]]);
    const groundOf = element => {
        if (grounds.has(element)) return grounds.get(element);
        const style = getComputedStyle(element), colour = style.backgroundColor;
        const other = [style.backgroundImage, style.opacity, style.filter, style.mixBlendMode].join(" ");
        const isPlain = other === "none 1 none normal", isClear = colour === "rgba(0, 0, 0, 0)";
        const lies = ["static", "relative"].includes(style.position) ? "" : `${element.tagName}.${element.className} `;
        const own = (isPlain ? "" : other + " ") + (isClear ? "" : colour + " ") + (isClear && isPlain ? "" : lies);
        const hides = isPlain && colour.startsWith("rgb(");
        const ground = own + (hides ? "" : groundOf(element.parentElement));
        grounds.set(element, ground);
        return ground;
    };
    const isLarge = ({fontSize, fontWeight}) =>
        parseFloat(fontSize) >= (parseInt(fontWeight) >= 700 ? 18.66 : 24) ? "large" : "";
    const inkOf = style => [style.color, isLarge(style), style.textShadow, style.fontWeight >= 600 ? "bold" : "",
        style.textDecorationLine, style.borderBottomStyle].join(" ");
    const inked = window.inked = new Map();
    for (const element of document.body.querySelectorAll("*")) {
        const says = [...element.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.data.trim());
        if (!says && !element.matches("input, select, textarea") || !element.checkVisibility()) continue;
        const link = element.closest("a");
        const ink = [inkOf(getComputedStyle(element)), link ? "in " + inkOf(getComputedStyle(link.parentElement)) : "",
            element.matches(":disabled, [aria-disabled=true]") ? "off" : "", groundOf(element)].join(" / ");
        inked.set(ink, [...inked.get(ink) || [], element]);
    }
    return [...inked.keys()];
}"""
"""Every ink of visible text, with its background; the page keeps the elements of each."""

REMEMBER = """() => {
    window.shownWide = new Set([...document.body.querySelectorAll("*")].filter(e => e.checkVisibility()));
}"""

SHAPES = r"""() => {
    const wide = window.shownWide;
    if (!wide) return null;
    const differs = e => e.checkVisibility() !== wide.has(e);
    const shapeOf = e => e.tagName + "." + e.className + " " + [...e.attributes].map(a => a.name).sort().join(" ");
    const varies = / (value|href|action|name|id|for|aria-current|aria-describedby|aria-controls)="[^"]*"|[0-9]+/g;
    const wholeOf = e => e.outerHTML.replace(varies, "").replace(/>[^<>]*[^<>\s][^<>]*</g, ">words<");
    const acts = "a, button, input, select, textarea, summary, [role], [tabindex='0']";
    const shapes = new Set();
    for (const element of document.body.querySelectorAll("*")) {
        if (!differs(element) || differs(element.parentElement)) continue;
        const whole = element.closest(acts) || (element.querySelector(acts) && element);
        shapes.add((whole ? wholeOf(whole) : shapeOf(element.parentElement)) + " > " + shapeOf(element));
    }
    return [...shapes];
}"""
"""The shapes of elements that are visible now and were not in the wide look, or the reverse."""


SHOW = f"""async ([theme, width, hasNewColours]) => {{
    ({WEAR})(theme);
    await ({STILL})();
    const isOfNames = hasNewColours && theme === "light", isWide = width === "wide";
    const shown = {{
        pixels: ({TOO_WIDE})(),
        shapes: isOfNames && !isWide ? ({SHAPES})() : null,
        inks: hasNewColours ? ({INKS})() : [],
    }};
    if (isOfNames && isWide) ({REMEMBER})();
    return shown;
}}"""
"""Wear the theme, then tell in one answer how much is too wide, the shapes and the inks."""

# No rule used here reads the style sheets and media that axe would fetch first. The elements of the inks are found
# anew, as the page may have replaced some since.
FINDINGS = f"""async ([rules, inks]) => {{
    if (!window.axe) return null;
    await ({STILL})();
    if (inks) ({INKS})();
    const place = inks ? {{include: inks.flatMap(ink => window.inked.get(ink) || [])}} : document;
    if (inks && !place.include.length) return [];
    return (await axe.run(place, {{...rules, resultTypes: ["violations"], preload: false}})).violations;
}}"""


def findings_of(page: Page, rules: Any, inks: Sequence[str] | None = None) -> list[str]:
    """axe-core's findings on the page, or on its elements in these inks: the element and the remedy."""
    findings = page.evaluate(FINDINGS, [rules, inks])
    if findings is None:
        page.evaluate(AXE)
        findings = page.evaluate(FINDINGS, [rules, inks])
    return [
        f"{finding['id']}: {node['html'][:200]}\n   {node['failureSummary']}"
        for finding in findings
        for node in finding["nodes"]
    ]


def assert_no_axe_findings(
    page: Page, rules: Any = EVERYTHING, inks: Sequence[str] | None = None
) -> None:
    """Fail with every finding of axe-core, its element and the remedy."""
    reported = findings_of(page, rules, inks)
    assert not reported, f"axe-core on {page.url}:\n" + "\n".join(reported)


def wear(page: Page, theme: str, width: str) -> None:
    """Show the open page in this theme and width."""
    resize(page, width)
    page.evaluate(WEAR, theme)


def resize(page: Page, width: str) -> None:
    """Show the open page in this width."""
    if not is_as_wide(page, width):
        across, down = WIDTHS[width]
        page.set_viewport_size({"width": across, "height": down})


def is_as_wide(page: Page, width: str) -> bool:
    """Whether the page is shown in this width."""
    across, down = WIDTHS[width]
    return page.viewport_size == {"width": across, "height": down}


@dataclass
class Seen:
    """The parts already found sound in this process: inks by theme, and shapes that only one width shows."""

    inks: dict[str, set[str]] = field(default_factory=lambda: {theme: set() for theme in THEMES})
    shapes: set[str] = field(default_factory=set)

    def examine(
        self, page: Page, name: str, widths: Iterable[str], picture: Callable[[Page, str], None]
    ) -> None:
        """Check the page in every look of its language; it is left in the last of them."""
        language = page.evaluate("document.documentElement.lang")
        is_first = language == LANGUAGES[0]
        in_words = reversed(IN_WORDS) if is_as_wide(page, "narrow") else IN_WORDS
        for theme, width in IN_COLOUR if is_first else in_words:
            if width not in widths:
                continue
            resize(page, width)
            shown = page.evaluate(SHOW, [theme, width, is_first])
            look = f"{name}-{language}-{theme}-{width}"
            picture(page, look)
            try:
                if theme == THEMES[0]:
                    self._examine_names(page, width, is_first, shown["shapes"])
                    assert (pixels := shown["pixels"]) <= 0, f"{pixels} pixels too wide"
                if is_first:
                    self._examine_colours(page, theme, shown["inks"])
            except AssertionError as error:
                raise AssertionError(f"{look}, {page.url}: {error}") from None

    def _examine_names(
        self, page: Page, width: str, is_first: bool, shapes: list[str] | None
    ) -> None:
        if not is_first:
            if width == "narrow":
                assert_no_axe_findings(page, ONLY_WORDS)
            return
        is_known = shapes is not None and self.shapes.issuperset(shapes)
        assert_no_axe_findings(page, ONLY_ROOM if is_known else NO_COLOURS)
        self.shapes.update(shapes or ())

    def _examine_colours(self, page: Page, theme: str, inks: list[str]) -> None:
        if new := [ink for ink in inks if ink not in self.inks[theme]]:
            assert_no_axe_findings(page, ONLY_COLOURS, new)
            there = page.evaluate("() => [...window.inked.keys()]")
            self.inks[theme].update(set(new).intersection(there))
