"""The screens of orders: the list, the history, and the calculation of totals."""

import re
from collections.abc import Callable
from datetime import date
from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient
from sqlalchemy import event

from backoffice.app.extensions import db
from backoffice.drift.healing.performing import performed
from backoffice.orders.models import Order
from tests.drift.books import key_in
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory, UserFactory
from tests.orders.pages import fields_of, filled, text_of

SignIn = Callable[..., FlaskClient]


@pytest.fixture
def shop(session: Any) -> dict[str, Order]:
    """Three orders of two customers and two account managers; one is closed."""
    alfki = CustomerFactory(code="ALFKI", name="Alfreds Futterkiste")
    bonap = CustomerFactory(code="BONAP", name="Bon app' 100%")
    nancy, robert = AccountManagerFactory(name="Nancy"), AccountManagerFactory(name="Robert")
    made = {
        "A-1": OrderFactory(
            number="A-1", customer=alfki, account_manager=nancy, order_date=date(2026, 1, 5)
        ),
        "A-2": OrderFactory(
            number="A-2",
            customer=alfki,
            account_manager=robert,
            order_date=date(2026, 2, 5),
            total_price=20_000_000,
        ),
        "B-1": OrderFactory(
            number="B-1",
            customer=bonap,
            account_manager=nancy,
            order_date=date(2026, 3, 5),
            closing_date=date(2026, 3, 9),
            promo=0,
        ),
    }
    session.commit()
    return made


def listed(client: FlaskClient, **query: Any) -> list[str]:
    """The numbers of the orders in the list, from top to bottom."""
    html = " ".join(client.get("/orders", query_string=query).text.split())
    return [
        part.split("<")[0].strip()
        for part in html.split('class="row-link" href="')[1:]
        for part in [part.split(">", 1)[1]]
    ]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({}, ["B-1", "A-2", "A-1"]),
        ({"q": "a-"}, ["A-2", "A-1"]),
        ({"q": "futter"}, ["A-2", "A-1"]),
        ({"q": "bonap"}, ["B-1"]),
        ({"q": "100%"}, ["B-1"]),
        ({"q": "_"}, []),
        ({"customer": "ALFKI"}, ["A-2", "A-1"]),
        ({"since": "2026-02-05"}, ["B-1", "A-2"]),
        ({"until": "2026-02-05"}, ["A-2", "A-1"]),
        ({"state": "open"}, ["A-2", "A-1"]),
        ({"state": "closed"}, ["B-1"]),
        ({"sort": "number"}, ["A-1", "A-2", "B-1"]),
        ({"sort": "-grand_total"}, ["A-2", "B-1", "A-1"]),
        ({"sort": "closing_date"}, ["B-1", "A-1", "A-2"]),
        (
            {"sort": "id; drop table orders", "since": "yesterday", "manager": "x", "page": "-3"},
            ["B-1", "A-2", "A-1"],
        ),
    ],
)
def test_the_list_finds_orders(sign_in: SignIn, shop: Any, query: Any, numbers: list[str]) -> None:
    assert listed(sign_in("viewer"), **query) == numbers


def test_the_list_narrows_to_an_account_manager(sign_in: SignIn, shop: dict[str, Order]) -> None:
    nancy = shop["A-1"].account_manager_id
    assert listed(sign_in("viewer"), manager=nancy) == ["B-1", "A-1"]


def test_the_totals_are_those_of_the_whole_filter(sign_in: SignIn, session: Any, shop: Any) -> None:
    customer, manager = CustomerFactory(), AccountManagerFactory()
    for number in range(60):
        OrderFactory(number=f"M-{number}", customer=customer, account_manager=manager)
    session.commit()
    client = sign_in("finance")
    page = text_of(client.get("/orders?q=M-").text)
    assert "60 orders" in page
    assert "558,000,000.00" in page
    assert "1–50 of 60" in page
    assert len(listed(client, q="M-", page=2)) == 10
    assert len(listed(client, q="M-", page=99)) == 10


def test_an_empty_list_says_what_to_do(sign_in: SignIn, session: Any) -> None:
    client = sign_in("finance")
    assert "No orders yet" in text_of(client.get("/orders").text)
    OrderFactory()
    session.commit()
    assert "No order fits that" in text_of(client.get("/orders?q=zzz").text)


def test_searching_for_an_exact_number_goes_to_that_order(
    sign_in: SignIn, shop: dict[str, Order]
) -> None:
    client = sign_in("finance")
    found = client.get("/search?q=a-1&go=1")
    assert (found.status_code, found.location) == (303, "/orders/A-1")
    assert client.get("/search?q=A-&go=1").status_code == 200
    theirs = sign_in(shop["A-1"].account_manager).get("/search?q=A-2&go=1")
    assert theirs.status_code == 200


