"""The orders' screens over HTTP: two who edit one, one effect per form, who may, deleting."""

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

from .orderers import new_order, only_order, somebody_to_choose

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
    """A finance person, with a customer ALFKI and an account manager Nancy to choose from."""
    somebody_to_choose(session)
    return sign_in("finance")


# Two editors


def test_a_stale_version_is_answered_with_a_field_diff(sign_in: SignIn, session: Any) -> None:
    """FAULTS 22: two editors, one order; nothing of either is lost."""
    order = OrderFactory()
    ana, budi = UserFactory(name="Ana"), UserFactory(name="Budi")
    session.commit()
    path = f"/orders/{order.number}/edit"
    first, second = sign_in(ana), sign_in(budi)
    anas = filled(first, path, promo="700,000")
    budis = filled(second, path, promo="800,000", additions="1")
    assert first.post(path, data=anas).status_code == 303
    answer = second.post(path, data=budis)
    assert answer.status_code == 409
    said = text_of(answer.text)
    assert "Ana saved this at" in said
    assert "700,000.00" in said
    assert "800,000.00" in said
    kept = fields_of(answer.text)
    assert (kept["promo"], kept["additions"]) == ("800,000.00", "1.00")
    again = second.post(path, data=kept)
    assert again.status_code == 303
    session.rollback()
    assert (order.promo, order.additions, order.version) == (800_000, 1, 3)


def test_of_two_who_save_at_the_same_moment_one_is_asked(sign_in: SignIn, session: Any) -> None:
    """FAULTS 22, without luck: the order is locked before its version is compared."""
    order = OrderFactory()
    session.commit()
    path = f"/orders/{order.number}/edit"
    clients = [sign_in("finance") for _ in range(4)]
    forms = [filled(client, path, promo=str(n + 1)) for n, client in enumerate(clients)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(
                lambda pair: pair[0].post(path, data=pair[1]), zip(clients, forms, strict=True)
            )
        )
    assert sorted(answer.status_code for answer in answers) == [303, 409, 409, 409]
    session.rollback()
    assert order.version == 2


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


@pytest.mark.parametrize("version", ["", "x", "99", "-1", "9" * 30])
def test_a_tampered_version_is_a_conflict_not_a_save(
    finance: FlaskClient, session: Any, version: str
) -> None:
    """FAULTS 12."""
    order = OrderFactory()
    session.commit()
    path = f"/orders/{order.number}/edit"
    answer = finance.post(path, data=filled(finance, path, promo="1", version=version))
    assert answer.status_code == 409
    session.rollback()
    assert order.promo == 1_000_000


@pytest.mark.parametrize("base", ["", "[]", "{", '{"promo": 7}', "[" * 100_000, '"x"'])
def test_a_tampered_base_only_keeps_my_input(sign_in: SignIn, session: Any, base: str) -> None:
    order = OrderFactory()
    session.commit()
    path, client = f"/orders/{order.number}/edit", sign_in("finance")
    mine = filled(client, path, base=base, additions="1")
    client.post(path, data=filled(client, path, promo="2"))
    answer = client.post(path, data=mine)
    assert answer.status_code == 409
    assert fields_of(answer.text)["additions"] == "1.00"


# One effect per form


def test_an_update_that_is_sent_twice_is_no_conflict_with_itself(
    finance: FlaskClient, session: Any
) -> None:
    order = OrderFactory()
    session.commit()
    path = f"/orders/{order.number}/edit"
    typed = filled(finance, path, promo="2", number="SO-900")
    first, second = finance.post(path, data=typed), finance.post(path, data=typed)
    assert first.location == second.location == "/orders/SO-900"
    session.rollback()
    assert (order.version, order.promo) == (2, 2)


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


# Who may


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
