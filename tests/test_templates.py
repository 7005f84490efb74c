"""Rules for templates: nothing inline, nothing that htmx evaluates, nothing unescaped, no untranslated words.

FAULTS.md, line 53.
"""

import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask import Flask
from jinja2 import Environment, nodes

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
STATIC = ROOT / "static"

VENDORED = {
    "htmx-4.0.1/htmx.min.js": "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
    "bootstrap-5.3.8/bootstrap.min.css": "d85327d99c7a3ee1f9b5d0500d1370acea3ad2db39c163c2f51f232baedbdede",
}

HTMX_4 = re.compile(
    r"hx-(get|post|put|patch|delete|action|method|target|swap|swap-oob|select|select-oob|trigger|sync"
    r"|include|indicator|disable|push-url|replace-url|vals|headers|confirm|validate|preserve|ignore"
    r"|encoding|boost|morph-skip|morph-skip-children|history-elt|config|status:[0-9x]+)"
    r"(:inherited)?(:append)?$"
)
"""Attributes of htmx 4 that a template may use. `hx-on` and htmx 2's names are not among them."""

FORBIDDEN = {
    r"<style\b": "an inline style sheet; put it into static/app.css",
    r"<script\b(?![^>]*\bsrc=)": "an inline script; put it into static/app.js",
    r"\sstyle\s*=": "an inline style; make it a class of static/app.css",
    r"<[^>]*\son[a-z]+\s*=\s*[\"']": "an inline handler; put it into static/app.js",
    r"hx-on\b": "hx-on is evaluated, which the CSP forbids",
    r"hx-(vals|headers|confirm)\s*=\s*[\"']\s*(js|javascript):": "htmx would evaluate this",
    r"hx-trigger\s*=\s*(\"[^\"]*\[|'[^']*\[)": "a trigger filter is evaluated, which the CSP forbids",
    r"javascript:": "a script in an address",
    r"\|\s*safe\b|autoescape\s+false|Markup\(": "markup that nothing escapes",
    r"type\s*=\s*[\"']number": "numbers are typed into text inputs with inputmode=decimal",
    r"=\s*\{\{": "an attribute without quotes around its value",
    r"(src|href|action)\s*=\s*[\"'](https?:)?//": "another site; everything is served from here",
    r"import[^%]*with context": "a macro file that is parsed again for every request",
    r"target\s*=\s*[\"']_blank": "a new window that nobody asked for",
}


def ids(path):
    return str(path.relative_to(ROOT / "templates"))


@pytest.mark.parametrize("template", TEMPLATES, ids=ids)
def test_a_template_holds_nothing_that_is_forbidden(template):
    source = without_comments(template.read_text())
    found = [
        f"{template.name}:{source[: match.start()].count(chr(10)) + 1}: {why}"
        for pattern, why in FORBIDDEN.items()
        for match in re.finditer(pattern, source, re.IGNORECASE)
    ]
    assert found == []


@pytest.mark.parametrize("template", TEMPLATES, ids=ids)
def test_every_htmx_attribute_is_one_of_htmx_4(template):
    source = without_comments(template.read_text())
    used = set(re.findall(r"[\s{(,](hx[-_][a-z0-9_:-]+)\s*=", source))
    assert {name for name in used if not HTMX_4.match(name.replace("_", "-"))} == set()


@pytest.mark.parametrize("template", TEMPLATES, ids=ids)
def test_every_form_that_posts_carries_its_token_and_leaves_the_checking_to_us(template):
    source = without_comments(template.read_text())
    for form in re.findall(r"<form\b.*?</form>", source, re.DOTALL):
        tag = form[: form.index(">")]
        if 'method="post"' in tag or "hx-post" in tag:
            assert "csrf" in form, f"{template.name}: {tag}"
            has_inputs = re.search(r"field\(|control\(|<input(?![^>]*type=\"hidden)", form)
            assert "novalidate" in tag or not has_inputs, f"{template.name}: {tag}"


@pytest.mark.parametrize(
    "bad",
    [
        "<p style='color:red'>",
        "<a onclick='x()'>",
        "<div hx-on:click='x()'>",
        "<input hx-trigger=\"keyup[key=='Enter']\">",
        "<div hx-vals='js:{a:1}'>",
        "<p class={{ kind }}>",
        "{{ name|safe }}",
        "<script>x()</script>",
        '<link href="https://cdn.example/x.css">',
        '<input type="number">',
    ],
)
def test_the_lint_bites(bad):
    assert any(re.search(pattern, bad, re.IGNORECASE) for pattern in FORBIDDEN)
    assert not HTMX_4.match("hx-disabled-elt")
    assert not HTMX_4.match("hx-on:click")


