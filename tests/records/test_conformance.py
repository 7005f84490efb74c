"""The conformance of every declared record: entering, saving, refusing, edit conflicts, history, permissions.

A record is under these tests by being declared.
"""

import csv
import io
import threading
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask, url_for
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.datastructures import MultiDict

from backoffice.audit.models import AuditEvent
from backoffice.people.models import User
from backoffice.records import (
    Amount,
    Choice,
    Day,
    Factor,
    Field,
    Pick,
    Quantity,
    Record,
    Text,
    UnitPrice,
    Verb,
    actions,
)
from backoffice.records.writing import written
from backoffice.security.rights import PERMISSIONS
from tests.orders.pages import _read, text_of

from .declared import (
    DECLARED,
    DELETABLE,
    EVERY_EDITED_RECORD,
    EVERY_NAMED_RECORD,
    EVERY_RECORD,
    EVERY_RENAMED_RECORD,
    LATE,
    OWN,
    entered,
    fact_of,
    facts_of,
    is_called,
    newest,
    prepared_of,
    tried,
    unique_beside,
    value_of,
    values_of,
    words_of,
)

SignIn = Callable[..., FlaskClient]

DATED = ("day", "month")

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}


def typed(values: dict[str, Any]) -> dict[str, Any]:
    """The values as a browser sends them: a box that is not ticked is not sent."""
    return {
        name: "y" if value is True else value
        for name, value in values.items()
        if value is not False
    }


class Desk:
    """A user who works on one record in a browser."""

    def __init__(self, browser: FlaskClient, record: Record) -> None:
        self.browser, self.record = browser, record

    def at(self, view: str, **named: str) -> str:
        with self.browser.application.test_request_context():
            return url_for(f"{self.record.domain}.{view}", **named)

    def named(self, name: str) -> dict[str, str]:
        return {self.record.argument: name}

    def form(self, address: str, /, **changes: Any) -> MultiDict[str, str]:
        page = self.browser.get(address)
        assert page.status_code == 200, page.text
        return self.read(page.text, **changes)

    def read(self, html: str, /, **changes: Any) -> MultiDict[str, str]:
        fields = _read(html, self.record.form_id).fields
        for name, value in changes.items():
            fields.pop(name, None)
            if value is not False:
                fields[name] = "y" if value is True else value
        return fields

    def enter(self, number: int, /, **changes: Any) -> str:
        """Save a new row; answers its name."""
        values = entered(self.record, number) | changes
        saved = self.browser.post(self.at("create"), data=self.form(self.at("new"), **values))
        assert saved.status_code == 303, text_of(saved.text)
        return newest(self.record)

    def edit(self, name: str, /, **changes: Any) -> Any:
        address = self.at("edit", **self.named(name))
        return self.browser.post(address, data=self.form(address, **changes))


def stored(session: Any, record: Record, name: str) -> Any:
    session.rollback()
    session.expire_all()
    return session.scalars(select(record.model).where(is_called(record, name))).one()


def count(session: Any, record: Record) -> int:
    session.rollback()
    return int(session.scalar(select(func.count()).select_from(record.model))) - prepared_of(record)


@EVERY_RECORD
def test_what_is_entered_is_stored_once_and_shown_listed_filed_and_told(
    desk: Desk, session: Any, record: Record
) -> None:
    values = entered(record, 1)
    fields = {field.key for field in record.fields}
    others = (
        {column.key for column in record.model.__table__.c} - fields - values.keys() - {"version"}
    )
    form = desk.form(desk.at("new"), **values, **dict.fromkeys(others, "7654321"))
    first, again = (desk.browser.post(desk.at("create"), data=form) for _ in range(2))
    assert first.status_code == 303, text_of(first.text)
    assert (again.status_code, again.location) == (303, first.location), "a double click"
    name, is_entered = newest(record), record.argument in values
    row = stored(session, record, name)
    assert count(session, record) == 1
    assert record.facts(row) == facts_of(record, values)
    assert row.version == 1
    assert "7654321" not in {str(getattr(row, column)) for column in others}, (
        "what is no field is no input"
    )
    other = desk.browser.post(desk.at("create"), data={**form, **typed(entered(record, 2))})
    assert other.status_code == 422
    assert "already sent with other contents" in text_of(other.text)
    page = desk.at("record", **desk.named(name))
    assert f'href="{page}' in desk.browser.get(desk.at("index")).text
    assert record.label_of(row) in text_of(desk.browser.get(page).text)
    lines = list(csv.reader(io.StringIO(desk.browser.get(desk.at("export", flavour="csv")).text)))
    seen = next((f.name for f in (*record.fields, *record.new_fields) if f.kind in DATED), "")
    assert any((name if is_entered else values[seen]) in cells for cells in lines)
    assert not is_entered or name in desk.browser.get("/search", query_string={"q": name}).text


