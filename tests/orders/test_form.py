"""The form of an order over HTTP: which fields count, the live preview, its buttons without JavaScript."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient

from backoffice.base import money
from backoffice.orders.models import Order, OrderLine
from tests.factories.orders import OrderFactory
from tests.orders.pages import fields_of, outputs_of, text_of

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


# The seed's own test over HTTP


def test_form_updates_grand_total_realtime(finance: FlaskClient, session: Any) -> None:
    typed = new_order(finance, session, **SEED)
    preview = finance.post("/orders/preview", data=typed, headers=HTMX)
    assert outputs_of(preview.text)["grand_total"] == "Rp\xa046,000,000.00"
    assert session.query(Order).count() == 0

    saved = finance.post("/orders/new", data=typed)
    assert saved.status_code == 303
    order = only_order(session)
    assert order.grand_total == 46_000_000
    assert saved.location.endswith(f"/orders/{order.number}")
    assert f"Order {order.number} is saved." in text_of(finance.get(saved.location).text)


def test_a_posted_total_is_ignored(finance: FlaskClient, session: Any) -> None:
    typed = new_order(finance, session, **SEED, grand_total="1", status="closed", id="77")
    finance.post("/orders/new", data=typed)
    order = only_order(session)
    assert (order.grand_total, order.closing_date) == (46_000_000, None)
    assert order.id != 77


def test_every_derived_or_internal_column_that_is_posted_is_ignored(
    finance: FlaskClient, session: Any
) -> None:
    """FAULTS 11, for every column of both tables that is not a field of the form."""
    other = OrderFactory()
    session.commit()
    entered = {
        "number",
        "order_date",
        "closing_date",
        "total_price",
        "additions",
        "promo",
        "reductions",
    }
    typed = new_order(finance, session, lines=[("package", "Tea", "2", "10")], total_price="123456")
    for column in Order.__table__.c:
        if column not in entered and column not in ("version", "itemised"):
            typed[column] = "99"
    for column in OrderLine.__table__.c:
        if column not in ("kind", "description", "quantity", "unit_price"):
            typed[f"lines-0-{column}"] = str(other.id)
    typed["version"] = "41"
    answer = finance.post("/orders/new", data=typed)
    assert answer.status_code == 303, text_of(answer.text)
    session.rollback()
    order = session.query(Order).filter(Order.id != other.id).one()
    assert (order.total_price, order.grand_total, order.version) == (20, 20, 1)
    assert order.customer.code == "ALFKI"
    assert [line.amount for line in order.lines] == [20]
    assert other.lines == []


def test_a_line_id_of_another_order_is_not_touched(finance: FlaskClient, session: Any) -> None:
    other = OrderFactory(promo=0, reductions=0, lines=[("package", "Theirs", "1", "10")])
    session.commit()
    stolen = other.lines[0].id
    typed = new_order(finance, session, lines=[("package", "Mine", "1", "1")])
    typed["lines-0-line"] = str(stolen)
    assert finance.post("/orders/new", data=typed).status_code == 303
    session.rollback()
    line = session.get(OrderLine, stolen)
    assert (line.order_id, line.description) == (other.id, "Theirs")


# The live preview


def test_the_preview_shows_line_amounts_components_and_grand_total(
    finance: FlaskClient, session: Any
) -> None:
    typed = new_order(
        finance,
        session,
        lines=[
            ("package", "Tea", "3", "0.335"),
            ("package", "Cup", "1", "1,000"),
            ("promo", "Off", "1", "1"),
        ],
        additions="5",
    )
    shown = outputs_of(finance.post("/orders/preview", data=typed, headers=HTMX).text)
    assert shown["lines-0-amount"] == "1.01"
    assert shown["total_price"] == "1,001.01"
    assert shown["promo"] == "1.00"
    assert shown["grand_total"] == "Rp\xa01,005.01"
    assert "additions" not in shown


def test_the_preview_swaps_outputs_only(finance: FlaskClient, session: Any) -> None:
    typed = new_order(finance, session, lines=[("package", "Tea", "3", "1")])
    html = finance.post("/orders/preview", data=typed, headers=HTMX).text
    assert "<input" not in html
    assert html.count("<output") == html.count("hx-swap-oob") == 3


@pytest.mark.parametrize(
    ("format_", "text"), [("en", "1,234.50"), ("id", "1.234,50"), ("plain", "1234.50")]
)
def test_amounts_are_read_and_written_in_the_users_number_format(
    sign_in: SignIn, finance: FlaskClient, session: Any, format_: str, text: str
) -> None:
    client = sign_in("finance", number_format=format_)
    typed = new_order(client, session, total_price=text)
    shown = outputs_of(client.post("/orders/preview", data=typed, headers=HTMX).text)
    assert shown["grand_total"] == f"Rp\xa0{text}"
    client.post("/orders/new", data=typed)
    assert only_order(session).grand_total == Decimal("1234.50")


def test_an_unreadable_number_makes_the_total_unknown_and_says_why(
    finance: FlaskClient, session: Any
) -> None:
    typed = new_order(finance, session, total_price="1.500", additions="7")
    shown = outputs_of(finance.post("/orders/preview", data=typed, headers=HTMX).text)
    assert shown["grand_total"].startswith("—")
    assert "1,500 or 1.5" in shown["grand_total"]


def test_a_negative_total_is_shown_with_what_forbids_it(finance: FlaskClient, session: Any) -> None:
    typed = new_order(finance, session, total_price="5", promo="6")
    shown = outputs_of(finance.post("/orders/preview", data=typed, headers=HTMX).text)
    assert shown["grand_total"].startswith("-Rp\xa01.00")
    assert "cannot be negative" in shown["grand_total"]


def test_a_currency_without_minor_unit_has_whole_amounts(
    finance: FlaskClient, session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAULTS 9, and the rounding of line amounts to the currency's smallest unit."""
    monkeypatch.setattr(money, "_currency", "VND")
    typed = new_order(finance, session, lines=[("package", "Tea", "3", "0.5")], additions="1,000")
    shown = outputs_of(finance.post("/orders/preview", data=typed, headers=HTMX).text)
    assert (shown["lines-0-amount"], shown["grand_total"]) == ("2", "₫\xa01,002")
    assert finance.post("/orders/new", data=typed).status_code == 303
    assert only_order(session).grand_total == 1002
    refused = finance.post("/orders/new", data=new_order(finance, session, promo="5.5"))
    assert "decimals are not used here" in text_of(refused.text)
    session.delete(only_order(session))  # in the tests' own currency its line would be 1.50
    session.commit()


