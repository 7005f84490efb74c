"""Cached parts of a page: the same as rendered anew, and without data of other users."""

import re
from collections.abc import Callable, Iterator

import pytest
from flask import Flask, render_template_string
from flask.testing import FlaskClient
from jinja2 import meta

from backoffice.security.permissions import ROLES
from backoffice.web.preferences import LANGUAGES

OF_THE_APP = {
    "_", "url_for", "asset", "navigation", "may_open", "health_dot",
    "LANGUAGES", "NUMBER_FORMATS", "THEMES", "ROLES", "SEARCH_ENDPOINT", "NEW_ENDPOINT",
}  # fmt: skip
"""Names that are the same for all users of a role; `navigation` and `may_open` depend on nothing else.

`health_dot` depends only on the number format, by which its text is cached too.
"""

CALL = re.compile(r"""kept\(["']([^"']+)["'], \{(.*?)\}(.*?)\)\s*[,}]""", re.DOTALL)
DOT = 'kept("shell/health_dot.html", {}, known=health_known(), number_format=number_format)'

PAGES = ("/profile", "/orders", "/orders?sort=number", "/search?q=Tea", "/health")

SignIn = Callable[..., FlaskClient]


def calls(app: Flask) -> Iterator[tuple[str, set[str]]]:
    """Each cached template, and the names passed to it."""
    source = app.jinja_env.loader.get_source(app.jinja_env, "base.html")[0]  # type: ignore[union-attr]
    assert DOT in source
    source = source.replace(DOT, "dot")
    yield "shell/health_dot.html", {"known"}
    for name, slots, arguments in CALL.findall(source):
        yield name, {*re.findall(r'"(\w+)":', slots), *re.findall(r"(\w+)=", arguments)}


def asked_by(app: Flask, name: str) -> set[str]:
    """The names that a template and those that it includes read."""
    tree = app.jinja_env.parse(app.jinja_env.loader.get_source(app.jinja_env, name)[0])  # type: ignore[union-attr]
    asked = meta.find_undeclared_variables(tree)
    for other in meta.find_referenced_templates(tree):
        if other and not other.startswith(
            "macros/"
        ):  # these are imported, and see only the app's names
            asked |= asked_by(app, other) - {"shell_navigation", "shell_preferences"}
    return asked


def test_what_is_kept_reads_nothing_but_what_it_is_given(app: Flask) -> None:
    found = dict(calls(app))
    assert set(found) == {
        "shell/head.html", "shell/skip_link.html", "shell/top.html", "shell/health_dot.html", "shell/toasts.html",
        "shell/bottom.html",
    }  # fmt: skip
    for name, given in found.items():
        inside = {"language", "icon"}  # key of the cache; a macro imported where it is needed
        assert asked_by(app, name) <= given | OF_THE_APP | inside, name


def plain(page: str) -> str:
    """The page without its token, which changes every second, and without idempotency keys."""
    page = re.sub(r'(name="csrf[-_]token"\s+(?:value|content)=)"[^"]+"', r"\1", page)
    return re.sub(r'(name="idempotency_key"\s+value=)"[^"]+"', r"\1", page)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("role", ROLES)
def test_a_kept_page_is_the_page_rendered_anew(
    app: Flask, sign_in: SignIn, role: str, language: str
) -> None:
    client = sign_in(role, language=language)
    for page in PAGES:
        first, kept = client.get(page), client.get(page)
        app.jinja_env.auto_reload = True
        try:
            anew = client.get(page)
        finally:
            app.jinja_env.auto_reload = False
        assert plain(first.text) == plain(kept.text) == plain(anew.text)


def test_everybody_sees_their_own_name_token_and_address(app: Flask, sign_in: SignIn) -> None:
    clients = [
        sign_in("finance", name=f"{word} <b>& Sons", email=f"{word.lower()}@example.com")
        for word in ("Ada", "Bea")
    ]
    tokens = []
    for _ in range(2):
        for client, word, other in zip(clients, ("Ada", "Bea"), ("Bea", "Ada"), strict=True):
            page = client.get(f"/orders?sort=number&q={word}").text
            assert f"{word} &lt;b&gt;&amp; Sons" in page
            assert f"{word.lower()}@example.com" in page
            assert "<b>&" not in page
            assert f'value="/orders?sort=number&amp;q={word}"' in page
            assert other not in page
            assert other.lower() not in page
            found = set(re.findall(r'name="csrf_token" value="([^"]+)"', page))
            tokens.append({token.partition(".")[0] for token in found})
            assert "slot-" not in page
    assert len(tokens[0]) == 1
    assert tokens[0] == tokens[2] != tokens[1] == tokens[3]


def test_the_search_says_what_was_searched_and_another_page_nothing(sign_in: SignIn) -> None:
    client = sign_in("finance")
    field = re.compile(r'id="search"\s+maxlength="100"\s+value="([^"]*)"')
    assert field.findall(client.get('/search?q="Tea').text) == ["&#34;Tea"]
    assert field.findall(client.get("/orders").text) == [""]


def test_a_slot_is_escaped_unless_it_is_markup(app: Flask) -> None:
    source = "{{ kept('shell/bottom.html', {'name': name, 'user': '7'}) }}"
    with app.test_request_context():
        for name in ("<i>", "slot-user-", "<i>"):
            page = render_template_string(source, name=name)
            assert name.replace("<", "&lt;").replace(">", "&gt;") in page
            assert "<i>" not in page
            assert 'data-user="7"' in page
