"""The API of every declared record: it accepts, refuses and locks as a screen does, with the same sentences."""

import re
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from backoffice.app.protection import limiter
from backoffice.audit.models import AuditEvent
from backoffice.lists import Reference
from backoffice.people import tokens
from backoffice.people.models import ApiRequest
from backoffice.records import Choice, Day, Flag, Pick, Record, Shown, Text
from backoffice.records.listing import list_for
from backoffice.records.openapi import Anybody, arguments_of
from backoffice.security import bearer as signed_in

from .declared import (
    DECLARED,
    DELETABLE,
    EVERY_EDITED_RECORD,
    EVERY_RECORD,
    entered,
    prepared_of,
    tried,
    unique_beside,
    value_of,
)

SignIn = Callable[..., FlaskClient]


class Program:
    """Another program with a token of one scope."""

    def __init__(self, app: Flask, session: Any, scope: str) -> None:
        issued = tokens.create(session, name=f"Shop {scope}", scope=scope, expires_at=None)
        session.commit()
        self.client, self.id = app.test_client(), issued.token.id
        self.headers = {"Authorization": f"Bearer {issued.secret}"}

    def send(self, method: str, path: str, *, key: str = "", match: Any = None, **sent: Any) -> Any:
        headers = dict(self.headers)
        headers |= {"Idempotency-Key": key} if key else {}
        headers |= {"If-Match": f'"{match}"'} if match is not None else {}
        return self.client.open(path, method=method, headers=headers, **sent)


def address(record: Record, name: str = "") -> str:
    return f"/api/{record.domain}" + (f"/{name}" if name else "")


def is_searched(record: Record) -> bool:
    """Whether its list has a search."""
    filters = list_for(record, Anybody()).filters
    return "q" in {name for one in filters for name in one.arguments}


def count(session: Any, record: Record) -> int:
    session.rollback()
    return int(session.scalar(select(func.count()).select_from(record.model))) - prepared_of(record)


def is_problem(answer: Any, status: int, *fields: str) -> bool:
    reported = answer.get_json()
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    assert {"type", "title", "status", "code", "detail"} <= reported.keys()
    assert reported["status"] == status
    return [one["field"] for one in reported.get("errors", [])] == list(fields)


@EVERY_RECORD
def test_a_record_is_entered_read_changed_and_listed(
    program: Program, session: Any, record: Record
) -> None:
    values = entered(record, 1)
    made = program.send("POST", address(record), json=values)
    assert made.status_code == 201, made.text
    name = made.get_json()[record.argument]
    assert (made.headers["Location"], made.headers["ETag"]) == (address(record, name), '"1"')
    read = program.send("GET", made.headers["Location"])
    assert read.get_json() == made.get_json()
    assert {n: read.get_json()[n] for n in values} == values
    answer = read
    for version, field in enumerate(() if record.append_only else tried(record), start=1):
        value = value_of(field, 2)
        answer = program.send(
            "PATCH", address(record, name), match=version, json={field.name: value}
        )
        assert answer.status_code == 200, answer.text
        values[field.name] = value
        name = answer.get_json()[record.argument]
        assert answer.headers["ETag"] == f'"{version + 1}"'
        assert {n: answer.get_json()[n] for n in values} == values
    narrowed = f"&q={name}" if is_searched(record) and record.argument in values else ""
    listed = program.send("GET", f"{address(record)}?totals=1{narrowed}").get_json()
    totals, item = listed.pop("totals"), answer.get_json()
    assert listed == {"items": [item], "next": None, "count": 1}
    summed = {column.name for column in list_for(record, Anybody()).columns if column.total}
    assert totals.keys() <= summed
    assert {name: totals[name] for name in totals.keys() & item.keys()} == {
        name: item[name] for name in totals.keys() & item.keys()
    }
    assert is_problem(program.send("GET", f"{address(record)}?totals=0"), 400)
    who = session.scalars(
        select(AuditEvent.actor)
        .distinct()
        .where(
            AuditEvent.table_name == record.model.__tablename__,
            AuditEvent.row_id == str(answer.get_json()["id"]),
        )
    ).all()
    assert who == [f"token:{program.id}"]


