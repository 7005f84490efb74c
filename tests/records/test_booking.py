"""Rows that verbs create: each is booked once, answered with its address, and read below the record's address."""

import threading
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from backoffice.app.domain import Domain
from backoffice.app.domains import DOMAINS
from tests.orders.pages import _read, text_of

from . import purses
from .purses import Entry, Purse
from .test_api import Program, is_problem

SignIn = Callable[..., FlaskClient]
PAYMENTS = "/api/purses/mine/payments"


@pytest.fixture
def domains() -> Sequence[Domain]:
    return (*DOMAINS, purses.DOMAIN)


@pytest.fixture(autouse=True)
def tables(application: Flask, owner_database_url: str) -> Iterator[None]:
    with purses.tables(owner_database_url):
        yield


@pytest.fixture
def program(app: Flask, session: Any, tables: None) -> Program:
    """A program, and a purse with a balance of 100."""
    program = Program(app, session, "purses:write")
    assert program.send("POST", "/api/purses", json={"name": "mine"}).status_code == 201
    assert booked(program, "fillings", "100.00").status_code == 201
    return program


def booked(program: Program, at: str, amount: str, key: str = "", what: str = "") -> Any:
    sent = {"amount": amount, "what": what}
    return program.send("POST", f"/api/purses/mine/{at}", key=key, json=sent)


def held(session: Any) -> tuple[Decimal, list[Decimal]]:
    """The balance of the purse, and its bookings."""
    session.rollback()
    entries = session.scalars(select(Entry.amount).order_by(Entry.id)).all()
    return session.scalar(select(Purse.holds)), list(entries)


def test_what_is_booked_is_answered_with_its_address_and_needs_no_version(
    program: Program, session: Any
) -> None:
    made = booked(program, "payments", "30.00", what="Tea")
    assert made.status_code == 201, made.text
    reported = made.get_json()
    assert (reported["amount"], reported["what"]) == ("-30.00", "Tea")
    assert isinstance(reported["id"], int)
    assert made.headers["Location"] == f"/api/purses/mine/entries/{reported['id']}"
    assert program.send("GET", made.headers["Location"]).get_json() == reported
    assert held(session) == (Decimal(70), [Decimal(100), Decimal(-30)])
    purse = program.send("GET", "/api/purses/mine")
    assert (purse.get_json()["holds"], purse.headers["ETag"]) == ("70.00", '"1"')


def test_a_refusal_keeps_its_status_its_type_and_what_programs_read_beside_it(
    program: Program, session: Any
) -> None:
    refused = booked(program, "payments", "100.01", key="k")
    assert is_problem(refused, 402)
    reported = refused.get_json()
    assert reported["type"] == "https://example.com/too-little"
    assert (reported["title"], reported["code"], reported["holds"]) == (
        "Payment Required",
        "TooLittle",
        "100.00",
    )
    assert held(session) == (Decimal(100), [Decimal(100)])
    assert booked(program, "payments", "100.00", key="k").status_code == 201, "it has used no key"


