"""FAULTS.md, line 21: a save that loses a race for locks is retried, and has one effect."""

import io
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from flask import Flask, flash, request
from flask import session as web_session
from flask.testing import FlaskClient
from flask_login import current_user
from sqlalchemy import event, func, select
from sqlalchemy.exc import OperationalError

from backoffice.app import edge
from backoffice.app.extensions import db
from backoffice.audit.models import AuditEvent
from backoffice.customers.models import Customer
from backoffice.orders.models import Order
from backoffice.people.models import User
from backoffice.web.idempotency import new_key, once, remember
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.orders.pages import filled
from tests.signing_in import someone

SignIn = Callable[..., FlaskClient]
Replace = Callable[[Callable[[], Any]], None]

PATH = "/preferences"
PATIENCE = 30


@pytest.fixture
def view(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Replace]:
    """`view(function)`: replaces the view of POST /preferences; retries follow without a pause."""
    kept = app.view_functions["people.preferences_post"]
    monkeypatch.setattr(edge, "LONGEST_PAUSE", 0)

    def replace(function: Callable[[], Any]) -> None:
        function.is_public = True  # type: ignore[attr-defined]
        app.view_functions["people.preferences_post"] = function

    yield replace
    app.view_functions["people.preferences_post"] = kept


def lost_a_race(sqlstate: str = "40P01") -> OperationalError:
    """The driver's error in the transaction that PostgreSQL aborts."""
    return OperationalError("UPDATE", {}, psycopg.errors.lookup(sqlstate)())


class Tries:
    """Counts the calls of a view, and fails the first `lost` ones with a lost race."""

    def __init__(self, lost: int, sqlstate: str = "40P01") -> None:
        self.count = 0
        self._lost, self._sqlstate = lost, sqlstate

    def lose(self) -> None:
        self.count += 1
        if self.count <= self._lost:
            raise lost_a_race(self._sqlstate)


# A real deadlock


def wait_until_it_waits(observer: psycopg.Connection[Any], pid: int) -> None:
    """Return once the backend `pid` waits for another session's lock."""
    end = time.monotonic() + PATIENCE
    waits = "SELECT pg_blocking_pids(%s) <> '{}'"
    while observer.execute(waits, (pid,)).fetchone() != (True,):
        assert time.monotonic() < end, "the other program never waited"