def histories(desk: Desk, name: str) -> str:
    """The text of the record's pages."""
    pages = [desk.at("record", **desk.named(name))]
    if f"{desk.record.domain}.changes" in desk.browser.application.view_functions:
        pages.append(desk.at("changes", **desk.named(name)))
    return " ".join(text_of(desk.browser.get(page).text) for page in pages)


@EVERY_EDITED_RECORD
def test_every_field_is_changed_alone_counted_and_told(
    desk: Desk, session: Any, record: Record
) -> None:
    name = desk.enter(2)
    for version, field in enumerate(tried(record), start=2):
        value = value_of(field, 3)
        before = record.facts(stored(session, record, name))
        address = desk.at("edit", **desk.named(name))
        form = desk.form(address, **{field.name: value})
        first, again = (desk.browser.post(address, data=form) for _ in range(2))
        assert first.status_code == 303, field.name
        assert (again.status_code, again.location) == (303, first.location), "a double click"
        name = value if field.name == record.argument else name
        row = stored(session, record, name)
        assert record.facts(row) == {**before, field.name: fact_of(field, value)}
        assert row.version == version
        reported = histories(desk, name)
        with desk.browser.application.test_request_context():
            change = (
                f"before: {written(field, before[field.name])} → after: {words_of(field, value)}"
            )
        assert f"{field.label} {change}" in reported.replace("before:  ", "before: "), field.name


@EVERY_EDITED_RECORD
def test_saving_what_is_stored_already_writes_nothing(
    desk: Desk, session: Any, record: Record
) -> None:
    name = desk.enter(1)
    events = select(func.count()).where(AuditEvent.table_name == record.model.__tablename__)
    before = session.scalar(events)
    assert desk.edit(name).status_code == 303
    assert stored(session, record, name).version == 1
    assert session.scalar(events) == before


def refused(record: Record) -> Iterator[tuple[str, str, str]]:
    """Field, an invalid text, and its error."""
    for field in record.fields:
        if field.required:
            yield field.name, " ", field.required
        if isinstance(field, Text):
            yield field.name, "x" * field.longest + "1", f"At most {field.longest} characters."
        if isinstance(field, Choice):
            yield field.name, "nothing of the kind", "Not a valid choice."
        if isinstance(field, Pick):
            yield field.name, "no such name", field.of.none
        if field.taken:
            value = value_of(field, 1)
            yield field.name, value, field.taken % {field.name: value}
        for law in field.laws:
            bad = next(bad for bad in BAD[type(field)] if not law.holds(bad))
            yield field.name, str(bad), law.sentence


BAD: dict[type[Field], tuple[Any, ...]] = {
    Text: ("new", "a/edit", "\u202e", "/"),
    Amount: (Decimal(0), Decimal(-1)),
    Day: (date(2099, 1, 1),),
    Pick: (0,),
    Quantity: (Decimal(1_000_000),),
    UnitPrice: (Decimal(100_000),),
    Factor: (Decimal(0),),
}
"""Values that a law of the field forbids."""


@EVERY_RECORD
def test_what_cannot_be_is_said_at_its_field_and_nothing_typed_is_lost(
    desk: Desk, session: Any, record: Record
) -> None:
    name, other = desk.enter(1), desk.enter(2)
    for field, bad, sentence in refused(record):
        edits = [] if record.append_only else [desk.at("edit", **desk.named(other))]
        for address in (desk.at("new"), *edits):
            fields = entered(record, 3)
            if address in edits:
                fields = {n: v for n, v in fields.items() if n in record.by_name}
            values = typed(fields) | unique_beside(record, field) | {field: bad}
            form = desk.form(address, **values)
            answer = desk.browser.post(address, data=form)
            assert answer.status_code == 422, (field, bad)
            assert sentence in text_of(answer.text), (field, bad)
            assert 'aria-invalid="true"' in answer.text, (field, bad)
            assert "<html" not in desk.browser.post(address, data=form, headers=HTMX).text
            again = desk.read(answer.text)
            kept = {n: v for n, v in values.items() if n != field}
            assert {n: again.get(n) for n in kept} == kept, (field, bad)
    assert count(session, record) == 2
    assert {stored(session, record, n).version for n in (name, other)} == {1}