def without_comments(source):
    return re.sub(r"\{#.*?#\}", lambda m: "\n" * m.group().count("\n"), source, flags=re.DOTALL)


# ---------- every visible word goes through gettext ----------

SPOKEN_ATTRIBUTES = ("title", "placeholder", "aria-label", "alt", "data-confirm", "data-label")
NAMES = {"Backoffice", "Ctrl", "S", "V", "Enter", "Shift", "Esc", "j", "k", "n", "CSV"}
"""Words that are the same in every language: the product's name and the keys of a keyboard."""
HOLE = "\ufffc"
SENTENCE = re.compile(r"[A-Z][a-z]+( [a-z]+)*[.?!]?$")


class Words(HTMLParser):
    """Collects the visible texts."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in SPOKEN_ATTRIBUTES or (name == "value" and ("type", "submit") in attrs):
                self._take(value or "")

    def handle_data(self, data):
        self._take(data)

    def _take(self, text):
        self.found += [
            word for word in re.findall(r"[^\W\d_]+", text.replace(HOLE, " ")) if word not in NAMES
        ]


def spoken_outside_gettext(source):
    """The visible words of a template outside any gettext call."""
    tree = Environment(extensions=["jinja2.ext.i18n"]).parse(source)
    pieces = [
        node.data if isinstance(node, nodes.TemplateData) else HOLE
        for output in tree.find_all(nodes.Output)
        for node in output.nodes
    ]
    words = Words()
    words.feed("".join(pieces))
    words.close()
    return words.found + list(bare_constants(tree))


def bare_constants(node, inside=False):
    """Sentences that are constants in an expression, outside any gettext call."""
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name):
        inside = inside or node.node.name in ("_", "gettext", "ngettext")
    is_bare = isinstance(node, nodes.Const) and isinstance(node.value, str) and not inside
    if is_bare and node.value not in NAMES and SENTENCE.match(node.value):
        yield node.value
    for child in node.iter_child_nodes():
        yield from bare_constants(child, inside)


@pytest.mark.parametrize("template", TEMPLATES, ids=ids)
def test_no_visible_word_escapes_gettext(template):
    assert spoken_outside_gettext(without_comments(template.read_text())) == []


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("<p>Hello</p>", ["Hello"]),
        ('<input placeholder="Search">', ["Search"]),
        ("{% if x %}<b>Yes</b>{% else %}{{ _('No') }}{% endif %}", ["Yes"]),
        ("{{ button('Save the order') }}", ["Save the order"]),
        ("{{ _('Fine') }} {{ button(_('Fine')) }}<kbd>Ctrl</kbd>", []),
        ('<a class="btn" href="{{ x }}" hx-get="/orders">{{ y }}</a>', []),
    ],
)
def test_bare_words_are_found(source, words):
    assert spoken_outside_gettext(source) == words


# ---------- vendored files equal their releases ----------


@pytest.mark.parametrize("name", VENDORED)
def test_a_vendored_file_is_as_it_was_released(name):
    path = STATIC / "vendor" / name
    assert hashlib.sha256(path.read_bytes()).hexdigest() == VENDORED[name]
    assert (path.parent / "LICENSE").exists()


def test_our_script_never_computes_money():
    source = (STATIC / "app.js").read_text()
    for word in ("parseFloat", "parseInt", "Number(", "toFixed", "Math.", "eval(", "innerHTML"):
        assert word not in source, word


def test_our_style_sheet_and_icons_ask_nobody_else():
    for name in ("app.css", "icons.svg", "favicon.svg"):
        source = (STATIC / name).read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|@import|url\((?!\"data:)", source), name


def test_a_template_is_given_no_globals_of_its_own_which_would_be_everybodys(app: Flask) -> None:
    environment = app.jinja_env
    environment.get_template("errors/error.html")
    for given in (environment.get_template, environment.from_string):
        with pytest.raises(TypeError, match="no globals of its own"):
            given("errors/error.html", globals={"leaked": 1})
    assert "leaked" not in environment.globals
