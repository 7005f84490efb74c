"""Everything that reads an address, a date, a number or a path: Hypothesis looks for what ends in a 5xx."""

import random
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from backoffice.app.domain import declared
from backoffice.app.protection import limiter
from backoffice.security.permissions import open_scopes
from tests.addresses import records_called_x
from tests.depth import examples
from tests.faults.fuzzing import HOSTILE, Fuzzer, Target
from tests.records.test_api import Program

pytestmark = pytest.mark.slow

SIGNS = st.characters(codec="utf-8")
ADDRESSES = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["", "/", "//", "http://", "https://", "http:", "mailto:", "\\\\", "http://localhost"]),
    st.sampled_from(["", "[", "[::1", "[::1]", "]", "localhost", "a:99999", "a:x", "user@", "%5b", "\u2100"]),
    st.sampled_from(["", "/", "//", "/orders/x", "/..", "/%00", "/%", "/\u2028"]),
    st.sampled_from(["", "?", "?q=%", "?page=" + "9" * 30, "?sort=-"]),
    st.text(SIGNS, max_size=12),
)  # fmt: skip
DATES = st.builds(
    "{}-{}-{}{}".format,
    *[st.one_of(st.integers(-1, 40).map(str), st.text("0123456789٣３", max_size=6))] * 3,
    st.sampled_from(["", "T25:00", " BC", "Z", "+99:99"]),
)
FIGURES = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "-", "−", "+", "(", "Rp "]),
    st.text("0123456789٣３½ ", max_size=25),
    st.sampled_from(["", ".", ",", ".,", "e", "E+", "%"]),
    st.text("0123456789", max_size=12),
)
VALUES = st.one_of(st.sampled_from(HOSTILE), ADDRESSES, DATES, FIGURES, st.text(SIGNS, max_size=60))
LEAVES = st.one_of(VALUES, st.none(), st.booleans(), st.integers(), st.floats())
JSON = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(SIGNS, max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)

LOOKING = settings(
    max_examples=examples(200), deadline=None, phases=(Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


@pytest.fixture(autouse=True)
def _as_in_production(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limiter, "enabled", False)
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)


@pytest.fixture
def fuzzer(app: Flask, session: Any, sign_in: Callable[..., FlaskClient]) -> Fuzzer:
    """A fuzzer that has read every page's forms and links, over a book with a record of each kind."""
    records_called_x()
    session.commit()
    found = Fuzzer(app, sign_in, ("admin", "account_manager"), random.Random(1))
    found.crawl()
    return found


def is_fine(status: int, what: object) -> None:
    assert status < 500 or status == 503, what


@given(data=st.data())
@LOOKING
def test_no_argument_of_an_address_ends_in_a_server_error(fuzzer: Fuzzer, data: Any) -> None:
    targets = [t for t in fuzzer.targets.values() if t.method == "GET"]
    fuzzer.chance = data.draw(st.randoms())
    target: Target = data.draw(st.sampled_from(targets), label="route")
    path = fuzzer._address(target.rule, honest=data.draw(st.booleans()))
    names = [*sorted(target.names), "q", "page", "sort", "next", "since", "until", "after", "month"]
    query = data.draw(st.lists(st.tuples(st.sampled_from(names), VALUES), max_size=3))
    answer = fuzzer.browsers["admin"].get(f"{path}?{urlencode(query)}")
    is_fine(answer.status_code, (path, query))


@given(data=st.data())
@LOOKING
def test_no_field_of_a_form_ends_in_a_server_error(fuzzer: Fuzzer, data: Any) -> None:
    forms = [t for t in fuzzer.targets.values() if t.method == "POST" and t.bodies]
    fuzzer.chance = data.draw(st.randoms())
    target: Target = data.draw(st.sampled_from(forms), label="route")
    if target.rule.endpoint.startswith("people."):
        return  # would sign this browser out
    body = MultiDict(data.draw(st.sampled_from(target.bodies)))
    for name in data.draw(st.lists(st.sampled_from(sorted(body) or ["x"]), min_size=1, max_size=3)):
        body[name] = data.draw(VALUES, label=name)
    path = fuzzer._address(target.rule, honest=True)
    answer = fuzzer.browsers["admin"].post(path, data=body)
    is_fine(answer.status_code, (path, body))


@given(data=st.data())
@LOOKING
def test_no_value_of_a_program_ends_in_a_server_error(
    app: Flask, session: Any, programs: dict[str, Program], data: Any
) -> None:
    domain = data.draw(st.sampled_from(sorted(programs)))
    with app.app_context():
        record = declared().records[domain]
    names = [*record.entered, *(shown.name for shown in record.sent), *record.answers, "x"]
    body = data.draw(st.dictionaries(st.sampled_from(names), JSON, max_size=5))
    path = f"/api/{domain}"
    method = data.draw(st.sampled_from(["POST", "PATCH", "GET"]))
    if method == "GET":
        arguments = [("after", data.draw(VALUES)), ("sort", data.draw(VALUES))]
        answer = programs[domain].send("GET", f"{path}?{urlencode(arguments)}")
    elif method == "POST":
        answer = programs[domain].send("POST", path, json=body)
    else:
        version = data.draw(VALUES.filter(lambda text: text.isascii() and text.isprintable()))
        answer = programs[domain].send("PATCH", f"{path}/x", match=version, json=body)
    is_fine(answer.status_code, (method, path, body))


@pytest.fixture
def programs(app: Flask, session: Any) -> dict[str, Program]:
    """An API client per record that programs may write."""
    records_called_x()
    session.commit()
    scopes = open_scopes()
    with app.app_context():
        domains = [domain for domain in declared().records if f"{domain}:write" in scopes]
    assert len(domains) > 5
    return {domain: Program(app, session, f"{domain}:write") for domain in domains}