def test_a_key_that_the_action_keeps_answers_the_first_result_for_ever(
    program: Program, session: Any
) -> None:
    first, again = (booked(program, "payments", "30.00", key="k") for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.get_json() == first.get_json()
    assert again.headers["Location"] == first.headers["Location"]
    assert (first.headers.get("Idempotent-Replay"), again.headers["Idempotent-Replay"]) == (
        None,
        "true",
    )
    other = booked(program, "payments", "30.01", key="k")
    assert is_problem(other, 422)
    assert other.get_json()["code"] == "KeyUsedOtherwise"
    for bad in ("x" * 256, ""):
        headers = {**program.headers, "Idempotency-Key": bad}
        answer = program.client.post(PAYMENTS, headers=headers, json={"amount": "1"})
        assert is_problem(answer, 400)
    assert held(session) == (Decimal(70), [Decimal(100), Decimal(-30)])


def test_of_concurrent_repetitions_one_is_booked(program: Program, session: Any) -> None:
    meet, answers = threading.Barrier(4), []

    def send() -> None:
        meet.wait(10)
        answers.append(booked(program, "payments", "60.00", key="same"))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert sum("Idempotent-Replay" in answer.headers for answer in answers) == 3
    assert held(session)[0] == Decimal(40)


def test_what_cannot_be_is_said_at_its_field_and_books_nothing(
    program: Program, session: Any
) -> None:
    for body, *fields in (
        ({}, "amount"), ({"amount": "0"}, "amount"), ({"amount": 1.5}, "amount"), ({"amount": "1.005"}, "amount"),
        ({"amount": "1", "holds": "9", "id": 7}, "holds", "id"),
    ):  # fmt: skip
        assert is_problem(program.send("POST", PAYMENTS, json=body), 422, *fields), body
    for body in ("", "[]", "{"):
        sent = {"data": body, "content_type": "application/json"}
        assert is_problem(program.send("POST", PAYMENTS, **sent), 400)
    assert is_problem(program.send("POST", "/api/purses/no/payments", json={"amount": "1"}), 404)
    assert is_problem(program.send("GET", PAYMENTS), 404), "no record has that name"
    assert held(session) == (Decimal(100), [Decimal(100)])


def test_what_was_booked_is_listed_in_pages_with_filters_and_totals(
    program: Program, session: Any
) -> None:
    program.send("POST", "/api/purses", json={"name": "another"})
    program.send("POST", "/api/purses/another/fillings", json={"amount": "5.00"})
    for amount in ("10.00", "20.00", "30.00"):
        booked(program, "payments", amount)
    seen, following, pages = [], "/api/purses/mine/entries?limit=2&sort=-id&totals=1", 0
    while following:
        page, pages = program.send("GET", following).get_json(), pages + 1
        seen += [item["amount"] for item in page["items"]]
        assert page["count"] == 4
        following = page["next"]
    assert (seen, pages) == (["-30.00", "-20.00", "-10.00", "100.00"], 2)
    into = program.send("GET", "/api/purses/mine/entries?sign=in").get_json()
    assert [item["amount"] for item in into["items"]] == ["100.00"]
    for wrong, status in (
        ("mine/entries?nothing=1", 400),
        ("mine/entries?after=x", 400),
        ("no/entries", 404),
    ):
        assert is_problem(program.send("GET", f"/api/purses/{wrong}"), status), wrong
    [others] = program.send("GET", "/api/purses/another/entries").get_json()["items"]
    for name in (others["id"], "x", "9" * 30, 0):
        assert is_problem(program.send("GET", f"/api/purses/mine/entries/{name}"), 404), name


def test_only_a_token_of_the_records_scope_books_or_reads(
    app: Flask, session: Any, sign_in: SignIn, program: Program
) -> None:
    reader, stranger = (
        Program(app, session, scope) for scope in ("purses:read", "purse_entries:write")
    )
    before = held(session)
    for method, at in (("GET", "/api/purses/mine/entries"), ("POST", PAYMENTS)):
        sent = {"json": {"amount": "1.00"}} if method == "POST" else {}
        assert is_problem(sign_in("admin").open(at, method=method, **sent), 401)
        assert is_problem(stranger.send(method, at, **sent), 403)
        assert reader.send(method, at, **sent).status_code == (200 if method == "GET" else 403)
    assert held(session) == before
    assert is_problem(program.send("GET", "/api/purse_entries"), 404), (
        "no user enters them, so they have no API of their own"
    )


def test_a_person_books_on_a_screen_once_and_is_told_at_the_field(
    program: Program, session: Any, sign_in: SignIn
) -> None:
    browser = sign_in("finance")
    page = browser.get("/purses/mine").text
    assert 'href="/purses/mine/pay"' in page
    assert "/purses/mine/fill" not in page, "it is offered to programs alone"
    assert browser.get("/purses/mine/fill").status_code == 404
    assert browser.get("/purse_entries/new").status_code == 404
    form = _read(browser.get("/purses/mine/pay").text, "pay-form").fields
    form["amount"] = "100.01"
    refused = browser.post("/purses/mine/pay", data=form)
    assert refused.status_code == 402
    assert "The purse holds Rp 100.00." in text_of(refused.text)
    assert 'aria-invalid="true"' in refused.text
    form = _read(refused.text, "pay-form").fields
    assert form["amount"] == "100.01", "what was typed is kept"
    form["amount"] = "40"
    for _ in range(2):
        assert browser.post("/purses/mine/pay", data=form).status_code == 303
    assert held(session) == (Decimal(60), [Decimal(100), Decimal(-40)])
    assert session.scalars(select(Entry.key)).all()[-1] == form["idempotency_key"]


def test_the_document_says_what_is_booked_and_what_is_answered(app: Flask) -> None:
    document = app.test_client().get("/api/openapi.json").get_json()
    pay = document["paths"]["/api/purses/{name}/payments"]["post"]
    assert {"201", "400", "402", "404", "409", "422", "429"} <= pay["responses"].keys()
    assert {one["name"] for one in pay["parameters"]} == {"name", "Idempotency-Key"}
    answered = pay["responses"]["201"]["content"]["application/json"]["schema"]["$ref"]
    assert answered == "#/components/schemas/Entry"
    assert {"id", "amount", "what", "url"} <= document["components"]["schemas"]["Entry"][
        "properties"
    ].keys()
    assert "NewEntry" not in document["components"]["schemas"]
    listed = document["paths"]["/api/purses/{name}/entries"]["get"]
    assert {one["name"] for one in listed["parameters"]} == {
        "name",
        "sign",
        "sort",
        "limit",
        "after",
        "totals",
    }
    rules = {
        rule.rule.replace("<path:", "{").replace(">", "}") for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/purses")
    }  # fmt: skip
    assert rules == {path for path in document["paths"] if path.startswith("/api/purses")}


def test_a_deployment_says_what_one_token_may_ask(app: Flask, program: Program) -> None:
    app.config["API_RATE"] = "2 per hour"
    assert [program.send("GET", "/api/purses/mine").status_code for _ in range(3)][-1] == 429
