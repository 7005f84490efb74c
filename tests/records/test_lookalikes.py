"""A new code or number that looks like an existing one is refused with that one named; searches find every spelling."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, text
from sqlalchemy.dialects import postgresql

from backoffice.base import spelling
from backoffice.customers import queries as customers
from backoffice.products import queries as products
from backoffice.records import Record
from tests.factories.customers import CustomerFactory
from tests.factories.ledger import AccountFactory
from tests.factories.products import ProductFactory
from tests.orders.pages import text_of

from .declared import EVERY_NAMED_RECORD, entered, prepare
from .test_api import Program, address, is_problem
from .test_conformance import Desk

SignIn = Callable[..., FlaskClient]

WIDE = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)})
CAFE = "Caf\u00e9 Z\u00fcrich"
SPELLINGS = {
    "another case": str.swapcase,
    "decomposed": lambda code: normalize("NFD", code),
    "full width": lambda code: code.translate(WIDE),
    "a zero-width space": lambda code: code[0] + "\u200b" + code[1:],
    "a blank that does not break": lambda code: code.replace(" ", "\u00a0"),
}
IN_FILES = SPELLINGS | {"two blanks": lambda code: code.replace(" ", "  ")}
WITH_FREE_CODES = ("customers", "products")


def stored(session: Any, record: Record) -> int:
    session.rollback()
    return int(session.scalar(select(func.count()).select_from(record.model)))


@EVERY_NAMED_RECORD
def test_a_number_in_another_case_is_refused_in_the_api_and_on_screen(
    app: Flask, sign_in: SignIn, session: Any, record: Record
) -> None:
    prepare(session, record)
    program = Program(app, session, f"{record.domain}:write")
    made = program.send("POST", address(record), json=entered(record, 1))
    assert made.status_code == 201, made.text
    name = made.get_json()[record.argument]
    before = stored(session, record)
    values = entered(record, 2) | {record.argument: name.upper()}
    assert name.upper() != name
    answer = program.send("POST", address(record), json=values)
    assert is_problem(answer, 422, record.argument), answer.text
    sentence = record.by_name[record.argument].taken % {record.argument: name}
    assert answer.get_json()["errors"][0]["message"] == sentence
    desk = Desk(sign_in("finance"), record)
    page = desk.browser.post(desk.at("create"), data=desk.form(desk.at("new"), **values))
    assert page.status_code == 422
    assert sentence in text_of(page.text)
    assert stored(session, record) == before
    if not record.append_only:
        own = program.send(
            "PATCH", made.headers["Location"], match=1, json={record.argument: name.upper()}
        )
        assert own.status_code == 200, "a record may be renamed to another spelling of its own"


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("domain", WITH_FREE_CODES)
def test_a_code_that_looks_like_another_is_refused(
    app: Flask, session: Any, domain: str, spelling: str
) -> None:
    program = Program(app, session, f"{domain}:write")
    body = {"code": "Caf\u00e9 1", "name": "First"}
    assert program.send("POST", f"/api/{domain}", json=body).status_code == 201
    answer = program.send(
        "POST", f"/api/{domain}", json={**body, "code": SPELLINGS[spelling]("Caf\u00e9 1")}
    )
    assert is_problem(answer, 422, "code"), answer.text
    assert " Caf\u00e9 1. Choose another code." in answer.get_json()["errors"][0]["message"]
    [listed] = program.send("GET", f"/api/{domain}").get_json()["items"]
    assert listed["name"] == "First"


@pytest.mark.parametrize("spelling", IN_FILES)
def test_two_lines_of_a_file_that_look_alike_are_refused(
    session: Any, tmp_path: Path, run_command: Any, spelling: str
) -> None:
    path = tmp_path / "file.csv"
    other = IN_FILES[spelling]("Caf\u00e9 1")
    path.write_text(f"code,name\nCaf\u00e9 1,First\n{other},Second\n")
    refused = run_command("import", "customers", str(path))
    assert refused.exit_code == 1
    said = " ".join(refused.output.split())
    assert "stands in line 2 already" in said or "This looks like Caf\u00e9 1 in line 2." in said
    assert session.scalar(text("SELECT count(*) FROM customers")) == 0


def test_composed_and_decomposed_are_one_code_for_every_file(
    session: Any, tmp_path: Path, run_command: Any
) -> None:
    path = tmp_path / "file.csv"
    for form in ("NFC", "NFD"):
        path.write_text(normalize(form, f"code,name\nKAF\u00c9,{CAFE}\n"))
        assert run_command("import", "customers", str(path)).exit_code == 0
    assert session.execute(text("SELECT code, name FROM customers")).all() == [("KAF\u00c9", CAFE)]


def test_a_row_from_before_that_looks_like_another_can_still_be_edited(
    app: Flask, session: Any
) -> None:
    CustomerFactory(code="abc", name="One")
    CustomerFactory(code="ABC", name="Two")
    session.commit()
    program = Program(app, session, "customers:write")
    answer = program.send("PATCH", "/api/customers/abc", match=1, json={"name": "Uno"})
    assert answer.status_code == 200, answer.text


def test_of_two_that_enter_similar_codes_at_once_one_is_refused(app: Flask, session: Any) -> None:
    program = Program(app, session, "customers:write")
    browsers = [app.test_client() for _ in range(2)]
    meet, answers = threading.Barrier(2), []

    def send(browser: FlaskClient, code: str) -> None:
        meet.wait(10)
        body = {"code": code, "name": "Same"}
        answer = browser.post("/api/customers", json=body, headers=program.headers)
        answers.append(answer.status_code)

    for round_ in range(5):
        answers.clear()
        threads = [
            threading.Thread(target=send, args=(browser, f"{code}{round_}"))
            for browser, code in zip(browsers, ("ab", "AB"), strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sorted(answers) == [201, 422]


TYPED = {
    "as stored": CAFE, "another case": CAFE.upper(), "decomposed": normalize("NFD", CAFE),
    "full width": CAFE.translate(WIDE), "no accents": "cafe zurich",
}  # fmt: skip


@pytest.mark.parametrize("typed", TYPED)
@pytest.mark.parametrize("spelling", ["as stored", "decomposed", "full width", "plain"])
@pytest.mark.parametrize("make", [CustomerFactory, ProductFactory, AccountFactory])
def test_a_search_finds_every_spelling(
    sign_in: SignIn, session: Any, make: Any, spelling: str, typed: str
) -> None:
    name = {**TYPED, "plain": "Cafe Zurich"}[spelling]  # as rows from before have it
    make(code="C-1", name=name)
    make(code="C-2", name="Basel")
    session.commit()
    browser, domain = sign_in("finance"), {
        CustomerFactory: "customers", ProductFactory: "products", AccountFactory: "ledger/accounts"
    }[make]  # fmt: skip
    for path in (f"/{domain}", "/search"):
        page = browser.get(path, query_string={"q": TYPED[typed]}, follow_redirects=True)
        assert page.status_code == 200
        assert name in page.text, (path, name)
        assert "Basel" not in page.text


def test_what_is_typed_in_full_in_any_spelling_is_chosen_among_many_like_it(session: Any) -> None:
    for number in range(30):
        CustomerFactory(code=f"{CAFE}{number:02}", name=f"{CAFE} {number}")
        ProductFactory(code=f"{CAFE}{number:02}", name=f"{CAFE} {number}")
    for make in (CustomerFactory, ProductFactory):
        make(code="X-1", name=CAFE)
        make(code=f"Z-{CAFE}", name="Other")
    session.commit()
    for spell in SPELLINGS.values():
        for queries in (customers, products):
            assert queries.search(session, spell(CAFE))[0].code == "X-1", spell(CAFE)
            assert queries.search(session, spell(f"Z-{CAFE}"))[0].code == f"Z-{CAFE}"


@pytest.mark.parametrize("queries", [customers, products])
def test_choosing_rewrites_no_column_of_every_row_that_matches(queries: Any) -> None:
    statement = str(queries.matching("x").compile(dialect=postgresql.dialect()))
    _found, ordered, rank = statement.rpartition("ORDER BY")
    assert ordered
    assert "lower(" in rank
    assert "normalize(" not in rank
    assert "regexp_replace(" not in rank


@pytest.mark.parametrize("sign", ["A", "\u00e9", "\uff21", "\u200b", "\u00a0", "\u3164", "\ufb01"])
def test_a_look_is_the_same_here_and_in_postgresql(session: Any, sign: str) -> None:
    for written in (f"x{sign}y", f" x  {sign}", normalize("NFD", sign)):
        theirs = session.scalar(
            select(spelling.look_of(text("CAST(:t AS text)").bindparams(t=written)))
        )
        assert theirs.casefold() == spelling.look(written)
