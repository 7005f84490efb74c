"""Recalculation of one record: all figures of it, as a dry run, by users who may see it."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from backoffice.app.domain import Domain
from backoffice.app.domains import DOMAINS
from backoffice.app.extensions import db
from backoffice.drift import recalculation
from backoffice.drift.healing.performing import performed
from backoffice.drift.recalculation import OwnersOf
from backoffice.gas.figures import GAS_FIGURES
from backoffice.orders.models import Order
from backoffice.runs.models import Run
from tests.drift.books import an_order, key_in, run_of
from tests.factories.customers import CustomerFactory
from tests.factories.gas import ReadingFactory

SignIn = Callable[..., FlaskClient]

ORDER_FIGURES = ("order_lines.amount", "orders.components", "orders.grand_total")


@pytest.fixture
def finance(sign_in: SignIn) -> FlaskClient:
    return sign_in("finance")


def only_run(session: Any) -> Run:
    session.expire_all()
    found: Run = session.scalars(select(Run)).one()
    return found


def press(client: FlaskClient, page: str, kind: str, record_id: int) -> Any:
    """Send the form of the button on the page."""
    html = client.get(page).text
    action = f"/health/drift/recalculate/{kind}/{record_id}"
    assert f'action="{action}"' in html
    return client.post(action, data={"idempotency_key": key_in(html), "next": page})


def test_the_button_of_an_order_previews_that_order_alone(
    finance: FlaskClient, session: Any, orders: dict[str, Order], surgery: Any
) -> None:
    number = orders["A-2"].id
    surgery.execute("UPDATE orders SET grand_total = 1 WHERE number IN ('A-1', 'A-2')")
    answer = press(finance, "/orders/A-2", "order", number)
    run = only_run(session)
    assert answer.location == f"/runs/{run.id}"
    assert (run.kind, run.dry_run) == ("figures.heal", True)
    assert run.scope == {"figures": {figure: [number] for figure in ORDER_FIGURES}}
    assert performed(db.engine, run.id).run.changed == 1
    page = finance.get(answer.location).text
    assert "A-2" in page
    assert "29.00" in page
    run_of("figures.heal")


def test_the_button_of_a_customer_previews_all_of_their_orders(
    finance: FlaskClient, session: Any, orders: dict[str, Order]
) -> None:
    customer = CustomerFactory(code="ALFKI")
    theirs = [an_order(f"B-{n}", customer=customer).id for n in range(3)]
    session.commit()
    press(finance, "/customers/ALFKI", "customer", customer.id)
    asked = only_run(session).scope["figures"]  # without figures that have no owner here
    assert {name: owners for name, owners in asked.items() if owners} == dict.fromkeys(
        ORDER_FIGURES, sorted(theirs)
    )


def test_the_button_of_a_customer_previews_their_gas(finance: FlaskClient, session: Any) -> None:
    customer = CustomerFactory(code="ALFKI")
    ReadingFactory(customer=customer)
    ReadingFactory()
    session.commit()
    press(finance, "/customers/ALFKI", "customer", customer.id)
    asked = only_run(session).scope["figures"]
    assert [asked[figure.name] for figure in GAS_FIGURES] == [[customer.id], [customer.id]]


def test_a_customer_without_orders_has_nothing_to_recalculate(
    finance: FlaskClient, session: Any
) -> None:
    customer = CustomerFactory(code="EMPTY")
    session.commit()
    answer = press(finance, "/customers/EMPTY", "customer", customer.id)
    assert answer.location == "/customers/EMPTY"
    assert "nothing to recalculate" in finance.get(answer.location).text
    assert session.scalar(select(func.count()).select_from(Run)) == 0


def test_pressed_twice_it_is_one_run(
    finance: FlaskClient, session: Any, orders: dict[str, Order]
) -> None:
    number = orders["A-1"].id
    first = press(finance, "/orders/A-1", "order", number)
    second = press(finance, "/orders/A-1", "order", number)
    assert first.location == second.location == f"/runs/{only_run(session).id}"


def test_what_nobody_has_registered_and_what_is_not_there_is_not_found(
    finance: FlaskClient, orders: dict[str, Order]
) -> None:
    for path in ("order/999", "customer/999", "teapot/1"):
        data = {"idempotency_key": "k"}
        assert finance.post(f"/health/drift/recalculate/{path}", data=data).status_code == 404


@pytest.mark.parametrize("role", ["viewer", "account_manager"])
def test_who_may_not_correct_has_no_button(
    sign_in: SignIn, session: Any, orders: dict[str, Order], role: str
) -> None:
    client = sign_in(orders["A-1"].account_manager if role == "account_manager" else role)
    assert "recalculate" not in client.get("/orders/A-1").text
    data = {"idempotency_key": "k"}
    answer = client.post(f"/health/drift/recalculate/order/{orders['A-1'].id}", data=data)
    assert answer.status_code == 403


ADDING_UP = (
    Domain("one", owners=(OwnersOf("thing", lambda _s, _user, number: {"a": [2, number]}),)),
    Domain("two", owners=(OwnersOf("thing", lambda _s, _user, _number: {"a": [1], "b": [7]}),)),
    Domain("three", owners=(OwnersOf("thing", lambda _s, _user, _number: None),)),
)


@pytest.mark.parametrize("domains", [(*DOMAINS, *ADDING_UP)], ids=["adding up"])
def test_several_domains_add_up(domains: Any, session: Any) -> None:
    assert recalculation.owners_of(session, None, "thing", 3) == {"a": [1, 2, 3], "b": [7]}
    assert recalculation.owners_of(session, None, "nothing", 3) is None