@EVERY_RENAMED_RECORD
def test_two_editors_see_each_others_changes_and_nothing_typed_is_lost(
    sign_in: SignIn, desk: Desk, session: Any, record: Record
) -> None:
    """FAULTS 22."""
    name = desk.enter(1)
    theirs = Desk(sign_in("finance", name="Budi"), record)
    both, one = two_fields(record)
    my_both, their_both, their_value = value_of(both, 7), value_of(both, 8), value_of(one, 9)
    mine = desk.form(desk.at("edit", **desk.named(name)), **{both.name: my_both})
    assert theirs.edit(name, **{both.name: their_both, one.name: their_value}).status_code == 303
    name = their_value if one.name == record.argument else name
    address = desk.at("edit", **desk.named(name))
    answer = desk.browser.post(address, data=mine)
    assert answer.status_code == 409
    reported = text_of(answer.text)
    assert "Budi saved this at" in reported
    with desk.browser.application.test_request_context():
        assert (
            f"{both.label} {words_of(both, their_both)} {words_of(both, my_both)} Mine" in reported
        )
        before = words_of(one, value_of(one, 1))
        assert f"{one.label} {words_of(one, their_value)} {before} Theirs" in reported
    merged = desk.read(answer.text)
    assert (merged[both.name], merged[one.name]) == (my_both, their_value)
    assert desk.browser.post(address, data=merged).status_code == 303
    row = stored(session, record, name)
    facts = record.facts(row)
    assert (facts[both.name], facts[one.name]) == (both.fact(my_both), one.fact(their_value))
    assert row.version == 3


def two_fields(record: Record) -> tuple[Field, Field]:
    """Two texts or days of the record other than its name; with its name where there are no two."""
    texts = [field for field in record.fields if isinstance(field, Text | Day)]
    first, *others = sorted(texts, key=lambda field: field.name == record.argument)
    return first, others[0]


@EVERY_RENAMED_RECORD
def test_a_tampered_version_is_a_conflict_and_a_tampered_base_keeps_what_is_mine(
    desk: Desk, session: Any, record: Record
) -> None:
    """FAULTS 12."""
    name, (mine, other) = desk.enter(1), two_fields(record)
    address, value = desk.at("edit", **desk.named(name)), value_of(mine, 7)
    form = desk.form(address, **{mine.name: value})
    before = record.facts(stored(session, record, name))
    for version in ("", "x", "99", "-1", "9" * 30):
        tampered = form.to_dict() | {"version": version}
        assert desk.browser.post(address, data=tampered).status_code == 409, version
    assert record.facts(stored(session, record, name)) == before
    theirs = value_of(other, 9)
    assert desk.edit(name, **{other.name: theirs}).status_code == 303
    name = theirs if other.name == record.argument else name
    address = desk.at("edit", **desk.named(name))
    for base in ("", "[]", "{", f'{{"{mine.name}": 7}}', "[" * 100_000, '"x"'):
        answer = desk.browser.post(address, data=form.to_dict() | {"base": base})
        assert answer.status_code == 409, base[:20]
        assert desk.read(answer.text)[mine.name] == value, base[:20]


@EVERY_RENAMED_RECORD
def test_a_form_that_was_opened_on_another_record_is_kept_for_that_one(
    desk: Desk, session: Any, record: Record
) -> None:
    """The number in the address has gone to another one meanwhile."""
    first, second = desk.enter(1), desk.enter(2)
    address = desk.at("edit", **desk.named(first))
    field, _other = two_fields(record)
    typed = value_of(field, 7)
    form = desk.form(address, **{field.name: typed})
    gone = value_of(record.by_name[record.argument], 9)
    assert desk.edit(first, **{record.argument: gone}).status_code == 303
    assert desk.edit(second, **{record.argument: first}).status_code == 303
    before = record.facts(stored(session, record, first))
    answer = desk.browser.post(address, data=form)
    assert answer.status_code == 409
    assert "belongs to another record" in text_of(answer.text)
    assert record.facts(stored(session, record, first)) == before
    its_own = desk.at("edit", **desk.named(gone))
    assert desk.browser.post(its_own, data=desk.read(answer.text)).status_code == 303
    facts = record.facts(stored(session, record, gone))
    assert facts == {**facts, field.name: fact_of(field, typed), record.argument: gone}


@EVERY_RECORD
def test_one_that_is_not_there_is_not_found(desk: Desk, record: Record) -> None:
    for view in ("record", *(() if record.append_only else ("edit",))):
        assert desk.browser.get(desk.at(view, **desk.named("NOBODY"))).status_code == 404