@EVERY_RECORD
def test_a_repetition_under_its_key_has_one_effect(
    program: Program, session: Any, record: Record
) -> None:
    values = entered(record, 1)
    first, again = (program.send("POST", address(record), key="k", json=values) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.get_json() == first.get_json()
    assert again.headers["Location"] == first.headers["Location"]
    assert count(session, record) == 1
    other = program.send("POST", address(record), key="k", json=entered(record, 9))
    assert is_problem(other, 422)
    assert other.get_json()["code"] == "KeyUsedOtherwise"
    assert count(session, record) == 1
    name = first.get_json()[record.argument]
    if not record.append_only:
        changes = [
            program.send("PATCH", address(record, name), key="p", match=1, json=_change(record, 5))
            for _ in range(2)
        ]
        assert [answer.headers["ETag"] for answer in changes] == ['"2"', '"2"']
    unique = [field.name for field in record.fields if field.taken]
    if not unique and "month" not in values:
        return
    refused = program.send("POST", address(record), key="r", json=values)
    assert is_problem(refused, 422, *(unique or ["month"]))
    retried = program.send("POST", address(record), key="r", json=entered(record, 7))
    assert retried.status_code == 201, "a refused request has used no key"


def _change(record: Record, number: int) -> dict[str, Any]:
    fixed = {f.key for f in record.fields if f.taken}
    fixed |= {column.key for f in record.fields for column in f.unique_by}
    free = [f for f in record.fields if f.key not in fixed]
    field = next((f for f in free if isinstance(f, Text | Day)), (free or record.fields)[0])
    return {field.name: value_of(field, number)}


@EVERY_RECORD
def test_of_concurrent_repetitions_one_does_the_work(
    program: Program, session: Any, record: Record
) -> None:
    meet, answers = threading.Barrier(4), []

    def send() -> None:
        meet.wait(10)
        answers.append(program.send("POST", address(record), key="same", json=entered(record, 1)))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert count(session, record) == 1
    assert session.scalar(select(func.count()).select_from(ApiRequest)) == 1


@EVERY_RECORD
def test_what_a_form_refuses_is_refused_with_the_same_sentence_at_the_same_field(
    program: Program, session: Any, record: Record
) -> None:
    from .test_conformance import refused

    program.send("POST", address(record), json=entered(record, 1))
    second = program.send("POST", address(record), json=entered(record, 2))
    before = count(session, record)
    name = second.get_json()[record.argument]
    for field, bad, sentence in refused(record):
        sent = {**unique_beside(record, field), field: bad if bad.strip() else None}
        attempts = [program.send("POST", address(record), json=entered(record, 3) | sent)]
        if not record.append_only:
            attempts.append(program.send("PATCH", address(record, name), match=1, json=sent))
        for answer in attempts:
            assert is_problem(answer, 422, field), (field, bad)
            assert answer.get_json()["errors"][0]["message"] == sentence
    assert count(session, record) == before


@EVERY_RECORD
def test_a_part_of_a_name_is_no_other_record(
    program: Program, session: Any, record: Record
) -> None:
    values = entered(record, 1)
    named = [
        field.name for field in record.fields if isinstance(field, Pick) and field.name in values
    ]
    for name in named:
        for part in (values[name][:-1], values[name][1:]):
            answer = program.send("POST", address(record), json={**values, name: part})
            assert is_problem(answer, 422, name), part
    assert count(session, record) == 0


@EVERY_RECORD
def test_what_is_no_record_at_all_is_refused_with_what_to_send(
    program: Program, session: Any, record: Record
) -> None:
    path = address(record)
    deep = '{"code": ' + "[" * 100_000
    for body in ("", "[]", "{", "3", '"text"', "[" * 100_000, deep, deep + "]" * 100_000 + "}"):
        answer = program.send("POST", path, data=body, content_type="application/json")
        assert is_problem(answer, 400)
    assert is_problem(
        program.send("POST", path, json=entered(record, 1) | {"id": 7, "no": 1}), 422, "id", "no"
    )
    for field in record.fields:
        wrong = [3, [], {}, 1.5] if isinstance(field, Flag) else [3, [], {}, True]
        for bad in wrong:
            sent = entered(record, 1) | {field.name: bad}
            assert is_problem(program.send("POST", path, json=sent), 422, field.name), (
                field.name,
                bad,
            )
    assert count(session, record) == 0
    for query, code in (
        ("?nothing=1", "ArgumentUnknown"), ("?sort=nothing", "ArgumentUnusable"), ("?limit=0", "ArgumentUnusable"),
        ("?sort=", "ArgumentUnusable"), ("?limit=1&limit=2", "ArgumentUnusable"),
        ("?limit=9999", "ArgumentUnusable"), ("?after=x", "ArgumentUnusable"), ("?after=W10", "ArgumentUnusable"),
        ("?q=a%00b", "ArgumentUnusable"),
    ):  # fmt: skip
        answer = program.send("GET", path + query)
        assert is_problem(answer, 400), query
        assert answer.get_json()["code"] == (
            code if "q=" not in query or is_searched(record) else "ArgumentUnknown"
        )
    references = [f.name for f in list_for(record, Anybody()).filters if isinstance(f, Reference)]
    for name in references:  # no row has the number 0
        assert is_problem(program.send("GET", f"{path}?{name}=0"), 400), name
    assert is_problem(program.send("GET", address(record, "NOBODY")), 404)
    assert is_problem(program.send("PUT", path), 405)


@EVERY_RECORD
def test_no_letter_and_no_cursor_brings_it_down(
    program: Program, session: Any, record: Record
) -> None:
    for number in range(3):
        program.send("POST", address(record), json=entered(record, number))
    texts = [field.name for field in record.fields if isinstance(field, Text)]
    for bad in ("\\ud800", "\\u0000", "x\\udfff"):
        for name in texts:
            rest = "".join(f', "{n}": "a"' for n in texts if n != name)
            body = f'{{"{name}": "{bad}"{rest}}}'
            answer = program.send(
                "POST", address(record), data=body, content_type="application/json"
            )
            assert answer.status_code == 422, answer.text
            assert name in [error["field"] for error in answer.get_json()["errors"]]
    following = program.send("GET", f"{address(record)}?limit=1").get_json()["next"]
    arguments = dict(parse_qsl(urlsplit(following).query))
    for change in ({"after": arguments["after"] + "x"}, {"sort": f"-{record.argument}"}):
        answer = program.send("GET", address(record), query_string=arguments | change)
        assert is_problem(answer, 400)
        assert answer.get_json()["code"] == "ArgumentUnusable"
    assert count(session, record) == 3


@EVERY_EDITED_RECORD
def test_a_change_needs_the_present_version(program: Program, session: Any, record: Record) -> None:
    name = program.send("POST", address(record), json=entered(record, 1)).get_json()[
        record.argument
    ]
    path = address(record, name)
    assert is_problem(program.send("PATCH", path, json=_change(record, 2)), 428)
    for other in ("abc", '1", "2', "", '", W/"1', "1 2"):
        assert is_problem(program.send("PATCH", path, match=other, json=_change(record, 2)), 428)
    assert program.send("PATCH", path, match=1, json=_change(record, 2)).status_code == 200
    late = program.send("PATCH", path, match=1, json=_change(record, 3))
    assert is_problem(late, 412)
    assert "Another user has saved" in late.get_json()["detail"]
    same = program.send("PATCH", path, match=2, json=_change(record, 2))
    assert same.headers["ETag"] == '"2"', "saving what is stored changes nothing"


@EVERY_RECORD
def test_pages_go_on_where_the_last_one_ended_whatever_comes_and_goes(
    program: Program, session: Any, record: Record
) -> None:
    can_go = DELETABLE.get(record.domain, {})
    for number in range(7):
        sent = {**entered(record, number), **can_go}
        assert program.send("POST", address(record), json=sent).status_code == 201
    session.rollback()
    listing = list_for(record, signed_in.Program(0, "", ""))
    columns = {field.name: field.column for field in record.fields if not isinstance(field, Pick)}
    coming = iter((7, 8))
    is_deleted = any(verb.name == "delete" for verb in record.program_verbs)
    for sort in arguments_of(record, listing)["sort"][
        "enum"
    ]:  # figures, too, and what may be empty
        whole = program.send("GET", f"{address(record)}?limit=100&sort={sort}").get_json()
        there = [item["id"] for item in whole["items"]]
        if (column := columns.get(sort.removeprefix("-"))) is not None:
            by = [column.asc(), record.model.id]
            if sort.startswith("-"):
                by = [column.desc().nulls_last(), record.model.id.desc()]
            assert there == session.scalars(select(record.model.id).order_by(*by)).all(), sort
            session.rollback()
        first = program.send("GET", f"{address(record)}?limit=3&sort={sort}").get_json()
        ids = [item["id"] for item in first["items"]]
        if (number := next(coming, None)) is not None:
            came = program.send("POST", address(record), json=entered(record, number))
            assert came.status_code == 201, came.text
        if is_deleted and number is not None:
            gone = first["items"][-1]
            at = address(record, gone[record.argument])
            assert program.send("POST", f"{at}/delete", match=gone["version"]).status_code == 204
        ids += paged(program, first["next"])
        assert [one for one in ids if one in there] == there, sort
        assert len(set(ids)) == len(ids), sort


def paged(program: Program, following: str | None) -> list[int]:
    """The ids of all pages from that address on."""
    seen: list[int] = []
    while following:
        page = program.send("GET", following).get_json()
        seen += [item["id"] for item in page["items"]]
        following = page["next"]
    return seen


@EVERY_RECORD
def test_only_a_token_of_the_right_scope_opens_anything(
    app: Flask, session: Any, sign_in: SignIn, program: Program, record: Record,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(limiter, "enabled", False)  # so many are refused here
    made = program.send("POST", address(record), json=entered(record, 1)).get_json()
    path = address(record, made[record.argument])
    reader = Program(app, session, f"{record.domain}:read")
    stranger = Program(app, session, "health")
    browser = sign_in("admin")
    attempts = [
        ("GET", address(record)), ("GET", path), ("POST", address(record)),
        *([] if record.append_only else [("PATCH", path)]),
        *(("POST", f"{path}/{verb.address}") for verb in record.program_verbs),
        *(("GET", f"{path}/{held.name}") for held in record.contents),
    ]  # fmt: skip
    for method, at in attempts:
        sent = {"json": entered(record, 9)}
        assert is_problem(browser.open(at, method=method, **sent), 401), (
            "no browser's session opens it"
        )
        assert is_problem(app.test_client().open(at, method=method, **sent), 401)
        assert is_problem(stranger.send(method, at, match=1, **sent), 403)
        answer = reader.send(method, at, match=1, **(sent if method != "GET" else {}))
        assert answer.status_code == (200 if method == "GET" else 403)
    assert program.send("GET", path).get_json() == made


def test_the_document_names_every_route_of_the_api_and_every_field(app: Flask) -> None:
    document = app.test_client().get("/api/openapi.json").get_json()
    assert document["openapi"] == "3.1.0"
    routes = {
        (re.sub("<(?:path|int):([a-z]+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.endpoint.startswith("api.") and rule.endpoint != "api.openapi"
    }
    named = {(path, method) for path, reported in document["paths"].items() for method in reported}
    assert named == routes
    for record in DECLARED:
        schema = document["components"]["schemas"][record.model.__name__]["properties"]
        assert {field.name for field in record.fields} <= schema.keys()
        assert {field.name for field in record.kept} <= schema.keys()
        for field in (*record.fields, *record.kept):
            if isinstance(field, Choice):
                assert schema[field.name]["enum"] == list(field.words)
        asked = document["paths"][f"/api/{record.domain}"]["get"]["parameters"]
        with app.app_context():
            listing = list_for(record, Anybody())
        filters = {name for one in listing.filters for name in one.arguments}
        assert {one["name"] for one in asked} == filters | {"sort", "limit", "after", "totals"}


WITH_LINES = [
    pytest.param(record, shown, id=f"{record.domain}-{shown.name}")
    for record in DECLARED
    for shown in record.sent
    if shown.entry and "items" in shown.entry
]
"""Every record of which programs send lines."""


@pytest.mark.parametrize(("record", "shown"), WITH_LINES)
def test_every_field_of_every_sent_line_is_refused_at_its_place(
    app: Flask, session: Any, record: Record, shown: Shown
) -> None:
    program = Program(app, session, f"{record.domain}:write")
    assert shown.entry is not None
    for name in (*shown.entry["items"]["properties"], "nothing_like_it"):
        sent = {shown.name: [{}, {name: {"not": "a value"}}]}
        answer = program.send("POST", address(record), json=sent)
        assert answer.status_code == 422, answer.text
        errors = {one["field"]: one["message"] for one in answer.get_json()["errors"]}
        assert errors.pop(f"{shown.name}-1-{name}"), answer.text
        assert all(field.startswith(f"{shown.name}-") for field in errors), errors
    answer = program.send("POST", address(record), json={shown.name: [{}, 5]})
    assert f"{shown.name}-1" in {one["field"] for one in answer.get_json()["errors"]}