def test_fault_21_a_save_that_postgresql_ends_in_a_circle_is_saved_all_the_same_and_once(
    sign_in: SignIn,
    session: Any,
    admin_database_url: str,
    owner_connection: psycopg.Connection[Any],
) -> None:
    """A program holds a line and waits for its order; the save holds the order and waits for the line.

    The program's deadlock detection is off and it waits first, so that PostgreSQL aborts the save.
    """
    order: Order = OrderFactory(number="SO-1", lines=[("package", "Tea", "1", "10")])
    session.commit()
    key, line = order.id, order.lines[0].id
    client = sign_in("finance")
    typed = filled(client, "/orders/SO-1/edit", promo="7", **{"lines-0-quantity": "3"})
    session.rollback()
    holds_the_order, attempts = threading.Event(), 0

    with psycopg.connect(admin_database_url) as program:

        @event.listens_for(db.engine, "before_cursor_execute")
        def wait_for_the_program(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            nonlocal attempts
            if statement.startswith("UPDATE order_lines"):
                attempts += 1
                if attempts == 1:
                    holds_the_order.set()
                    wait_until_it_waits(owner_connection, program.info.backend_pid)

        def compete() -> None:
            assert holds_the_order.wait(PATIENCE)
            program.execute("UPDATE orders SET closing_date = NULL WHERE id = %s", (key,))
            program.commit()

        program.execute("SET deadlock_timeout = '60s'")
        program.execute("SELECT FROM order_lines WHERE id = %s FOR UPDATE", (line,))
        competing = threading.Thread(target=compete)
        competing.start()
        try:
            saved = client.post("/orders/SO-1/edit", data=typed)
        finally:
            event.remove(db.engine, "before_cursor_execute", wait_for_the_program)
            competing.join(PATIENCE)

    assert saved.status_code == 303, saved.text
    assert attempts == 2
    again = client.post("/orders/SO-1/edit", data=typed)
    assert (again.status_code, again.location) == (303, saved.location)
    session.rollback()
    session.refresh(order)
    assert (order.promo, order.lines[0].quantity, order.version) == (7, 3, 2)
    promos = select(func.count()).where(AuditEvent.after["promo"].is_not(None))
    assert session.scalar(promos.where(AuditEvent.action == "UPDATE")) == 1


# The number of retries, and what is kept between them


@pytest.mark.parametrize("sqlstate", ["40P01", "40001"])
@pytest.mark.parametrize(
    ("lost", "status", "tries"), [(0, 303, 1), (1, 303, 2), (2, 303, 3), (3, 503, 3), (9, 503, 3)]
)
def test_fault_21_a_request_is_carried_out_three_times_at_most(
    sign_in: SignIn, session: Any, view: Replace, sqlstate: str, lost: int, status: int, tries: int
) -> None:
    counted = Tries(lost, sqlstate)

    def save() -> Any:
        db.session.add(Customer(code="NEW", name=request.form["name"]))
        db.session.flush()
        counted.lose()
        return "", 303

    view(save)
    answer = sign_in("finance").post(PATH, data={"name": "Typed"})
    assert (answer.status_code, counted.count) == (status, tries)
    assert ("Retry-After" in answer.headers) == (status == 503)
    names = session.scalars(select(Customer.name)).all()
    assert names == (["Typed"] if status == 303 else [])


@pytest.mark.parametrize("sqlstate", ["55P03", "57014", "23505", "22003", "08006"])
def test_fault_21_nothing_else_is_repeated(sign_in: SignIn, view: Replace, sqlstate: str) -> None:
    counted = Tries(9, sqlstate)
    view(lambda: counted.lose())  # noqa: PLW0108 (a method takes no mark)
    assert sign_in("finance").post(PATH).status_code >= 400
    assert counted.count == 1


def test_fault_21_a_commit_that_loses_is_repeated_with_the_work_before_it(
    sign_in: SignIn, session: Any, view: Replace
) -> None:
    losing = Tries(1)

    def lose(_session: Any) -> None:
        losing.lose()

    def save() -> Any:
        if losing.count == 0:
            event.listen(db.session(), "before_commit", lose, once=True)
        db.session.add(Customer(code="NEW", name="New"))
        return "", 303

    view(save)
    assert sign_in("finance").post(PATH).status_code == 303
    assert losing.count == 1
    assert session.scalars(select(Customer.code)).all() == ["NEW"]


def test_fault_21_the_key_of_a_form_is_claimed_by_the_repetition_that_succeeds(
    app: Flask, sign_in: SignIn, session: Any, view: Replace
) -> None:
    counted = Tries(2)

    def save() -> Any:
        names = {"user_id": current_user.id, "action": "test", "key": request.form["key"]}
        earlier = once(db.session, **names, body=request.form)
        if earlier is None:
            customer = CustomerFactory()
            counted.lose()
            earlier = {"code": customer.code}
            remember(db.session, **names, response=earlier)
        return earlier["code"], 200

    view(save)
    browser, body = sign_in("finance"), {"key": new_key()}
    first = browser.post(PATH, data=body)
    second = browser.post(PATH, data=body)
    assert (first.status_code, first.text) == (second.status_code, second.text)
    assert counted.count == 3
    assert session.scalar(select(func.count()).select_from(Customer)) == 1


def test_fault_21_what_the_first_try_did_to_the_session_is_forgotten(
    sign_in: SignIn, view: Replace
) -> None:
    counted = Tries(1)

    def save() -> Any:
        assert "mark" not in web_session
        web_session["mark"] = "set"
        web_session.renew()  # type: ignore[attr-defined]
        flash("Saved.", "success")
        counted.lose()
        return "", 303

    view(save)
    browser = sign_in("finance")
    assert browser.post(PATH).status_code == 303
    assert browser.get("/profile").text.count("Saved.") == 1


def test_fault_21_whoever_is_disabled_meanwhile_is_not_let_in_by_the_repetition(
    app: Flask, sign_in: SignIn, session: Any, view: Replace
) -> None:
    user_id, acted = someone(app, "finance"), []

    def save() -> Any:
        acted.append(current_user.id)
        user = session.get(User, user_id)
        user.is_active = False
        session.commit()
        raise lost_a_race()

    view(save)
    del app.view_functions["people.preferences_post"].is_public
    app.view_functions["people.preferences_post"].required_permission = "profile.own"
    answer = sign_in(session.get(User, user_id)).post(PATH)
    assert answer.status_code == 302
    assert answer.location.startswith("/login")
    assert acted == [user_id]


def test_fault_21_a_file_is_read_from_its_beginning_again(sign_in: SignIn, view: Replace) -> None:
    counted, read = Tries(1), []

    def save() -> Any:
        read.append(request.files["file"].read())
        counted.lose()
        return "", 303

    view(save)
    sent = {"file": (io.BytesIO(b"code,name\n"), "customers.csv")}
    assert sign_in("finance").post(PATH, data=sent).status_code == 303
    assert read == [b"code,name\n"] * 2


def test_fault_21_a_view_that_has_closed_its_file_is_not_called_again(
    sign_in: SignIn, view: Replace
) -> None:
    counted = Tries(1)

    def save() -> Any:
        request.files["file"].close()
        counted.lose()

    view(save)
    sent = {"file": (io.BytesIO(b"code,name\n"), "customers.csv")}
    assert sign_in("finance").post(PATH, data=sent).status_code == 503
    assert counted.count == 1
