"""Products in order lines: choosing, filling, saving, history, edit conflicts."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event

from backoffice.app.extensions import db
from backoffice.orders.models import Order
from backoffice.products.models import Product
from tests.factories.orders import OrderFactory
from tests.factories.products import ProductFactory
from tests.orders.pages import fields_of, filled, text_of

HTMX = {"HX-Request": "true"}
EDIT = "/orders/SO-1/edit"

SignIn = Callable[..., FlaskClient]


@pytest.fixture
def finance(sign_in: SignIn) -> FlaskClient:
    return sign_in("finance", name="Fina Finance")


@pytest.fixture
def order(session: Any) -> Order:
    """An order of 2 March with one line of tea; the price of tea rises on 3 March."""
    tea = ProductFactory(
        code="TEA", name="Green tea", prices={"2026-01-01": "10", "2026-03-03": "12"}
    )
    ProductFactory(code="CUPS", name="Cups", prices={"2026-01-01": "2.5"})
    ProductFactory(code="OLD", name="Old stock", is_active=False)
    ProductFactory(code="NEW", name="New stock", prices={"2026-04-01": "9"})
    made: Order = OrderFactory(
        number="SO-1", promo=0, reductions=0, lines=[("package", "Green tea", "3", "10")]
    )
    made.lines[0].product_id = tea.id
    session.commit()
    return made


def line_of(session: Any, order: Order, position: int = 0) -> Any:
    session.rollback()
    session.refresh(order)
    return order.lines[position]


def choose(client: FlaskClient, typed: Any, line: int = 0) -> Any:
    """Choose the product that is typed into a line; returns the filled fields, and the note."""
    answer = client.post(f"{EDIT}?do=product&line={line}", data=typed, headers=HTMX)
    assert answer.status_code == 200, answer.text
    events = json.loads(answer.headers["HX-Trigger"])
    return {f["id"]: f["now"] for f in events["fill"]["fields"]}, answer.text


# Choosing


def test_choosing_fills_description_and_the_price_on_the_orders_date(
    finance: FlaskClient, order: Order
) -> None:
    typed = filled(finance, EDIT, lines=[("package", "", "", "")])
    typed["lines-1-product"] = "cups"
    assert choose(finance, typed, 1) == (
        {
            "lines-1-product": "CUPS",
            "lines-1-filled": "CUPS",
            "lines-1-description": "Cups",
            "lines-1-unit_price": "2.50",
        },
        "",
    )
    typed["lines-1-product"] = "TEA"
    assert choose(finance, typed, 1)[0]["lines-1-unit_price"] == "10.00"
    typed["order_date"] = "2026-03-03"
    assert choose(finance, typed, 1)[0]["lines-1-unit_price"] == "12.00"


def test_choosing_another_product_replaces_what_the_first_filled_and_nothing_else(
    finance: FlaskClient, order: Order
) -> None:
    typed = filled(finance, EDIT)
    assert typed["lines-0-filled"] == "TEA"
    typed["lines-0-product"] = "CUPS"
    assert choose(finance, typed)[0] == {
        "lines-0-filled": "CUPS",
        "lines-0-description": "Cups",
        "lines-0-unit_price": "2.50",
    }
    typed["lines-0-unit_price"] = "9.99"
    typed["lines-0-description"] = "Cups, for once"
    found, _note = choose(finance, typed)
    assert "lines-0-unit_price" not in found
    assert "lines-0-description" not in found


def test_what_was_filled_before_the_order_got_another_day_is_replaced_too(
    finance: FlaskClient, order: Order
) -> None:
    typed = filled(finance, EDIT, order_date="2026-03-03")
    typed["lines-0-product"] = "CUPS"
    assert choose(finance, typed)[0] == {
        "lines-0-filled": "CUPS",
        "lines-0-description": "Cups",
        "lines-0-unit_price": "2.50",
    }


def test_a_product_without_a_price_on_that_day_says_so_and_leaves_the_price_to_be_typed(
    finance: FlaskClient, order: Order
) -> None:
    typed = filled(finance, EDIT)
    typed["lines-0-product"] = "NEW"
    found, note = choose(finance, typed)
    assert found["lines-0-description"] == "New stock"
    assert found["lines-0-unit_price"] == ""
    assert note == "NEW has no price on 2 Mar 2026. Enter one."


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("coffee", "No product is called that."),
        ("e", "Several products fit that."),
        ("OLD", "OLD is not sold any more."),
        ("<b>", "No product is called that."),
    ],
)
def test_what_names_no_product_fills_nothing_and_is_refused_on_saving(
    finance: FlaskClient, session: Any, order: Order, text: str, sentence: str
) -> None:
    typed = filled(finance, EDIT)
    typed["lines-0-product"] = text
    found, note = choose(finance, typed)
    assert found == {}
    assert sentence in note
    answer = finance.post(EDIT, data=typed)
    assert answer.status_code == 422
    assert sentence in text_of(answer.text)
    assert fields_of(answer.text)["lines-0-product"] == text
    assert order.version == 1


def test_the_number_format_of_the_user_is_that_of_the_price(
    sign_in: SignIn, session: Any, order: Order
) -> None:
    ProductFactory(code="GOLD", name="Gold", prices={"2026-01-01": "1234567.25"})
    session.commit()
    client = sign_in("finance", number_format="id")
    typed = filled(client, EDIT)
    typed["lines-0-product"] = "GOLD"
    assert choose(client, typed)[0]["lines-0-unit_price"] == "1.234.567,25"


def test_a_line_that_is_not_there_cannot_be_filled(finance: FlaskClient, order: Order) -> None:
    typed = filled(finance, EDIT)
    for line in ("7", "-1", "x", ""):
        answer = finance.post(f"{EDIT}?do=product&line={line}", data=typed, headers=HTMX)
        assert answer.status_code == 400


# Saving


def test_the_product_is_saved_and_a_negotiated_price_is_what_counts(
    finance: FlaskClient, session: Any, order: Order
) -> None:
    typed = filled(finance, EDIT)
    typed["lines-0-product"], typed["lines-0-unit_price"] = "cups", "1.75"
    assert finance.post(EDIT, data=typed).status_code == 303
    line = line_of(session, order)
    assert (line.product.code, str(line.unit_price), line.description) == (
        "CUPS",
        "1.7500",
        "Green tea",
    )
    assert order.version == 2


def test_a_product_can_be_taken_off_a_line(
    finance: FlaskClient, session: Any, order: Order
) -> None:
    typed = filled(finance, EDIT)
    typed["lines-0-product"] = ""
    assert finance.post(EDIT, data=typed).status_code == 303
    assert line_of(session, order).product_id is None


def test_a_line_keeps_a_product_that_is_not_sold_any_more(
    finance: FlaskClient, session: Any, order: Order
) -> None:
    session.query(Product).filter_by(code="TEA").one().is_active = False
    session.commit()
    typed = filled(finance, EDIT, promo="5")
    assert finance.post(EDIT, data=typed).status_code == 303
    assert line_of(session, order).product.code == "TEA"
    typed = filled(finance, EDIT, lines=[("package", "More", "1", "1")])
    typed["lines-1-product"] = "TEA"
    answer = finance.post(EDIT, data=typed)
    assert answer.status_code == 422
    assert "TEA is not sold any more" in text_of(answer.text)


def test_a_line_with_a_product_wants_quantity_and_price(finance: FlaskClient, order: Order) -> None:
    typed = filled(finance, EDIT, lines=[("package", "", "", "")])
    typed["lines-1-product"] = "CUPS"
    answer = finance.post(EDIT, data=typed)
    assert answer.status_code == 422
    assert "Enter a quantity." in text_of(answer.text)
    assert "Enter a unit price." in text_of(answer.text)


def test_saving_unchanged_changes_nothing(finance: FlaskClient, session: Any, order: Order) -> None:
    assert finance.post(EDIT, data=filled(finance, EDIT)).status_code == 303
    assert (line_of(session, order).product.code, order.version) == ("TEA", 1)


def test_without_a_price_list_the_form_asks_for_no_product(
    finance: FlaskClient, session: Any
) -> None:
    OrderFactory(number="SO-1", lines=[("package", "Tea", "1", "1")])
    session.commit()
    page = finance.get(EDIT)
    assert "lines-0-product" not in page.text


def test_the_form_offers_what_is_sold_as_that_kind_of_line(
    finance: FlaskClient, session: Any, order: Order
) -> None:
    ProductFactory(code="FREIGHT", name="Freight", kind="addition")
    session.commit()
    page = finance.get(EDIT).text
    package, _end, rest = page.partition('id="product-options-addition"')
    assert 'value="TEA"' in package
    assert 'value="OLD"' not in page
    assert 'value="FREIGHT"' not in package
    assert 'value="FREIGHT"' in rest


# Pasting


def test_a_block_that_begins_with_products_is_filled_where_it_is_empty(
    finance: FlaskClient, session: Any, order: Order
) -> None:
    typed = filled(finance, EDIT)
    typed |= {"block": "cups\t\t2\nTEA\tCold tea\t1\t7\nnothing\tX\t1\t1\n", "row": "1"}
    typed["column"] = "product"
    answer = finance.post(f"{EDIT}?do=paste&kind=package", data=typed)
    kept = fields_of(answer.text)
    rows = [
        [kept[f"lines-{n}-{c}"] for c in ("product", "description", "quantity", "unit_price")]
        for n in (0, 1, 2, 3)
    ]
    assert rows == [
        ["TEA", "Green tea", "3", "10.00"],
        ["CUPS", "Cups", "2", "2.50"],
        ["TEA", "Cold tea", "1", "7"],
        ["nothing", "X", "1", "1"],
    ]


def test_a_block_of_products_is_filled_in_few_statements_however_long_it_is(
    finance: FlaskClient, session: Any, order: Order
) -> None:
    for number in range(40):
        ProductFactory(code=f"P-{number}", prices={"2026-01-01": str(number + 1)})
    session.commit()

    def statements(rows: int) -> int:
        typed = filled(finance, EDIT)
        typed |= {"block": "\n".join(f"P-{n}" for n in range(rows)), "row": "0"}
        typed["column"] = "product"
        sent: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            sent.append(statement)

        event.listen(db.engine, "before_cursor_execute", note)
        try:
            answer = finance.post(f"{EDIT}?do=paste&kind=package", data=typed, headers=HTMX)
        finally:
            event.remove(db.engine, "before_cursor_execute", note)
        assert f'value="{rows}.00"' in answer.text
        return len(sent)

    assert statements(40) == statements(2)


# History


def test_the_history_and_the_record_name_the_product(
    finance: FlaskClient, session: Any, order: Order
) -> None:
    typed = filled(finance, EDIT, lines=[("package", "Two cups", "2", "2")])
    typed["lines-0-product"], typed["lines-1-product"] = "CUPS", "CUPS"
    assert finance.post(EDIT, data=typed).status_code == 303
    page = text_of(finance.get("/orders/SO-1/history").text)
    assert "Product before: TEA → after: CUPS" in page
    assert "CUPS · Two cups · 2 × 2.00" in page
    assert "/products/CUPS" in finance.get("/orders/SO-1").text


def test_two_editors_who_chose_differently_are_told(
    finance: FlaskClient, sign_in: SignIn, session: Any, order: Order
) -> None:
    colleague = sign_in("finance", name="Cora Colleague")
    mine, theirs = filled(finance, EDIT), filled(colleague, EDIT)
    mine["lines-0-product"], theirs["lines-0-product"] = "CUPS", ""
    assert colleague.post(EDIT, data=theirs).status_code == 303
    answer = finance.post(EDIT, data=mine)
    assert answer.status_code == 409
    page = text_of(answer.text)
    assert "Green tea · 3 × 10.00 CUPS · Green tea · 3 × 10.00" in page
    again = fields_of(answer.text)
    assert again["lines-0-product"] == "CUPS"
    assert finance.post(EDIT, data=again).status_code == 303
    assert line_of(session, order).product.code == "CUPS"
