"""Every verb that changes much at one press: shown with its amounts, done with a reason, approved above the limits."""

from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from backoffice.app.extensions import db
from backoffice.audit.scope import NOT_AUDITED
from backoffice.base import Base
from backoffice.base.actor import acting_as
from backoffice.drift.facts.findings import PREFIX
from backoffice.drift.healing.performing import performed
from backoffice.figures import registry
from backoffice.people.models import User
from backoffice.runs import actions
from backoffice.runs.errors import MayNotApprove, NothingToRetry
from backoffice.runs.models import Run, RunItem
from tests.approvals.cards import confirm
from tests.approvals.cases import CASES, Case
from tests.drift.books import text_of
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory, UserFactory
from tests.orders.test_bulk import previewed

pytestmark = pytest.mark.slow

Outside = psycopg.Connection[Any]

each = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.verb}-{case.endpoint}")

COUNTING = "- 'version' - 'updated_at' - 'created_at'"


@pytest.fixture
def ana(session: Any) -> User:
    person: User = UserFactory(role="finance", name="Ana Asker")
    session.commit()
    return person


def stored(outside: Outside) -> dict[str, list[Any]]:
    """Every row of every business table, except those that count saves."""
    tables = sorted(set(Base.metadata.tables) - set(NOT_AUDITED) - {"users"})
    tables += ["price_changes", "price_change_orders"]
    return {
        name: outside.execute(
            f"SELECT (to_jsonb(t) {COUNTING})::text FROM {name} t ORDER BY 1".encode()
        ).fetchall()
        for name in tables
    }


def totals(outside: Outside) -> dict[tuple[str, int], dict[str, str]]:
    """Every stored total: figure and primary key → the values of its columns."""
    found = {}
    for figure in registry.figures:
        columns = ", ".join(f"{c.key}::text" for c in (figure.primary_key, *figure.columns))
        for key, *values in outside.execute(f"SELECT {columns} FROM {figure.table.name}".encode()):
            found[figure.name, int(key)] = dict(
                zip([c.key for c in figure.columns], values, strict=True)
            )
    return found


def press(browser: FlaskClient, case: Case, book: dict[str, Any], key: str = "k1") -> Any:
    address, typed = case.ask(browser, book)
    typed["idempotency_key"] = key
    return browser.post(address, data=typed)


def newest(session: Any) -> Run:
    session.rollback()
    session.expire_all()
    return session.scalars(select(Run).order_by(Run.id.desc()).limit(1)).one()


def waiting(session: Any, browser: FlaskClient, case: Case, book: dict[str, Any]) -> Run:
    card = press(browser, case, book)
    assert card.status_code == 200, text_of(card.text)
    answer = confirm(browser, card)
    assert answer.status_code == 303, text_of(answer.text)
    run = newest(session)
    assert answer.location == f"/runs/{run.id}"
    assert (run.kind, run.status) == (case.verb, "awaiting approval")
    return run


def test_every_verb_has_its_case(app: Flask) -> None:
    assert {case.verb for case in CASES} == set(app.declared.verbs)


@each
def test_below_the_limits_it_is_done_at_once_and_where_it_is_always_shown_with_a_reason(
    session: Any, sign_in: Any, owner_connection: Outside, ana: User, case: Case
) -> None:
    book, browser = case.make(session), sign_in(ana)
    before = stored(owner_connection)
    answer = press(browser, case, book)
    if not case.is_always_shown:
        assert answer.status_code == 303, text_of(answer.text)
        assert stored(owner_connection) != before
        assert session.scalars(select(Run)).all() == []
        return
    reported = text_of(answer.text)
    assert answer.status_code == 200
    for words in ("Items", "Net total", "Gross total", "a second person has to approve", "Reason"):
        assert words in reported, words
    assert stored(owner_connection) == before, "shown, and nothing else"
    assert session.scalars(select(Run)).all() == []
    refused = confirm(browser, answer, card_reason="  ")
    assert (refused.status_code, "Say why" in refused.text) == (422, True)
    assert stored(owner_connection) == before
    assert confirm(browser, refused).status_code == 303
    assert stored(owner_connection) != before
    run = newest(session)
    assert (run.status, run.reason, run.requested_by) == (
        "done", "agreed by phone", f"user:{ana.id}",
    )  # fmt: skip
    outcomes = set(session.scalars(select(RunItem.outcome).where(RunItem.run_id == run.id)))
    assert outcomes == {"applied"}


