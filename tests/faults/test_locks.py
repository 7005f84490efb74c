"""FAULTS.md, line 25: another session holds a row lock for minutes."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Pool, event, text

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.orders.models import Order
from tests.factories.orders import OrderFactory
from tests.orders.pages import filled

pytestmark = pytest.mark.slow

SAVERS = 8
LOCK_TIMEOUT = 2.0
"""Seconds that a save waits; up to twice that where it queues behind others, as PostgreSQL counts each wait."""


@pytest.fixture
def order(session: Any) -> Order:
    """An order that several clients save."""
    made: Order = OrderFactory(number="SO-1")
    session.commit()
    return made


@pytest.fixture
def hoarder(owner_database_url: str, order: Order) -> Iterator[psycopg.Connection[Any]]:
    """A session that has locked the order and stays idle."""
    key = order.id
    db.session.rollback()
    with psycopg.connect(owner_database_url) as connection:
        connection.execute("SELECT FROM orders WHERE id = %s FOR UPDATE", (key,))
        yield connection
        connection.rollback()


def test_fault_25_whoever_waits_too_long_is_told_so_and_the_pool_is_not_exhausted(
    sign_in: Callable[..., FlaskClient],
    session: Any,
    order: Order,
    hoarder: psycopg.Connection[Any],
) -> None:
    clients = [sign_in("finance") for _ in range(SAVERS)]
    reader = sign_in("finance")
    typed = filled(clients[0], "/orders/SO-1/edit", promo="1")
    session.rollback()

    def save(client: FlaskClient) -> Any:
        return client.post("/orders/SO-1/edit", data=typed)

    begun = time.monotonic()
    with ThreadPoolExecutor(SAVERS) as people:
        waiting = [people.submit(save, client) for client in clients]
        for path in ("/orders", "/orders/SO-1"):  # requests that only read do not wait
            assert reader.get(path).status_code == 200
        assert time.monotonic() - begun < 2 * LOCK_TIMEOUT
        answers = [answer.result() for answer in waiting]
    assert time.monotonic() - begun < 6 * LOCK_TIMEOUT
    assert {answer.status_code for answer in answers} == {503}
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)
    assert all("try again" in answer.text for answer in answers)

    pool = db.engine.pool
    assert isinstance(pool, Pool)
    assert pool.status().count("Current Checked out connections: 0") == 1, pool.status()
    hoarder.rollback()
    saved = save(clients[0])
    assert saved.status_code == 303, saved.text
    session.rollback()
    assert session.get_one(Order, order.id).promo == 1


def test_fault_25_however_many_save_at_a_time_pages_are_answered(
    app: Flask, sign_in: Callable[..., FlaskClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting saves occupy every turn: a further one gets 503, and pages are served without waiting."""
    monkeypatch.setattr(app, "turns", BoundedSemaphore(1))
    client = sign_in("finance")
    saved = {"data": {"theme": "dark"}}
    with app.turns:
        assert client.get("/orders").status_code == 200
        refused = client.post("/preferences", **saved)
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert client.post("/preferences", **saved).status_code == 303
    assert client.post("/preferences", **saved).status_code == 303


def test_fault_25_a_heal_names_the_owner_that_a_user_holds_and_heals_the_others(
    session: Any, order: Order, hoarder: psycopg.Connection[Any], admin_database_url: str
) -> None:
    others = [OrderFactory().id for _ in range(10)]
    session.commit()
    session.rollback()
    with psycopg.connect(admin_database_url, autocommit=True) as surgeon:
        surgeon.execute("SET session_replication_role = replica")
        surgeon.execute("UPDATE orders SET grand_total = 1 WHERE id = ANY (%s)", (others,))
    healed = figures.heal(session, every_owner=True)
    assert healed.corrections == len(others)
    assert [failure.owner for failure in healed.failures] == [order.id]
    assert "lock timeout" in healed.failures[0].error
    session.rollback()
    hoarder.rollback()
    assert list(figures.verify(session)) == []


def test_a_save_waits_as_long_as_a_person_does_whatever_its_connection_was_told(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        engine = db.engine

    def waits() -> tuple[str, list[str]]:
        sent: list[str] = []

        def note(*statement: Any) -> None:
            sent.append(statement[2])

        event.listen(engine, "before_cursor_execute", note)
        try:
            with app.test_request_context(method="POST"):
                shown = db.session.execute(text("SHOW lock_timeout")).scalar_one()
                db.session.remove()
        finally:
            event.remove(engine, "before_cursor_execute", note)
        return shown, [one for one in sent if "lock_timeout" in one and "SHOW" not in one]

    engine.dispose()
    assert waits() == ("2s", ["SET LOCAL lock_timeout = 2000"])
    monkeypatch.setitem(app.config, "LOCK_TIMEOUT", app.config["WEB_LOCK_TIMEOUT"])
    assert waits() == ("2s", ["SET LOCAL lock_timeout = 2000"]), "the connection is an old one"
    engine.dispose()
    assert waits() == ("2s", [])
    monkeypatch.setitem(app.config, "WEB_LOCK_TIMEOUT", 1500)
    assert waits() == ("1500ms", ["SET LOCAL lock_timeout = 1500"])
    engine.dispose()
