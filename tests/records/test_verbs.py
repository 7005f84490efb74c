"""The conformance of every declared verb: permission, inputs, one effect, and no lost update."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.exc import ProgrammingError
from werkzeug.datastructures import MultiDict

from backoffice.audit.models import AuditEvent
from backoffice.base.refusals import Refusal
from backoffice.records import Record, Verb, actions
from backoffice.records.writing import written
from backoffice.security.rights import PERMISSIONS
from tests.orders.pages import _read, text_of

from .declared import (
    DECLARED,
    DELETABLE,
    EVERY_ACT,
    EVERY_DELETION,
    EVERY_RENAMED_ACT,
    EVERY_VERB,
    KEPT,
    READY,
    STOPPED,
    entered,
    make_ready,
    value_of,
)
from .test_api import Program, address, is_problem
from .test_conformance import HTMX, Desk, count, histories, stored

SignIn = Callable[..., FlaskClient]


def known(verb: Verb, number: int = 1) -> dict[str, Any]:
    """The inputs of the verb."""
    return {field.name: value_of(field, number) for field in verb.fields}


def asked(desk: Desk, verb: Verb, name: str, **typed: Any) -> MultiDict[str, str]:
    """The form of the verb as a browser would send it."""
    page = desk.browser.get(desk.at(verb.name, **desk.named(name)))
    assert page.status_code == 200, text_of(page.text)
    return sent(page.text, verb, **typed)


def sent(html: str, verb: Verb, **typed: Any) -> MultiDict[str, str]:
    fields = _read(html, f"{verb.name}-form").fields
    for field, value in typed.items():
        fields[field] = value
    return fields


def at(desk: Desk, verb: Verb, name: str) -> str:
    return desk.at(f"{verb.name}_post", **desk.named(name))


def held(record: Record, row: Any) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in record.model.__table__.c}


@EVERY_VERB
def test_it_is_done_once_as_it_was_asked_and_told(
    desk: Desk, session: Any, record: Record, verb: Verb
) -> None:
    name = desk.enter(1)
    make_ready(session, record, verb, name)
    before = held(record, stored(session, record, name))
    assert (
        f'href="{at(desk, verb, name)}"'
        in desk.browser.get(desk.at("record", **desk.named(name))).text
    )
    form = asked(desk, verb, name, **known(verb))
    assert held(record, stored(session, record, name)) == before, "asking changes nothing"
    for _ in range(2):  # a double click has one effect
        done = desk.browser.post(at(desk, verb, name), data=form)
        assert (done.status_code, done.location) == (303, desk.at("record", **desk.named(name)))
    row = stored(session, record, name)
    assert row.version == before["version"] + 1
    events = session.scalars(
        select(AuditEvent)
        .where(AuditEvent.table_name == record.model.__tablename__)
        .order_by(AuditEvent.id)
    ).all()
    changed, earlier = events[-1], 1 + ((record.domain, verb.name) in READY)
    assert (len(events), changed.action, changed.actor) == (earlier + 1, "UPDATE", events[0].actor)
    reported = histories(desk, name)
    for field in verb.fields:
        value = known(verb)[field.name]
        assert field.fact(getattr(row, field.key)) == field.fact(value), "it is kept"
        with desk.browser.application.test_request_context():
            assert written(field, field.fact(value)) in reported


@EVERY_VERB
def test_what_is_missing_is_said_at_its_field_and_nothing_typed_is_lost(
    desk: Desk, program: Program, session: Any, record: Record, verb: Verb
) -> None:
    name = desk.enter(1)
    before = held(record, stored(session, record, name))
    for field in (field for field in verb.fields if field.required):
        typed = known(verb) | {field.name: " "}
        answer = desk.browser.post(at(desk, verb, name), data=asked(desk, verb, name, **typed))
        assert answer.status_code == 422
        assert field.required in text_of(answer.text)
        assert 'aria-invalid="true"' in answer.text
        again = sent(answer.text, verb)
        assert {n: again[n] for n in typed if n != field.name} == {
            n: v for n, v in typed.items() if n != field.name
        }
        fragment = desk.browser.post(
            at(desk, verb, name), data=asked(desk, verb, name, **typed), headers=HTMX
        )
        assert fragment.status_code == 422
        assert "<html" not in fragment.text
        assert field.required in text_of(fragment.text)
        for body in (
            typed,
            {n: v for n, v in typed.items() if n != field.name},
            typed | {field.name: None},
        ):
            refused = program.send(
                "POST", f"{address(record, name)}/{verb.name}", match=1, json=body
            )
            assert is_problem(refused, 422, field.name), body
            assert refused.get_json()["errors"][0]["message"] == field.required
    assert held(record, stored(session, record, name)) == before


@EVERY_VERB
def test_what_was_done_or_changed_meanwhile_is_not_done_again(
    desk: Desk, program: Program, session: Any, record: Record, verb: Verb
) -> None:
    name = desk.enter(1)
    make_ready(session, record, verb, name)
    path = f"{address(record, name)}/{verb.name}"
    form = asked(desk, verb, name, **known(verb))
    overtaken(session, record, name)
    before = held(record, stored(session, record, name))
    late = desk.browser.post(at(desk, verb, name), data=form)
    assert late.status_code == 409
    assert "Another user has saved" in text_of(late.text)
    refused = program.send("POST", path, match=1, json=known(verb))
    assert is_problem(refused, 412)
    assert refused.get_json()["detail"] in text_of(late.text)
    assert is_problem(program.send("POST", path, json=known(verb)), 428)
    assert held(record, stored(session, record, name)) == before
    assert desk.browser.post(at(desk, verb, name), data=sent(late.text, verb)).status_code == 303
    row = stored(session, record, name)
    with pytest.raises(Refusal) as reported:
        verb.refuses(session(), row)
    session.rollback()
    after = held(record, stored(session, record, name))
    for answer in (
        desk.browser.get(desk.at(verb.name, **desk.named(name))),
        desk.browser.post(
            at(desk, verb, name), data={**form.to_dict(), "idempotency_key": "another"}
        ),
        program.send("POST", path, match=row.version, json=known(verb)),
    ):
        assert answer.status_code == reported.value.status
        with desk.browser.application.test_request_context():
            said = answer.get_json()["detail"] if answer.is_json else text_of(answer.text)
            assert reported.value.sentence % reported.value.values in said
    assert at(desk, verb, name) not in desk.browser.get(desk.at("record", **desk.named(name))).text
    assert held(record, stored(session, record, name)) == after


def overtaken(session: Any, record: Record, name: str) -> None:
    """Another user has saved it."""
    row = stored(session, record, name)
    row.version += 1
    session.commit()


@EVERY_ACT
def test_only_who_may_does_it(
    sign_in: SignIn, desk: Desk, session: Any, record: Record, verb: Verb
) -> None:
    name = desk.enter(1, **DELETABLE.get(record.domain, {}))
    row = stored(session, record, name)
    before, version = held(record, row), record.version_of(row)
    for role, rights in PERMISSIONS.items():
        if (verb.writes or record.writes) in rights:
            continue
        browser = sign_in(role)
        assert browser.get(at(desk, verb, name)).status_code == 403
        stamp = {"version": f"{row.id}:{version}", "idempotency_key": role}
        assert browser.post(at(desk, verb, name), data=known(verb) | stamp).status_code == 403
    assert held(record, stored(session, record, name)) == before


@EVERY_RENAMED_ACT
def test_a_form_over_one_that_has_another_name_now_does_nothing_to_the_next(
    desk: Desk, session: Any, record: Record, verb: Verb
) -> None:
    first, second = (desk.enter(n, **DELETABLE.get(record.domain, {})) for n in (1, 2))
    for name in (first, second):
        make_ready(session, record, verb, name)
    form = asked(desk, verb, first, **known(verb))
    for name, another in ((first, "gone-9"), (second, first)):
        setattr(stored(session, record, name), record.argument, another)
        session.commit()
    before = held(record, stored(session, record, first))
    answer = desk.browser.post(at(desk, verb, first), data=form)
    assert answer.status_code == 409
    assert "belongs to another record" in text_of(answer.text)
    assert held(record, stored(session, record, first)) == before
    its_own = at(desk, verb, "gone-9")
    assert f'action="{its_own}"' in answer.text
    assert desk.browser.post(its_own, data=sent(answer.text, verb)).status_code == 303
    assert held(record, stored(session, record, first)) == before


@EVERY_VERB
def test_a_program_does_it_once_under_its_key(
    program: Program, session: Any, record: Record, verb: Verb
) -> None:
    name = program.send("POST", address(record), json=entered(record, 1)).get_json()[
        record.argument
    ]
    make_ready(session, record, verb, name)
    path = f"{address(record, name)}/{verb.name}"
    first, again = (
        program.send("POST", path, key="k", match=1, json=known(verb)) for _ in range(2)
    )
    assert first.status_code == 200, first.text
    assert (again.status_code, again.get_json()) == (200, first.get_json())
    assert (first.headers["ETag"], again.headers["Idempotent-Replay"]) == ('"2"', "true")
    row = program.send("GET", address(record, name))
    assert row.get_json() == first.get_json()
    assert is_problem(program.send("POST", path, match=2, json=known(verb) | {"id": 7}), 422, "id")


@pytest.mark.parametrize("is_locked", [True, False])
@EVERY_ACT
def test_of_two_who_do_it_at_once_one_is_refused_and_without_its_lock_neither_would_be(
    app: Flask, desk: Desk, session: Any, record: Record, verb: Verb, is_locked: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The second case is the mutant, which shows that the first can fail."""
    name = desk.enter(1, **DELETABLE.get(record.domain, {}))
    make_ready(session, record, verb, name)
    row_id = stored(session, record, name).id
    session.rollback()
    looked, outcomes = threading.Barrier(2), []

    def unlocked(session: Any, model: Any, ids: list[int], **_: Any) -> dict[int, Any]:
        found = {key: session.get(model, key) for key in ids}
        if model is record.model:
            looked.wait(10)
        return found

    if not is_locked:
        unlock(monkeypatch, verb, unlocked)

    def do(number: int) -> None:
        from backoffice.app.extensions import db

        with app.app_context():
            values = {
                field.name: field.data(field.fact(value_of(field, number))) for field in verb.fields
            }
            try:
                actions.run_verb(db.session(), record, verb, row_id, 1, values)
                db.session.commit()
                outcomes.append("done")
            except Refusal:
                db.session.rollback()
                outcomes.append("refused")
            except ProgrammingError:
                db.session.rollback()
                outcomes.append("stopped")

    threads = [threading.Thread(target=do, args=(number,)) for number in (4, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    without = STOPPED.get((record.domain, verb.name), "done")
    assert sorted(outcomes) == (["done", "refused"] if is_locked else ["done", without])


def unlock(monkeypatch: pytest.MonkeyPatch, verb: Verb, instead: Callable[..., Any]) -> None:
    """Replace the kit's lock by `instead`, under every name that the verb's modules have for it."""
    import sys

    original = actions.locked
    for module in list(sys.modules.values()):
        for name, thing in list(vars(module).items()) if module else ():
            if thing is original and module.__name__.startswith("backoffice"):
                monkeypatch.setattr(module, name, instead)


@EVERY_DELETION
def test_one_is_deleted_once_after_a_question_and_its_trail_stays(
    desk: Desk, session: Any, record: Record, verb: Verb
) -> None:
    name = desk.enter(1, **DELETABLE.get(record.domain, {}))
    row_id = stored(session, record, name).id
    page = desk.browser.get(desk.at("record", **desk.named(name)))
    assert f'href="{at(desk, verb, name)}"' in page.text
    form = asked(desk, verb, name)
    assert count(session, record) == 1, "asking changes nothing"
    for _ in range(2):  # a double click has one effect
        done = desk.browser.post(at(desk, verb, name), data=form)
        assert (done.status_code, done.location) == (303, desk.at("index"))
    assert count(session, record) == 0
    its_own = {"table_name": record.model.__tablename__, "row_id": str(row_id)}
    events = session.scalars(select(AuditEvent).filter_by(**its_own).order_by(AuditEvent.id)).all()
    assert [event.action for event in events] == ["INSERT", "DELETE"]
    assert desk.browser.get(desk.at("record", **desk.named(name))).status_code == 404


@EVERY_DELETION
def test_one_that_a_user_changed_meanwhile_is_not_deleted(
    desk: Desk, program: Program, session: Any, record: Record, verb: Verb
) -> None:
    name = desk.enter(1, **DELETABLE.get(record.domain, {}))
    path = f"{address(record, name)}/{verb.name}"
    form = asked(desk, verb, name)
    overtaken(session, record, name)
    late = desk.browser.post(at(desk, verb, name), data=form)
    assert late.status_code == 409
    assert "Another user has saved" in text_of(late.text)
    fragment = desk.browser.post(at(desk, verb, name), data=form, headers=HTMX)
    assert fragment.status_code == 409
    assert "Another user has saved" in text_of(fragment.text)
    assert is_problem(program.send("POST", path), 428)
    assert is_problem(program.send("POST", path, match=1), 412)
    assert count(session, record) == 1
    assert desk.browser.post(at(desk, verb, name), data=sent(late.text, verb)).status_code == 303
    assert count(session, record) == 0
    assert is_problem(program.send("POST", path, match=2), 404)


@EVERY_DELETION
def test_one_that_has_to_stay_says_why_before_it_is_asked_and_after(
    desk: Desk, program: Program, session: Any, record: Record, verb: Verb
) -> None:
    name = desk.enter(1, **DELETABLE.get(record.domain, {}))
    path = f"{address(record, name)}/{verb.name}"
    form = asked(desk, verb, name)
    row = stored(session, record, name)
    if record.domain not in KEPT:
        assert program.send("POST", path, match=1).status_code == 204
        return
    KEPT[record.domain](row)
    session.commit()
    with pytest.raises(Refusal) as reported:
        verb.refuses(session(), row)
    session.rollback()
    page = desk.browser.get(at(desk, verb, name))
    shown = desk.browser.get(desk.at("record", **desk.named(name))).text
    assert at(desk, verb, name) not in shown, "what is not possible is not offered"
    for answer in (page, desk.browser.post(at(desk, verb, name), data=form)):
        assert answer.status_code == reported.value.status
        assert "cannot be deleted" in text_of(answer.text)
        assert 'class="btn btn-danger"' not in answer.text
    refused = program.send("POST", path, match=1)
    assert is_problem(refused, reported.value.status)
    assert refused.get_json()["detail"] == reported.value.sentence % reported.value.values
    assert count(session, record) == 1


def test_every_verb_is_at_an_address_that_no_record_has() -> None:
    from backoffice.base.identifiers import is_number

    for record in DECLARED:
        for verb in record.verbs:
            assert not is_number(f"A-1/{verb.name}", ()), verb.name