@each
def test_above_a_limit_nothing_is_written_until_another_user_approves_and_then_exactly_what_was_shown(
    app: Flask,
    session: Any,
    sign_in: Any,
    owner_connection: Outside,
    ana: User,
    case: Case,
) -> None:
    book, browser = case.make(session), sign_in(ana)
    app.config["APPROVAL_ABOVE_COUNT"] = 0
    before, were = stored(owner_connection), totals(owner_connection)
    card = press(browser, case, book)
    assert "a second person will have to approve it" in text_of(card.text)
    assert stored(owner_connection) == before
    forged = confirm(browser, card, card_seen="0" * 64)
    assert forged.status_code == 409
    assert "look at what it would do now" in text_of(forged.text), "what was otherwise shown"
    assert stored(owner_connection) == before
    assert session.scalars(select(Run)).all() == []
    assert confirm(browser, card, card_reason=" ").status_code == 422
    run = waiting(session, browser, case, book)
    assert stored(owner_connection) == before
    again = confirm(browser, card)
    assert again.location == f"/runs/{run.id}", "a second tab asks for the same"
    assert newest(session).id == run.id

    answer = browser.post(f"/runs/{run.id}/approve", data={"idempotency_key": "own"})
    assert answer.status_code == 403
    viewer = sign_in("viewer")
    assert viewer.post(f"/runs/{run.id}/approve", data={"idempotency_key": "v"}).status_code == 403
    for who in (f"user:{ana.id}", "cli:root"):
        with acting_as(who), pytest.raises(NothingToRetry):
            actions.retry(session, run.id)
        session.rollback()
    with acting_as("cli:root"), pytest.raises(MayNotApprove):
        actions.approve(session, run.id)
    session.rollback()
    assert stored(owner_connection) == before

    budi = sign_in("finance", name="Budi Second")
    page = budi.get(f"/runs/{run.id}").text
    reported = text_of(page)
    for words in (
        "agreed by phone",
        "Ana Asker asks for your approval",
        "Net total",
        "Gross total",
    ):
        assert words in reported, words
    items = session.scalars(select(RunItem).where(RunItem.run_id == run.id)).all()
    shown = {(i.subject, tuple(i.key.items()), tuple((i.after or {}).items())) for i in items}
    session.rollback()
    assert budi.post(f"/runs/{run.id}/approve", data={"idempotency_key": "b"}).status_code == 303
    done = performed(db.engine, run.id).run
    assert (done.status, done.changed, done.skipped) == ("done", len(items), 0), done.error
    assert stored(owner_connection) != before
    session.expire_all()
    kept = session.scalars(select(RunItem).where(RunItem.run_id == run.id)).all()
    assert {item.outcome for item in kept} == {"applied"}
    assert {
        (i.subject, tuple(i.key.items()), tuple((i.after or {}).items())) for i in kept
    } == shown
    _is_exactly(kept, were, totals(owner_connection))


def _is_exactly(items: Any, were: Any, are: Any) -> None:
    """Assert that the stored totals shown are exactly those that changed."""
    changed = set()
    for name, key in {*were, *are}:
        before, after = were.get((name, key)), are.get((name, key))
        if before != after:
            apart = [(k, v) for k, v in (after or {}).items() if v != (before or {}).get(k)]
            changed.add((name, tuple(sorted(apart))))
    totals = [item for item in items if not item.subject.startswith(PREFIX)]
    assert {(item.subject, tuple(sorted((item.after or {}).items()))) for item in totals} == changed


