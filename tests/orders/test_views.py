"""The screens of orders over HTTP: edit conflicts, idempotency, permissions, deleting."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory, UserFactory
from tests.orders.pages import fields_of, filled, text_of

from .orderers import new_order, only_order, users_to_choose

SignIn = Callable[..., FlaskClient]

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}

SEED = {
    "total_price": "50,000,000",
    "additions": "2000000",
    "promo": "5,000,000.00",
    "reductions": "1,000,000",
}


@pytest.fixture
def finance(sign_in: SignIn, session: Any) -> FlaskClient:
    """A finance user, with the customer ALFKI and the account manager Nancy to choose from."""
    users_to_choose(session)
    return sign_in("finance")


# Edit conflicts


def test_what_i_did_not_touch_takes_their_value(sign_in: SignIn, session: Any) -> None:
    order = OrderFactory(
        promo=0, reductions=0, lines=[("package", "A", "1", "10"), ("package", "B", "1", "20")]
    )
    session.commit()
    path = f"/orders/{order.number}/edit"
    first, second = sign_in("finance"), sign_in("finance")
    theirs = filled(first, path, closing_date="2026-04-01", **{"lines-0-quantity": "5"})
    theirs = type(theirs)(
        (n, v) for n, v in theirs.items(multi=True) if not n.startswith("lines-1-")
    )
    mine = filled(second, path, additions="7")
    assert first.post(path, data=theirs).status_code == 303
    answer = second.post(path, data=mine)
    assert answer.status_code == 409
    assert second.post(path, data=fields_of(answer.text)).status_code == 303
    session.rollback()
    session.expire_all()
    assert (order.closing_date, order.additions) == (date(2026, 4, 1), 7)
    assert [(line.description, line.quantity) for line in order.lines] == [("A", 5)]
    assert order.grand_total == 57


# Idempotency


def test_the_same_form_sent_at_the_same_time_has_one_effect(
    sign_in: SignIn, finance: FlaskClient, session: Any
) -> None:
    """FAULTS 23, from eight threads at once."""
    user = UserFactory()
    session.commit()
    clients = [sign_in(user) for _ in range(8)]
    typed = new_order(clients[0], session, **SEED)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda client: client.post("/orders/new", data=typed), clients))
    assert {(a.status_code, a.location) for a in answers} == {(303, answers[0].location)}
    assert only_order(session).grand_total == 46_000_000


def test_a_refused_form_can_be_corrected_under_the_same_key(
    finance: FlaskClient, session: Any
) -> None:
    typed = new_order(finance, session, total_price="x")
    refused = finance.post("/orders/new", data=typed)
    corrected = fields_of(refused.text)
    corrected["total_price"] = "5"
    assert finance.post("/orders/new", data=corrected).status_code == 303
    assert only_order(session).grand_total == 5


def test_htmx_is_sent_on_by_a_header(finance: FlaskClient, session: Any) -> None:
    saved = finance.post("/orders/new", data=new_order(finance, session, **SEED), headers=HTMX)
    assert saved.status_code == 204
    assert saved.headers["HX-Redirect"] == f"/orders/{only_order(session).number}"


# Permissions


def test_an_account_manager_sees_only_their_own_orders(sign_in: SignIn, session: Any) -> None:
    mine, theirs = OrderFactory(), OrderFactory()
    session.commit()
    client = sign_in(mine.account_manager)
    listed = text_of(client.get("/orders").text)
    assert mine.number in listed
    assert theirs.number not in listed
    for screen in ("", "/edit", "/history", "/calculation", "/calculation/promo", "/delete"):
        assert client.get(f"/orders/{mine.number}{screen}").status_code == 200
        assert client.get(f"/orders/{theirs.number}{screen}").status_code == 404
    stolen = filled(client, f"/orders/{mine.number}/edit")
    assert client.post(f"/orders/{theirs.number}/edit", data=stolen).status_code == 404
    assert (
        client.post(f"/orders/{theirs.number}/edit?do=add&kind=promo", data=stolen).status_code
        == 404
    )
    assert client.post(f"/orders/{theirs.number}/delete", data=stolen).status_code == 404


def test_an_account_manager_cannot_give_an_order_away(sign_in: SignIn, session: Any) -> None:
    order, other = OrderFactory(), AccountManagerFactory()
    session.commit()
    client, path = sign_in(order.account_manager), f"/orders/{order.number}/edit"
    typed = filled(
        client, path, account_manager=other.email, account_manager_id=str(other.id), promo="1"
    )
    assert client.post(path, data=typed).status_code == 303
    session.rollback()
    assert (order.promo, order.account_manager_id) == (1, order.account_manager.id)
    assert order.account_manager_id != other.id


def test_an_account_managers_new_order_is_their_own(sign_in: SignIn, session: Any) -> None:
    CustomerFactory(code="ALFKI")
    me, other = AccountManagerFactory(), AccountManagerFactory()
    session.commit()
    client = sign_in(me)
    typed = filled(client, "/orders/new", customer="ALFKI", account_manager=other.email)
    assert client.post("/orders/new", data=typed).status_code == 303
    assert only_order(session).account_manager_id == me.id


def test_an_order_can_only_be_given_to_an_active_account_manager(
    finance: FlaskClient, session: Any
) -> None:
    viewer, gone = UserFactory(role="viewer"), AccountManagerFactory(is_active=False)
    session.commit()
    for person in (viewer, gone):
        typed = new_order(finance, session, account_manager=person.email)
        assert finance.post("/orders/new", data=typed).status_code == 422


def test_an_order_keeps_an_account_manager_who_has_left(finance: FlaskClient, session: Any) -> None:
    order = OrderFactory(account_manager=AccountManagerFactory(is_active=False))
    session.commit()
    path = f"/orders/{order.number}/edit"
    assert finance.post(path, data=filled(finance, path, promo="1")).status_code == 303