@EVERY_RECORD
def test_whoever_may_not_is_refused_and_offered_nothing(
    sign_in: SignIn, desk: Desk, session: Any, record: Record
) -> None:
    name = desk.enter(1, **DELETABLE.get(record.domain, {}))
    row = stored(session, record, name)

    def is_late(verb: Verb) -> bool:
        """Verbs that are not possible for a new row are tested by `test_verbs`."""
        return (record.domain, verb.name) in LATE

    for role, allowed in PERMISSIONS.items():
        browser = Desk(sign_in(role), record)
        if OWN.get(record.domain) == role:
            assert browser.browser.get(desk.at("record", **desk.named(name))).status_code == 404
            continue
        verbs = [v.name for v in record.verbs if v.for_people and not v.creates and not is_late(v)]
        verbs += [] if record.append_only else ["edit"]
        changes = (desk.at("new"), *(desk.at(verb, **desk.named(name)) for verb in verbs))
        reads = (desk.at("index"), desk.at("record", **desk.named(name)))
        may_write, may_read = record.writes in allowed, record.reads in allowed
        for address in changes:
            assert browser.browser.get(address).status_code == (200 if may_write else 403)
            if not may_write:
                assert (
                    browser.browser.post(address, data=typed(entered(record, 5))).status_code == 403
                )
        for address in reads:
            page = browser.browser.get(address)
            is_hidden = (
                page.status_code == 404 and role == "account_manager" and address is reads[1]
            )
            assert is_hidden or page.status_code == (200 if may_read else 403)
            for change in changes:
                assert may_write or f'href="{change}"' not in page.text, (role, change)
    assert record.facts(stored(session, record, name)) == record.facts(row)


@EVERY_NAMED_RECORD
def test_of_two_that_enter_the_same_at_once_one_is_told_that_it_is_taken(
    app: Flask, sign_in: SignIn, session: Any, prepared: None, record: Record
) -> None:
    desks = [Desk(sign_in("finance"), record) for _ in range(2)]
    named = {record.argument: entered(record, 1)[record.argument]}
    forms = [
        desk.form(desk.at("new"), **entered(record, n) | named) for n, desk in enumerate(desks)
    ]
    meet, answers = threading.Barrier(2), []

    def send(desk: Desk, form: Any) -> None:
        meet.wait(10)
        answers.append(desk.browser.post(desk.at("create"), data=form))

    threads = [threading.Thread(target=send, args=pair) for pair in zip(desks, forms, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(answer.status_code for answer in answers) == [303, 422]
    sentence = record.by_name[record.argument].taken % {
        record.argument: entered(record, 1)[record.argument]
    }
    assert sentence in text_of(next(a.text for a in answers if a.status_code == 422))
    assert count(session, record) == 1


@pytest.mark.parametrize("is_locked", [True, False])
@EVERY_RENAMED_RECORD
def test_of_two_that_save_at_once_one_sees_the_others_change_and_without_the_lock_it_would_not(
    app: Flask, desk: Desk, session: Any, record: Record, is_locked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """FAULTS 22, deterministic; the second case is the mutant, which shows that the first can fail."""
    row_id = stored(session, record, desk.enter(1)).id
    looked, outcomes = threading.Barrier(2), []

    def unlocked(session: Any, model: Any, ids: list[int], **_: Any) -> dict[int, Any]:
        found = {key: session.get(model, key) for key in ids}
        looked.wait(10)
        return found

    if not is_locked:
        monkeypatch.setattr(actions, "locked", unlocked)

    def save(number: int) -> None:
        from backoffice.app.extensions import db

        with app.app_context():
            values = values_of(record, entered(record, number) | {record.argument: "same-1"})
            try:
                actions.update(db.session(), record, row_id, values, 1)
                db.session.commit()
                outcomes.append("saved")
            except actions.RecordChanged:
                db.session.rollback()
                outcomes.append("changed")

    session.rollback()
    threads = [threading.Thread(target=save, args=(number,)) for number in (4, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcomes) == (["changed", "saved"] if is_locked else ["saved", "saved"])


@EVERY_EDITED_RECORD
def test_one_that_was_deleted_meanwhile_is_said_to_be_gone(session: Any, record: Record) -> None:
    with pytest.raises(actions.RecordGone):
        actions.update(session, record, 404, entered(record, 1), 1)


def test_every_domain_that_has_records_is_here() -> None:
    assert {record.domain for record in DECLARED} >= {
        "customers",
        "products",
        "meters",
        "adjustments",
        "invoices",
        "payments",
        "orders",
        "targets",
    }
    assert User not in {record.model for record in DECLARED}