def test_the_list_asks_the_database_a_fixed_number_of_questions(
    sign_in: SignIn, session: Any, shop: Any
) -> None:
    client = sign_in("finance")
    client.get("/orders")
    asked: list[str] = []
    event.listen(
        db.engine, "before_cursor_execute", lambda c, cur, statement, *rest: asked.append(statement)
    )
    client.get("/orders")
    few = len(asked)
    for _ in range(20):
        OrderFactory()
    session.commit()
    asked.clear()
    client.get("/orders")
    assert len(asked) == few <= 7, asked  # the last: whether any listed order is in doubt


# Customers


def test_a_customers_screen_shows_their_orders(sign_in: SignIn, shop: dict[str, Order]) -> None:
    page = text_of(sign_in("viewer").get("/customers/ALFKI").text)
    assert "A-1" in page
    assert "B-1" not in page
    own = text_of(sign_in(shop["A-1"].account_manager).get("/customers/ALFKI").text)
    assert "A-1" in own
    assert "A-2" not in own


def test_customers_are_found_by_code_and_name(sign_in: SignIn, shop: Any) -> None:
    client = sign_in("account_manager")
    assert "Bon app" not in text_of(client.get("/customers?q=futter").text)
    assert "ALFKI · Alfreds Futterkiste" in client.get("/customers/options?customer=alf").text
    assert "No customer fits that" in text_of(client.get("/customers?q=zzz").text)
    assert client.get("/customers/NOBODY").status_code == 404


def test_markup_in_a_name_is_inert(sign_in: SignIn, session: Any) -> None:
    """FAULTS 53."""
    evil = "<script>alert(1)</script>\"'"
    customer = CustomerFactory(code="EVIL", name=evil)
    order = OrderFactory(
        customer=customer, promo=0, reductions=0, lines=[("package", evil, "1", "1")]
    )
    session.commit()
    client = sign_in("finance")
    paths = (
        "",
        "/edit",
        "/history",
        "/calculation/total_price",
        "/calculation/amount/1",
        "/delete",
    )
    for path in (
        *(f"/orders/{order.number}{p}" for p in paths),
        "/orders",
        "/customers",
        "/customers/EVIL",
    ):
        html = client.get(path).text
        assert "<script>alert" not in html, path


# History


def test_the_history_says_who_changed_what(
    sign_in: SignIn, session: Any, shop: dict[str, Order]
) -> None:
    ana = UserFactory(name="Ana Putri")
    session.commit()
    client, path = sign_in(ana), "/orders/A-1/edit"
    typed = filled(
        client, path, promo="250,000", customer="BONAP", lines=[("addition", "Freight", "1", "7")]
    )
    assert client.post(path, data=typed).status_code == 303
    reported = text_of(client.get("/orders/A-1/history").text)
    assert "Ana Putri" in reported
    assert "Promo before: 1,000,000.00 → after: 250,000.00" in reported
    assert "ALFKI · Alfreds Futterkiste → after: BONAP" in reported
    assert "Additions before: 500,000.00 → after: from its lines" in reported
    assert "Freight · 1 × 7.00" in reported
    assert "Created" in reported


def test_a_deleted_line_is_remembered(sign_in: SignIn, session: Any) -> None:
    order = OrderFactory(promo=0, reductions=0, lines=[("package", "Tea", "2", "3")])
    session.commit()
    client, path = sign_in("finance"), f"/orders/{order.number}/edit"
    removed = client.post(f"{path}?do=remove&line=0", data=filled(client, path))
    assert client.post(path, data=fields_of(removed.text)).status_code == 303
    assert "before: Tea · 2 × 3.00" in text_of(client.get(f"/orders/{order.number}/history").text)


# How was this calculated?


def test_the_grand_total_is_explained_in_words_and_values(sign_in: SignIn, shop: Any) -> None:
    reported = text_of(sign_in("viewer").get("/orders/A-1/calculation").text)
    assert "Grand total = Package price + Additions − Promo − Reductions" in reported
    assert "9,300,000.00 = 10,000,000.00 + 500,000.00 − 1,000,000.00 − 200,000.00" in reported
    assert "Stored as calculated" in reported