@each
def test_what_has_changed_since_is_left_alone(
    app: Flask, session: Any, sign_in: Any, owner_connection: Outside, ana: User, case: Case
) -> None:
    book, browser = case.make(session), sign_in(ana)
    app.config["APPROVAL_ABOVE_COUNT"] = 0
    run = waiting(session, browser, case, book)
    session.execute(db.text(case.overtake))
    session.commit()
    before = stored(owner_connection)
    sign_in("finance").post(f"/runs/{run.id}/approve", data={"idempotency_key": "b"})
    done = performed(db.engine, run.id).run
    assert (done.status, done.changed, done.skipped) == ("done", 0, done.checked)
    assert stored(owner_connection) == before
    outcomes = set(session.scalars(select(RunItem.outcome).where(RunItem.run_id == run.id)))
    assert outcomes == {"skipped"}
    assert "Retry what is left" not in browser.get(f"/runs/{run.id}").text


@each
def test_above_a_limit_of_amounts_it_waits_and_who_may_not_do_it_any_more_has_asked_in_vain(
    app: Flask, session: Any, sign_in: Any, owner_connection: Outside, ana: User, case: Case
) -> None:
    book, browser = case.make(session), sign_in(ana)
    if case.verb == "orders.bulk-edit":
        book["ids"] = book["ids"][2:]  # the closed one counts towards a manager's target
    app.config["APPROVAL_ABOVE_AMOUNT"] = 0
    before = stored(owner_connection)
    run = waiting(session, browser, case, book)
    assert stored(owner_connection) == before
    session.get_one(User, ana.id).role = "viewer"
    session.commit()
    sign_in("finance").post(f"/runs/{run.id}/approve", data={"idempotency_key": "b"})
    done = performed(db.engine, run.id).run
    assert (done.changed, done.skipped > 0) == (0, True)
    assert stored(owner_connection) == before


def test_whoever_may_not_look_at_runs_is_told_that_it_waits_where_they_came_from(
    app: Flask, session: Any, sign_in: Any, owner_connection: Outside
) -> None:
    nancy = AccountManagerFactory(name="Nancy")
    mine = [OrderFactory(number=f"A-{n}", account_manager=nancy) for n in (1, 2)]
    session.commit()
    browser, before = sign_in(nancy), stored(owner_connection)
    app.config["APPROVAL_ABOVE_COUNT"] = 0
    query = {"selected": 1, "id": [order.id for order in mine]}
    closed = {"closing": "set", "to_closing_date": "2026-12-09"}
    card = browser.post("/orders/bulk", data=previewed(browser, **query, **closed)[1])
    for key in ("k1", "k2"):
        answer = confirm(browser, card, idempotency_key=key)
        assert (answer.status_code, answer.location) == (303, "/orders")
        page = browser.get(answer.location)
        assert page.status_code == 200
        assert "waits" in text_of(page.text)
        assert stored(owner_connection) == before
    run = newest(session)
    assert (run.status, run.requested_by) == ("awaiting approval", f"user:{nancy.id}")
    budi = sign_in("finance")
    assert budi.post(f"/runs/{run.id}/approve", data={"idempotency_key": "b"}).status_code == 303
    assert performed(db.engine, run.id).run.changed > 0


def test_what_waits_already_is_not_done_beside_it_where_the_limits_were_raised(
    app: Flask, session: Any, sign_in: Any, owner_connection: Outside, ana: User
) -> None:
    case = next(case for case in CASES if case.verb == "billing.match-sure")
    book, browser = case.make(session), sign_in(ana)
    app.config["APPROVAL_ABOVE_COUNT"] = 0
    run = waiting(session, browser, case, book)
    before = stored(owner_connection)
    app.config["APPROVAL_ABOVE_COUNT"] = 1000
    card = press(browser, case, book, key="k2")
    answer = confirm(browser, card, idempotency_key="k3")
    assert answer.location == f"/runs/{run.id}"
    assert "waits with the same request already" in text_of(browser.get(answer.location).text)
    assert stored(owner_connection) == before