# The form's buttons, without JavaScript


def press(client: FlaskClient, typed: Any, path: str = "/orders/new", **query: Any) -> Any:
    return client.post(path, data=typed, query_string=query)


def test_lines_come_and_go_without_javascript(finance: FlaskClient, session: Any) -> None:
    typed = new_order(finance, session, total_price="1,500.00")
    page = press(finance, typed, do="itemise", kind="package")
    typed = fields_of(page.text)
    assert (typed["lines-0-description"], typed["lines-0-quantity"]) == ("Package price", "1")
    assert outputs_of(page.text)["grand_total"] == "Rp\xa01,500.00"
    typed = fields_of(press(finance, typed, do="add", kind="package").text)
    typed["lines-1-quantity"], typed["lines-1-unit_price"] = "2", "250"
    page = press(finance, typed, do="recalculate")
    assert outputs_of(page.text)["lines-1-amount"] == "500.00"
    assert outputs_of(page.text)["grand_total"] == "Rp\xa02,000.00"
    typed = fields_of(press(finance, typed, do="remove", line="0").text)
    assert "lines-0-kind" not in typed
    page = press(finance, typed, do="one-amount", kind="package")
    typed = fields_of(page.text)
    assert typed["total_price"] == "500.00"
    assert not [name for name in typed if name.startswith("lines-")]
    assert session.query(Order).count() == 0
    finance.post("/orders/new", data=typed)
    order = only_order(session)
    assert (order.total_price, order.itemised, order.lines) == (500, [], [])


def test_a_block_from_a_spreadsheet_fills_the_lines(finance: FlaskClient, session: Any) -> None:
    typed = new_order(finance, session, lines=[("package", "Kept", "1", "1")])
    block = 'Tea\t2\t1,000.50\t2,001.00\r\n"Cup, ""blue""\tbig"\t3\t4\r\n\r\n'
    typed.update({"block": block, "row": "1", "column": "description"})
    answer = finance.post("/orders/new?do=paste&kind=package", data=typed, headers=HTMX)
    assert answer.headers["HX-Trigger"] == '{"linesChanged": {}}'
    kept = fields_of(f'<form id="order-form">{answer.text}</form>')
    assert [kept[f"lines-{i}-description"] for i in range(3)] == ["Kept", "Tea", 'Cup, "blue"\tbig']
    assert kept["lines-1-unit_price"] == "1,000.50"
    shown = outputs_of(answer.text)
    assert shown["lines-1-amount"] == "2,001.00"
    assert shown["total_price"] == "2,014.00"


def test_a_pasted_cell_that_is_no_number_says_so_and_the_rest_is_kept(
    finance: FlaskClient, session: Any
) -> None:
    typed = new_order(finance, session, lines=[("package", "", "", "")])
    typed.update({"block": "two\t5\n3\t7", "row": "0", "column": "quantity"})
    answer = finance.post("/orders/new?do=paste&kind=package", data=typed, headers=HTMX)
    assert answer.status_code == 200
    assert "This is not a number." in text_of(answer.text)
    assert outputs_of(answer.text)["lines-1-amount"] == "21.00"


@pytest.mark.parametrize("query", [{"do": "add", "kind": "x"}, {"do": "paste", "kind": "package"}])
def test_a_button_that_the_form_does_not_have_is_refused(
    finance: FlaskClient, session: Any, query: Any
) -> None:
    assert press(finance, new_order(finance, session), **query).status_code == 400


def test_a_total_that_is_not_known_yet_is_not_called_negative(
    finance: FlaskClient, session: Any
) -> None:
    typed = new_order(finance, session, total_price="x", promo="5")
    said = text_of(finance.post("/orders/new", data=typed).text)
    assert "This is not a number." in said
    assert "cannot be negative" not in said