def test_a_component_is_explained_by_its_lines_and_a_line_by_its_numbers(
    sign_in: SignIn, session: Any
) -> None:
    order = OrderFactory(
        promo=0,
        reductions=0,
        lines=[("package", "Tea", "3", "0.335"), ("package", "Cups", "1", "2")],
    )
    session.commit()
    client = sign_in(order.account_manager)
    base = f"/orders/{order.number}/calculation"
    component = client.get(f"{base}/total_price")
    assert "Package price = the sum of its lines 3.01 = 1.01 + 2.00" in text_of(component.text)
    line_id = order.lines[0].id
    assert f'href="{base}/amount/{line_id}"' in component.text
    line = text_of(client.get(f"{base}/amount/{line_id}").text)
    assert "1.01 = 3 × 0.335" in line
    assert "rounded half away from zero" in line
    entered = text_of(client.get(f"{base}/additions").text)
    assert "Additions = the amount that was entered" in entered


def test_a_wrong_total_is_shown_beside_the_right_one_and_can_be_corrected(
    sign_in: SignIn, session: Any, shop: dict[str, Order], admin_database_url: str
) -> None:
    with psycopg.connect(admin_database_url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE orders SET grand_total = -5 WHERE number = 'A-1'")
    viewer, finance = sign_in("viewer"), sign_in("finance", name="Fitri")
    wrong = "A figure of this record is stored wrongly."
    assert wrong in text_of(viewer.get("/orders/A-1").text)
    assert wrong not in text_of(viewer.get("/orders/A-2").text)
    reported = text_of(viewer.get("/orders/A-1/calculation").text)
    assert "Stored wrongly" in reported
    assert "Expected 9,300,000.00 Stored -5.00" in reported
    assert "has been right since it was first stored" not in reported
    assert "Preview the correction" not in reported
    address = f"/health/drift/recalculate/order/{shop['A-1'].id}"
    assert viewer.post(address).status_code == 403

    page = finance.get("/orders/A-1/calculation").text
    assert "Preview the correction" in text_of(page)
    shown = finance.post(address, data={"idempotency_key": key_in(page)})
    run_id = int(shown.location.rsplit("/", 1)[1])
    performed(db.engine, run_id)
    assert "Stored -5.00" in text_of(finance.get("/orders/A-1/calculation").text), "nothing yet"
    typed = {"idempotency_key": "k", "reason": "restored backup"}
    applied = finance.post(f"/runs/{run_id}/apply", data=typed)
    performed(db.engine, int(applied.location.rsplit("/", 1)[1]))
    reported = text_of(finance.get("/orders/A-1/calculation").text)
    assert "Stored as calculated" in reported
    assert "restored backup -5.00 9,300,000.00" in reported
    history = text_of(finance.get("/orders/A-1/history").text)
    assert "Corrected" in history
    assert "Grand total before: -5.00 → after: 9,300,000.00" in history


def test_a_line_of_another_order_is_not_explained_here(
    sign_in: SignIn, session: Any, shop: Any
) -> None:
    other = OrderFactory(promo=0, reductions=0, lines=[("package", "Tea", "3", "2")])
    session.commit()
    client = sign_in("viewer")
    assert client.get(f"/orders/A-1/calculation/amount/{other.lines[0].id}").status_code == 404
    assert client.get("/orders/A-1/calculation/version").status_code == 404


# Links between records


@pytest.mark.parametrize(
    "sort",
    [
        "number",
        "-number",
        "order_date",
        "-order_date",
        "closing_date",
        "-closing_date",
        "customer",
        "-grand_total",
    ],
)
def test_records_follow_each_other_as_in_the_list(sign_in: SignIn, session: Any, sort: str) -> None:
    customers = [CustomerFactory(), CustomerFactory()]
    manager = AccountManagerFactory()
    for number in range(8):
        OrderFactory(
            number=f"N-{number}",
            customer=customers[number % 2],
            account_manager=manager,
            order_date=date(2026, 1, 1 + number // 3),
            closing_date=date(2026, 2, 1 + number // 4) if number % 3 else None,
        )
    session.commit()
    client = sign_in("viewer")
    numbers = listed(client, sort=sort)
    walked, here = [], numbers[0]
    while here:
        walked.append(here)
        html = client.get(f"/orders/{here}", query_string={"sort": sort}).text
        following = html.split('rel="next"')[1:]
        here = re.split('[?"]', following[0].split("/orders/")[1])[0] if following else ""
    assert walked == numbers
    back = client.get(f"/orders/{numbers[1]}", query_string={"sort": sort}).text
    back = " ".join(back.split())
    assert f'rel="prev" data-key="k" href="/orders/{numbers[0]}' in back
