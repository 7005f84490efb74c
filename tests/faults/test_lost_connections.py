"""FAULTS.md, line 35: the connection is lost at any statement of a request, within a savepoint too."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, event, func, select

from backoffice.app.extensions import db
from backoffice.orders.models import Order
from backoffice.people.models import IdempotencyKey
from backoffice.wallets.actions import recharge
from backoffice.wallets.models import WalletTransaction
from tests.factories.customers import CustomerFactory
from tests.factories.people import AccountManagerFactory
from tests.factories.wallets import WalletFactory
from tests.orders.pages import filled
from tests.records.test_api import Program

pytestmark = pytest.mark.slow

DONE = {200, 201, 303}

FILE = """wallet_id,amount,service_type,description,idempotency_key
W-1,60,vps,March,a{at}
W-1,50,vps,March,b{at}
"""


class Ending:
    """Ends the app's connection before its n-th statement."""

    def __init__(self, surgery: psycopg.Connection[Any], at: int) -> None:
        self.surgery, self.at, self.count, self.statement = surgery, at, 0, ""

    def __call__(self, connection: Any, _cursor: object, statement: str, *_more: object) -> None:
        if self.count == self.at:
            self.statement = statement
            pid = connection.connection.driver_connection.info.backend_pid
            self.surgery.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        self.count += 1


@contextmanager
def ending(app: Flask, surgery: psycopg.Connection[Any], at: int) -> Iterator[Ending]:
    """Lose the connection before the n-th statement; it has `count` statements."""
    end = Ending(surgery, at)
    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", end)
    try:
        yield end
    finally:
        event.remove(engine, "before_cursor_execute", end)


@pytest.fixture
def requests(
    app: Flask, session: Any, sign_in: Callable[..., FlaskClient]
) -> dict[str, Callable[[int], Any]]:
    """Requests that write orders: by a file, by a program, and by a form."""
    CustomerFactory(code="ALFKI")
    AccountManagerFactory(email="nancy@example.com", name="Nancy")
    program, finance = Program(app, session, "orders:write"), sign_in("finance")
    session.commit()
    own = {"number": "SO-1", "customer": "ALFKI", "account_manager": "nancy@example.com"}
    recharge(session, WalletFactory(number="W-1").id, Decimal(100_000))
    session.commit()
    payer = Program(app, session, "wallets:write")
    typed = filled(finance, "/orders/new", **own)
    order = {
        "number": "SO-1", "customer": "ALFKI", "account_manager": "nancy@example.com",
        "order_date": "2026-03-02", "lines": [{"kind": "package", "quantity": "1", "unit_price": "5"}],
    }  # fmt: skip
    return {
        "file": lambda at: payer.send(
            "POST", "/api/imports/wallet-charges", data=FILE.format(at=at), content_type="text/csv"
        ),
        "program": lambda _at: program.send("POST", "/api/orders", json=order),
        "form": lambda _at: finance.post("/orders/new", data=typed),
    }


def written(session: Any) -> int:
    charges = WalletTransaction.transaction_type == "charge"
    counts = (
        select(func.count()).select_from(Order),
        select(func.count()).select_from(WalletTransaction).where(charges),
    )
    return sum(session.scalar(count) for count in counts)


@pytest.mark.parametrize("way", ["file", "program", "form"])
def test_a_connection_lost_at_any_statement_is_an_outage_and_nothing_is_written(
    app: Flask,
    session: Any,
    surgery: psycopg.Connection[Any],
    requests: Any,
    way: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)  # as in production
    session.commit()
    at = outages = 0
    while True:
        before = written(session)
        session.rollback()
        with ending(app, surgery, at) as end:
            answer = requests[way](at)
        session.rollback()
        if end.count <= at:
            break
        count = written(session) - before
        if answer.status_code == 503:
            outages += 1
            assert answer.headers["Retry-After"] == "5", at
            assert count == 0 or "web_sessions" in end.statement, "committed, but not answered"
        else:  # lost where it has no effect: in a statement of its own, before or after the work
            assert answer.status_code in DONE, (at, answer.text)
            assert count > 0, at
        session.execute(delete(Order))
        session.execute(delete(IdempotencyKey))
        session.commit()
        at += 1
    assert answer.status_code in DONE, answer.text
    assert outages > 5
