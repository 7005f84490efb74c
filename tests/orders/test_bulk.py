"""Changing many orders at once: exactly those that were shown, unless another user has changed them since."""

import re
import threading
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.lists import state_of
from backoffice.orders.bulk import actions
from backoffice.orders.bulk.actions import Change, Chosen, ManagerGone, TooManyOrders
from backoffice.orders.listing import ORDERS
from backoffice.orders.models import Order
from backoffice.people.models import User
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory, UserFactory
from tests.orders.pages import filled, text_of

SignIn = Callable[..., FlaskClient]


@pytest.fixture
def managers(session: Any) -> tuple[User, User]:
    """Nancy and Robert."""
    return AccountManagerFactory(name="Nancy"), AccountManagerFactory(name="Robert")


@pytest.fixture
def shop(session: Any, managers: tuple[User, User]) -> dict[str, Order]:
    """Six orders: four of Nancy's, two of Robert's; two are closed."""
    nancy, robert = managers
    made = {
        number: OrderFactory(
            number=number,
            account_manager=manager,
            order_date=date(2026, month, 5),
            closing_date=closed,
        )
        for number, manager, month, closed in (
            ("A-1", nancy, 1, None),
            ("A-2", nancy, 2, None),
            ("A-3", nancy, 3, date(2026, 3, 9)),
            ("A-4", nancy, 6, None),
            ("B-1", robert, 1, None),
            ("B-2", robert, 2, date(2026, 2, 20)),
        )
    }
    session.commit()
    return made


def previewed(client: FlaskClient, **query: Any) -> tuple[str, MultiDict[str, str]]:
    """The text of the preview, and the form that applies it as a browser would send it."""
    page = client.get("/orders/bulk", query_string={"preview": 1} | query)
    assert page.status_code == 200, page.text
    form = page.text.split('action="/orders/bulk"')[-1]
    typed: MultiDict[str, str] = MultiDict()
    for tag in re.findall(r"<input[^>]*>", form):
        name = re.search(r'name="([^"]*)"', tag)
        value = re.search(r'value="([^"]*)"', tag)
        if name:
            typed.add(name[1], value[1] if value else "")
    return text_of(page.text), typed


def stored(session: Any) -> dict[str, tuple[str, Any, int]]:
    """Account manager, closing date and version of every order, by number."""
    session.rollback()
    return {
        order.number: (order.account_manager.name, order.closing_date, order.version)
        for order in session.query(Order).order_by(Order.number)
    }


def ids_of(shop: dict[str, Order], *numbers: str) -> list[int]:
    return [shop[number].id for number in numbers]


def test_chosen_orders_get_another_account_manager(
    sign_in: SignIn, session: Any, shop: dict[str, Order], managers: tuple[User, User]
) -> None:
    client = sign_in("finance", name="Fitri")
    reported, form = previewed(
        client, selected=1, id=ids_of(shop, "A-1", "A-3", "B-1"), to_manager=managers[1].id
    )
    assert "3 orders · Rp 27,900,000.00" in reported
    assert "Changed 2 18,600,000.00" in reported
    assert "No change 1 9,300,000.00" in reported
    assert "Nancy 2 18,600,000.00" in reported
    done = client.post("/orders/bulk", data=form)
    assert done.status_code == 303
    assert "2 orders are changed: Rp 18,600,000.00." in text_of(client.get(done.location).text)
    now = stored(session)
    assert now["A-1"] == ("Robert", None, 2)
    assert now["A-3"] == ("Robert", date(2026, 3, 9), 2)
    assert now["B-1"] == ("Robert", None, 1)
    assert now["A-2"] == ("Nancy", None, 1)
    history = text_of(client.get("/orders/A-1/history").text)
    assert "Fitri" in history
    assert "Account manager before: Nancy → after: Robert" in history


def test_all_that_match_are_closed_but_none_before_it_was_placed(
    sign_in: SignIn, session: Any, shop: dict[str, Order]
) -> None:
    client = sign_in("finance")
    reported, form = previewed(
        client, matching=1, state="open", closing="set", to_closing_date="2026-04-01"
    )
    assert "All that match: Status: Open" in reported
    assert "Changed 3 27,900,000.00" in reported
    assert "Refused: the closing date is before the order date 1 9,300,000.00" in reported
    assert "Refused: A-4" in reported
    assert client.post("/orders/bulk", data=form).location == "/orders?state=open"
    now = {number: closed for number, (_, closed, _) in stored(session).items()}
    april = date(2026, 4, 1)
    assert now == {
        "A-1": april, "A-2": april, "A-3": date(2026, 3, 9),
        "A-4": None, "B-1": april, "B-2": date(2026, 2, 20),
    }  # fmt: skip


