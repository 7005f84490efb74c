"""Lines ↔ one amount: the lines are kept until the save, the form states which are replaced, and can restore them."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from backoffice.orders.editing import steps
from backoffice.orders.models import Order, OrderLine
from tests.factories.orders import OrderFactory
from tests.orders.pages import fields_of, text_of

SignIn = Callable[..., FlaskClient]

EDIT = "/orders/A-1/edit"


@pytest.fixture
def order(session: Any) -> Order:
    """An order of 25 package lines of 1 × 10."""
    lines = [("package", f"Line {n}", "1", "10") for n in range(1, 26)]
    made: Order = OrderFactory(
        number="A-1", lines=lines, total_price=0, additions=0, promo=0, reductions=0
    )
    session.commit()
    return made


def stored(session: Any) -> list[tuple[int, str, Decimal]]:
    session.rollback()
    rows = session.scalars(select(OrderLine).order_by(OrderLine.position))
    return [(line.id, line.description, line.amount) for line in rows]


def switched(client: FlaskClient, typed: Any, do: str) -> Any:
    page = client.post(f"{EDIT}?do={do}&kind=package", data=typed)
    assert page.status_code == 200
    return page.text


def test_one_amount_says_what_will_go_and_the_lines_come_back_as_they_were(
    sign_in: SignIn, session: Any, order: Order
) -> None:
    client, before = sign_in("finance"), stored(session)
    page = switched(client, fields_of(client.get(EDIT).text), "one-amount")
    assert "When you save, 25 lines go: Rp 250.00. Until then they are kept." in text_of(page)
    assert "Bring the lines back" in page
    typed = fields_of(page)
    assert typed["total_price"] == "250.00"
    assert stored(session) == before
    back = switched(client, typed, "itemise")
    assert "When you save" not in text_of(back)
    assert client.post(EDIT, data=fields_of(back)).status_code == 303
    assert stored(session) == before, "the very lines, by their ids"


def test_a_refused_save_keeps_them_too_and_a_saved_amount_replaces_them(
    sign_in: SignIn, session: Any, order: Order
) -> None:
    client = sign_in("finance")
    typed = fields_of(switched(client, fields_of(client.get(EDIT).text), "one-amount"))
    day, typed["order_date"] = typed["order_date"], ""
    refused = client.post(EDIT, data=typed)
    assert refused.status_code == 422
    assert "25 lines go: Rp 250.00" in text_of(refused.text)
    back = switched(client, fields_of(refused.text), "itemise")
    assert "Line 25" in back
    typed = fields_of(refused.text)
    typed["order_date"], typed["total_price"] = day, "300"
    assert client.post(EDIT, data=typed).status_code == 303
    assert stored(session) == []
    assert session.scalars(select(Order.grand_total)).one() == 300


def test_another_user_being_faster_keeps_them(sign_in: SignIn, session: Any, order: Order) -> None:
    client = sign_in("finance")
    typed = fields_of(switched(client, fields_of(client.get(EDIT).text), "one-amount"))
    other = sign_in("finance")
    theirs = fields_of(other.get(EDIT).text)
    theirs["promo"] = "5"
    assert other.post(EDIT, data=theirs).status_code == 303
    conflict = client.post(EDIT, data=typed)
    assert conflict.status_code == 409
    assert "25 lines go: Rp 250.00" in text_of(conflict.text)


@pytest.mark.parametrize(
    "text",
    ["", "x", "[]", "{}", '{"lines": 5, "amount": "1"}', '{"lines": [{"a": 1}]}', '{"lines": null}', "[" * 5000],
)  # fmt: skip
def test_what_a_form_keeps_unreadably_is_nothing(text: str) -> None:
    assert steps.kept_lines(text) == []
    assert isinstance(steps.kept_amount(text), str)


def test_a_blank_row_is_nothing_that_goes(sign_in: SignIn, session: Any, order: Order) -> None:
    client = sign_in("finance")
    page = client.get(EDIT).text
    added = client.post(f"{EDIT}?do=itemise&kind=addition", data=fields_of(page)).text
    back = client.post(f"{EDIT}?do=one-amount&kind=addition", data=fields_of(added)).text
    assert "When you save" not in text_of(back)
