"""Orders in the API: lines within an order, amounts or lines, and the rules of the form with the same messages."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from backoffice.orders.models import Order
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory
from tests.factories.products import ProductFactory
from tests.orders.pages import fields_of, filled
from tests.records.test_api import Program, is_problem

SignIn = Callable[..., FlaskClient]

TEA: dict[str, Any] = {
    "kind": "package",
    "description": "Tea",
    "quantity": "3",
    "unit_price": "0.335",
}


@pytest.fixture
def program(app: Flask, session: Any) -> Program:
    """An API client that may write orders; a customer ALFKI, an account manager Nancy and a product CHAI."""
    CustomerFactory(code="ALFKI")
    AccountManagerFactory(email="nancy@example.com", name="Nancy")
    ProductFactory(code="CHAI", name="Chai")
    return Program(app, session, "orders:write")


def order(**changes: Any) -> dict[str, Any]:
    return {
        "number": "SO-1", "customer": "ALFKI", "account_manager": "nancy@example.com", "order_date": "2026-03-02",
        **changes,
    }  # fmt: skip


def made(program: Program, **changes: Any) -> Any:
    answer = program.send("POST", "/api/orders", json=order(**changes))
    assert answer.status_code == 201, answer.text
    return answer.get_json()


def changed(program: Program, reported: Any, **changes: Any) -> Any:
    path = f"/api/orders/{reported['number']}"
    return program.send("PATCH", path, match=reported["version"], json=changes)


def test_a_program_names_products_and_customers_whole(program: Program, session: Any) -> None:
    CustomerFactory(code="C-10", name="Ten")
    ProductFactory(code="P-10", name="Tea in boxes of ten")
    session.commit()
    told = "There is no {}. Send the whole name, as the API shows it."
    answer = program.send("POST", "/api/orders", json=order(customer="C-1"))
    assert is_problem(answer, 422, "customer")
    assert answer.get_json()["errors"][0]["message"] == told.format("C-1")
    for text in ("P-1", "boxes"):
        sold = {"kind": "package", "product": text, "quantity": "2", "unit_price": "10"}
        answer = program.send("POST", "/api/orders", json=order(lines=[sold]))
        assert is_problem(answer, 422, "lines-0-product")
        assert answer.get_json()["errors"][0]["message"] == told.format(text)
    whole = {"kind": "package", "product": "p-10", "quantity": "2", "unit_price": "10"}
    reported = made(program, customer="c-10", lines=[whole])
    assert (reported["customer"], reported["lines"][0]["product"]) == ("C-10", "P-10")


def test_the_code_of_a_merged_customer_names_whom_it_leads_to(
    program: Program, session: Any
) -> None:
    survivor = CustomerFactory(code="C-10")
    CustomerFactory(code="C-11", merged_into_id=survivor.id)
    session.commit()
    assert made(program, customer="C-11")["customer"] == "C-10"


def test_lines_are_sent_and_read_within_the_order(program: Program, session: Any) -> None:
    chai = {"kind": "addition", "product": "CHAI", "quantity": "2", "unit_price": "10"}
    reported = made(program, lines=[TEA, chai], promo="1")
    assert (reported["total_price"], reported["additions"], reported["promo"]) == (
        "1.01",
        "20.00",
        "1.00",
    )
    assert reported["grand_total"] == "20.01"
    first, second = reported["lines"]
    assert (first["amount"], first["product"], second["product"]) == ("1.01", None, "CHAI")
    assert program.send("GET", "/api/orders/SO-1").get_json() == reported
    assert program.send("GET", "/api/orders").get_json()["items"] == [reported]


def test_a_change_keeps_the_lines_that_it_names_and_what_it_does_not_say(
    program: Program, session: Any
) -> None:
    reported = made(program, lines=[TEA, {**TEA, "description": "Cups"}])
    closed = changed(program, reported, closing_date="2026-04-01").get_json()
    assert closed["lines"] == reported["lines"]
    tea, cups = ({n: v for n, v in line.items() if n != "amount"} for line in reported["lines"])
    again = changed(program, closed, lines=[{**cups, "quantity": "5"}]).get_json()
    assert [(line["id"], line["amount"]) for line in again["lines"]] == [(cups["id"], "1.68")]
    assert (again["closing_date"], again["total_price"]) == ("2026-04-01", "1.68")
    none = changed(program, again, lines=[]).get_json()
    assert (none["lines"], none["total_price"]) == ([], "0.00")
    assert changed(program, none, total_price="7").get_json()["grand_total"] == "7.00"
    assert session.query(Order).one().itemised == []
    assert tea["id"] != cups["id"]


def test_an_amount_beside_lines_of_its_kind_is_refused(program: Program) -> None:
    reported = made(program, lines=[TEA])
    for answer in (
        program.send(
            "POST", "/api/orders", json=order(number="SO-2", lines=[TEA], total_price="5")
        ),
        changed(program, reported, total_price="5"),
    ):
        assert is_problem(answer, 422, "total_price")
        assert "sum of its lines" in answer.get_json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("lines", "at"),
    [
        ("", "lines"), ({}, "lines"), (None, "lines"), ([TEA, 1], "lines-1"), ([None], "lines-0"),
        ([{}], "lines-0-kind"), ([TEA, {**TEA, "amount": "1"}], "lines-1-amount"),
        ([{**TEA, "quantity": 3}], "lines-0-quantity"), ([{**TEA, "id": "1"}], "lines-0-id"),
        ([{**TEA, "x": None}], "lines-0-x"), ([{"description": "no kind", "quantity": "1"}], "lines-0-kind"),
        ([{**TEA, "id": True}], "lines-0-id"),
    ],
)  # fmt: skip
def test_what_are_no_lines_is_refused_at_its_place(
    program: Program, session: Any, lines: Any, at: str
) -> None:
    answer = program.send("POST", "/api/orders", json=order(lines=lines))
    assert is_problem(answer, 422, at), answer.text
    assert session.query(Order).count() == 0


@pytest.mark.parametrize(
    ("line", "field", "sentence"),
    [
        ({"quantity": None}, "lines-0-quantity", "Enter a quantity."),
        ({"quantity": "-1"}, "lines-0-quantity", "This is too small: at least 0."),
        ({"quantity": "1.0005"}, "lines-0-quantity", "At most 3 decimals are allowed here."),
        ({"unit_price": "0.12345678"}, "lines-0-unit_price", "At most 4 decimals are allowed here."),
        ({"unit_price": "abc"}, "lines-0-unit_price", "Send the number as a text with a point"),
        ({"kind": "gift"}, "lines-0-kind", "There is no such kind of line."),
        ({"product": "NOBODY"}, "lines-0-product", "No product is called that."),
        ({"quantity": "100000000000", "unit_price": "99999999999"}, "lines-0-unit_price", "more than can be stored"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_is_refused_at_its_field(
    program: Program, session: Any, line: Any, field: str, sentence: str
) -> None:
    answer = program.send("POST", "/api/orders", json=order(lines=[{**TEA, **line}]))
    assert answer.status_code == 422, answer.text
    reported = {one["field"]: one["message"] for one in answer.get_json()["errors"]}
    assert sentence in reported[field], reported
    assert session.query(Order).count() == 0


def test_totals_that_cannot_be_are_refused_in_the_forms_words(program: Program) -> None:
    answer = program.send("POST", "/api/orders", json=order(total_price="1", promo="2"))
    assert answer.status_code == 422
    assert "The grand total cannot be negative." in answer.text


def test_the_point_of_a_program_is_a_decimal_point(program: Program) -> None:
    reported = made(program, lines=[{**TEA, "quantity": "2", "unit_price": "1.500"}])
    assert reported["total_price"] == "3.00"


def test_a_line_of_another_order_is_a_new_line_here(program: Program, session: Any) -> None:
    theirs = OrderFactory(number="X-1", promo=0, reductions=0, lines=[("package", "A", "1", "10")])
    session.commit()
    reported = made(program, lines=[{**TEA, "id": theirs.lines[0].id}])
    assert reported["lines"][0]["id"] != theirs.lines[0].id
    session.rollback()
    assert [line.description for line in theirs.lines] == ["A"]


def test_a_program_reads_everybodys_orders(program: Program, app: Flask, session: Any) -> None:
    OrderFactory(number="X-1")
    session.commit()
    reader = Program(app, session, "orders:read")
    assert [one["number"] for one in reader.send("GET", "/api/orders").get_json()["items"]] == [
        "X-1"
    ]
    assert reader.send("GET", "/api/orders?state=closed").get_json()["items"] == []


# On the screen


def test_a_forged_stamp_shows_nothing_of_an_order_that_one_may_not_see(
    sign_in: SignIn, session: Any
) -> None:
    mine, theirs = OrderFactory(), OrderFactory(customer=CustomerFactory(code="SECRET"))
    session.commit()
    client, path = sign_in(mine.account_manager), f"/orders/{mine.number}/edit"
    answer = client.post(path, data=filled(client, path, version=f"{theirs.id}:1"))
    assert answer.status_code == 404
    assert "SECRET" not in answer.text


def test_the_form_of_a_new_order_suggests_no_account_manager_and_keeps_a_chosen_one(
    sign_in: SignIn, program: Program, session: Any
) -> None:
    client = sign_in("finance")
    assert fields_of(client.get("/orders/new").text)["account_manager"] == ""
    typed = filled(client, "/orders/new", customer="nobody", account_manager="nancy@example.com")
    refused = client.post("/orders/new", data=typed)
    assert fields_of(refused.text)["account_manager"] == "nancy@example.com"