def test_a_closing_date_is_removed(sign_in: SignIn, session: Any, shop: dict[str, Order]) -> None:
    client = sign_in("finance")
    reported, form = previewed(client, matching=1, q="A-", closing="clear")
    assert "Changed 1 9,300,000.00" in reported
    assert "No change 3" in reported
    assert client.post("/orders/bulk", data=form).status_code == 303
    assert stored(session)["A-3"] == ("Nancy", None, 2)
    assert stored(session)["B-2"] == ("Robert", date(2026, 2, 20), 1)


def test_a_preview_writes_nothing(sign_in: SignIn, session: Any, shop: dict[str, Order]) -> None:
    before = stored(session)
    previewed(sign_in("finance"), matching=1, closing="clear")
    assert stored(session) == before


def test_what_a_user_saved_since_the_preview_is_left_and_told(
    sign_in: SignIn, session: Any, shop: dict[str, Order]
) -> None:
    client, other = sign_in("finance"), sign_in("finance")
    _, form = previewed(
        client,
        selected=1,
        id=ids_of(shop, "A-1", "A-2"),
        closing="set",
        to_closing_date="2026-05-01",
    )
    path = "/orders/A-2/edit"
    assert other.post(path, data=filled(other, path, promo="5")).status_code == 303
    done = client.post("/orders/bulk", data=form)
    reported = text_of(client.get(done.location).text)
    assert "1 order is changed: Rp 9,300,000.00." in reported
    assert (
        "1 order was saved or deleted by another user since the preview: nothing of it is changed. A-2"
        in reported
    )
    now = stored(session)
    assert now["A-1"][1] == date(2026, 5, 1)
    assert now["A-2"][1] is None


def test_of_all_that_match_those_that_moved_are_left_and_new_ones_too(
    sign_in: SignIn, session: Any, shop: dict[str, Order], owner_connection: psycopg.Connection[Any]
) -> None:
    client = sign_in("finance")
    _, form = previewed(
        client, matching=1, state="open", closing="set", to_closing_date="2026-07-01"
    )
    owner_connection.execute("UPDATE orders SET closing_date = '2026-06-30' WHERE number = 'A-1'")
    owner_connection.execute("UPDATE orders SET closing_date = NULL WHERE number = 'A-3'")
    OrderFactory(number="NEW-1")
    session.commit()
    reported = text_of(client.get(client.post("/orders/bulk", data=form).location).text)
    assert "3 orders are changed" in reported
    assert "1 order was saved or deleted by another user since the preview" in reported
    now = {number: closed for number, (_, closed, _) in stored(session).items()}
    assert now["A-1"] == date(2026, 6, 30)
    assert now["A-3"] is None
    assert now["NEW-1"] is None
    assert [now[n] for n in ("A-2", "A-4", "B-1")] == [date(2026, 7, 1)] * 3
    figures.heal_noted(session)


def test_a_save_that_was_under_way_during_the_preview_counts_as_later(
    sign_in: SignIn, session: Any, shop: dict[str, Order], owner_database_url: str
) -> None:
    client = sign_in("finance")
    with psycopg.connect(owner_database_url) as slow:
        with slow.transaction():  # a savepoint has its own transaction id
            slow.execute("UPDATE customers SET phone = '1'")
            with slow.transaction():
                slow.execute("UPDATE orders SET order_date = '2026-01-06' WHERE number = 'A-1'")
            _, form = previewed(
                client,
                selected=1,
                id=ids_of(shop, "A-1", "A-2"),
                closing="set",
                to_closing_date="2026-05-01",
            )
        slow.commit()
    reported = text_of(client.get(client.post("/orders/bulk", data=form).location).text)
    assert "1 order is changed" in reported
    assert "A-1" in reported
    assert stored(session)["A-1"][1] is None


def test_what_was_saved_while_another_program_writes_for_long_is_changed_as_it_was_shown(
    sign_in: SignIn, session: Any, shop: dict[str, Order], owner_database_url: str
) -> None:
    client = sign_in("finance")
    with psycopg.connect(owner_database_url) as long_import:
        long_import.execute("UPDATE customers SET phone = '1'")
        path = "/orders/A-2/edit"
        assert client.post(path, data=filled(client, path, promo="5")).status_code == 303
        _, form = previewed(
            client,
            selected=1,
            id=ids_of(shop, "A-1", "A-2"),
            closing="set",
            to_closing_date="2026-05-01",
        )
        reported = text_of(client.get(client.post("/orders/bulk", data=form).location).text)
    assert "2 orders are changed" in reported
    assert "by another user since the preview" not in reported
    assert stored(session)["A-2"][1] == date(2026, 5, 1)


def test_a_save_that_holds_an_order_while_we_apply_wins(
    sign_in: SignIn, session: Any, shop: dict[str, Order], owner_database_url: str
) -> None:
    client = sign_in("finance")
    _, form = previewed(
        client, matching=1, state="open", closing="set", to_closing_date="2026-07-01"
    )
    answers: list[Any] = []
    with psycopg.connect(owner_database_url) as other:
        other.execute("UPDATE orders SET order_date = '2026-02-07' WHERE number = 'A-2'")
        applying = threading.Thread(
            target=lambda: answers.append(client.post("/orders/bulk", data=form))
        )
        applying.start()
        _until_another_waits(other)
        other.commit()
        applying.join(20)
    assert answers[0].status_code == 303
    assert "1 order was saved or deleted by another user" in text_of(
        client.get(answers[0].location).text
    )
    assert stored(session)["A-2"][1] is None
    assert stored(session)["A-1"][1] == date(2026, 7, 1)


def test_without_its_lock_the_change_would_overwrite_that_save(
    sign_in: SignIn,
    session: Any,
    shop: dict[str, Order],
    owner_database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The mutant of the test above: without a lock, the change overwrites the save."""
    monkeypatch.setattr(actions, "_lock", lambda session, chosen: None)
    client = sign_in("finance")
    _, form = previewed(
        client, matching=1, state="open", closing="set", to_closing_date="2026-07-01"
    )
    with psycopg.connect(owner_database_url) as other:
        other.execute("UPDATE orders SET order_date = '2026-02-07' WHERE number = 'A-2'")
        applying = threading.Thread(target=lambda: client.post("/orders/bulk", data=form))
        applying.start()
        _until_another_waits(other)
        other.commit()
        applying.join(20)
    assert stored(session)["A-2"][1] == date(2026, 7, 1)


def _until_another_waits(connection: psycopg.Connection[Any]) -> None:
    with psycopg.connect(connection.info.dsn, autocommit=True) as watcher:
        for _ in range(2_000):
            row = watcher.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
            if row and row[0]:
                return
            watcher.execute("SELECT pg_sleep(0.005)")
    raise AssertionError("Nobody waits for the order.")


def test_a_customers_new_name_brings_no_order_in_that_was_not_shown(
    sign_in: SignIn, session: Any, shop: dict[str, Order], owner_connection: psycopg.Connection[Any]
) -> None:
    OrderFactory(number="C-1", customer=CustomerFactory(name="Alfa"))
    OrderFactory(number="C-2", customer=CustomerFactory(name="Beta"))
    session.commit()
    client = sign_in("finance")
    query = {"matching": "1", "q": "alfa", "closing": "set", "to_closing_date": "2026-07-01"}
    _, form = previewed(client, **query)
    owner_connection.execute("UPDATE customers SET name = 'Alfa too' WHERE name = 'Beta'")
    refused = client.post("/orders/bulk", data=form)
    assert refused.status_code == 409
    assert "Other orders fit the filter than when you looked" in text_of(refused.text)
    assert "Changed 2" in text_of(refused.text)
    assert stored(session)["C-1"][1] is None
    _, form = previewed(client, **query)
    assert client.post("/orders/bulk", data=form).status_code == 303
    assert stored(session)["C-2"][1] == date(2026, 7, 1)


def test_a_bulk_edit_that_is_sent_twice_has_one_effect(
    sign_in: SignIn, session: Any, shop: dict[str, Order]
) -> None:
    client = sign_in("finance")
    _, form = previewed(client, matching=1, closing="set", to_closing_date="2026-07-01")
    first, second = (client.post("/orders/bulk", data=form) for _ in range(2))
    assert (first.status_code, first.location) == (second.status_code, second.location)
    assert {version for _, _, version in stored(session).values()} == {2}


def test_an_open_form_meets_the_bulk_edit_as_a_conflict(
    sign_in: SignIn, session: Any, shop: dict[str, Order]
) -> None:
    client, other = sign_in("finance"), sign_in("finance")
    typed = filled(other, "/orders/A-1/edit", promo="7")
    _, form = previewed(client, matching=1, closing="set", to_closing_date="2026-07-01")
    client.post("/orders/bulk", data=form)
    assert other.post("/orders/A-1/edit", data=typed).status_code == 409


def test_an_account_manager_changes_only_their_own_and_gives_none_away(
    sign_in: SignIn, session: Any, shop: dict[str, Order], managers: tuple[User, User]
) -> None:
    nancy, robert = managers
    client = sign_in(nancy)
    page = client.get("/orders/bulk?matching=1").text
    assert 'name="to_manager"' not in page
    reported, form = previewed(
        client, matching=1, closing="set", to_closing_date="2026-08-01", to_manager=robert.id
    )
    assert "4 orders" in reported
    form["to_manager"] = str(robert.id)
    assert client.post("/orders/bulk", data=form).status_code == 303
    now = stored(session)
    assert {n: name for n, (name, _, _) in now.items() if n.startswith("A")} == dict.fromkeys(
        ("A-1", "A-2", "A-3", "A-4"), "Nancy"
    )
    assert now["B-1"][1] is None
    reported = text_of(
        client.get(
            "/orders/bulk",
            query_string={"preview": 1, "selected": "1", "closing": "clear"}
            | {"id": ids_of(shop, "B-2")},
        ).text
    )
    assert "No order is selected" in reported


def test_a_viewer_neither_chooses_nor_changes(
    sign_in: SignIn, session: Any, shop: dict[str, Order]
) -> None:
    client = sign_in("viewer")
    assert 'name="id"' not in client.get("/orders").text
    assert client.get("/orders/bulk?matching=1").status_code == 403
    assert client.post("/orders/bulk").status_code == 403


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({}, "Choose what shall change."),
        ({"closing": "set"}, "Write the date."),
        ({"closing": "set", "to_closing_date": "soon"}, "This is not a date."),
        ({"closing": "explode"}, "Choose one of these."),
        ({"to_manager": "999"}, "Choose an account manager."),
        ({"to_manager": "x"}, "Choose an account manager."),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(
    sign_in: SignIn, session: Any, shop: dict[str, Order], query: dict[str, str], sentence: str
) -> None:
    client = sign_in("finance")
    asked = {"preview": 1, "matching": "1"} | query
    page = client.get("/orders/bulk", query_string=asked)
    assert (page.status_code, sentence in text_of(page.text)) == (422, True)
    answer = client.post("/orders/bulk", data=query | {"idempotency_key": "k"})
    assert answer.status_code == 422


@pytest.mark.parametrize("tampered", [{"since": "x"}, {"digest": ""}, {"count": "-"}])
def test_a_form_without_its_preview_changes_nothing(
    sign_in: SignIn, session: Any, shop: dict[str, Order], tampered: dict[str, str]
) -> None:
    client, before = sign_in("finance"), stored(session)
    _, form = previewed(client, matching=1, closing="set", to_closing_date="2026-07-01")
    for name, value in tampered.items():
        form[name] = value
    assert client.post("/orders/bulk", data=form).status_code == 422
    assert stored(session) == before


def test_too_many_are_refused_with_a_sentence(
    sign_in: SignIn, app: Flask, session: Any, shop: dict[str, Order], monkeypatch: Any
) -> None:
    _, form = previewed(
        client := sign_in("finance"), matching=1, closing="set", to_closing_date="2026-07-01"
    )
    monkeypatch.setattr(actions, "MOST_ORDERS", 5)
    assert client.post("/orders/bulk", data=form).status_code == 422
    page = client.get("/orders/bulk?matching=1")
    assert page.status_code == 422
    assert "At most 5 orders are changed at once. Narrow the filter." in text_of(page.text)


def test_orders_go_to_nobody_who_has_left_since_the_preview(
    session: Any, shop: dict[str, Order], managers: tuple[User, User]
) -> None:
    finance = UserFactory(role="finance")
    session.commit()
    chosen = Chosen(finance, state_of(ORDERS, MultiDict()), tuple(ids_of(shop, "A-1")))
    change = Change(manager_id=managers[1].id)
    shown = actions.preview(session(), chosen, change)
    managers[1].is_active = False
    session.commit()
    with pytest.raises(ManagerGone) as refused:
        actions.apply(session(), chosen, change, shown.mark)
    assert refused.value.values == {"name": "Robert"}
    assert stored(session)["A-1"] == ("Nancy", None, 1)


def test_what_is_previewed_is_what_is_done(
    session: Any, shop: dict[str, Order], managers: tuple[User, User]
) -> None:
    finance = UserFactory(role="finance")
    session.commit()
    chosen = Chosen(finance, state_of(ORDERS, {"q": "-"}))
    change = Change(manager_id=managers[0].id, closing_date=date(2026, 4, 1))
    shown = actions.preview(session(), chosen, change)
    parts = (shown.changed, shown.same, shown.refused)
    assert sum(share.count for share in parts) == shown.chosen.count == 6
    assert sum((share.amount for share in parts), Decimal(0)) == shown.chosen.amount
    outcome = actions.apply(session(), chosen, change, shown.mark)
    db.session.commit()
    assert (outcome.changed, outcome.moved) == (shown.changed, 0)
    assert TooManyOrders.status == 422
