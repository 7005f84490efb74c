"""Form fields that read numbers in the user's format, and filters that write them in that format."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask, render_template_string
from werkzeug.datastructures import MultiDict
from wtforms import Form
from wtforms.validators import Optional

from backoffice.web.forms import Required
from backoffice.web.typed_fields import AmountField, QuantityField, UnitPriceField


class Entry(Form):
    """One field of each kind."""

    amount = AmountField("Amount")
    zero = AmountField("Empty is zero", empty_is_zero=True)
    change = AmountField("May be negative", minimum=None, maximum=Decimal(1000))
    needed = AmountField("Needed", validators=[Required("Enter an amount.")])
    optional = AmountField("Optional", validators=[Optional()])
    quantity = QuantityField("Quantity")
    price = UnitPriceField("Price")


Post = Callable[..., Entry]


@pytest.fixture(params=["en", "id"])
def number_format(request: pytest.FixtureRequest) -> str:
    """Both number formats that users can choose."""
    return str(request.param)


@pytest.fixture
def post(app: Flask, number_format: str) -> Post:
    """Submit the form, in a browser of a user with this number format."""

    def filled(**typed: str) -> Entry:
        with app.test_request_context(headers={"Cookie": f"number_format={number_format}"}):
            form = Entry(MultiDict({"needed": "1", **typed}))
            form.validate()
            form.amount()  # renders
            return form

    return filled


def test_an_amount_is_read_in_the_users_format(post: Post, number_format: str) -> None:
    form = post(amount={"en": "1,000.50", "id": "1.000,50"}[number_format])
    assert form.amount.data == Decimal("1000.50")
    assert not form.errors


def test_what_is_refused_says_why_and_keeps_what_was_typed(post: Post) -> None:
    form = post(amount="12x")
    assert form.amount.data is None
    assert form.amount.errors[0].startswith("This is not a number.")
    assert form.amount._value() == "12x"


def test_what_is_right_is_shown_as_it_was_typed(post: Post) -> None:
    form = post(amount="007", quantity="5x")
    assert form.amount._value() == "007"


def test_markup_in_an_amount_is_inert(post: Post) -> None:
    assert "<script" not in str(post(amount='"><script>').amount())


def test_empty_is_zero_only_where_the_field_says_so(post: Post) -> None:
    form = post(amount=" ", zero="", needed="")
    assert form.amount.data is None
    assert form.zero.data == 0
    assert list(form.errors) == ["needed"]
    assert form.errors["needed"] == ["Enter an amount."]


def test_an_optional_amount_may_be_left_out(post: Post) -> None:
    form = post(optional="")
    assert form.optional.data is None
    assert not form.errors


def test_a_negative_amount_is_refused_unless_the_field_allows_it(post: Post) -> None:
    form = post(amount="-1", zero="(1)", change="-1", quantity="-1", price="\u22121")
    assert set(form.errors) == {"amount", "zero", "quantity", "price"}
    assert form.change.data == -1


def test_a_fields_own_limit_holds(post: Post) -> None:
    assert "1" in post(change="1001").errors["change"][0]
    assert post(change="-1001").errors["change"]


def test_quantities_and_prices_have_their_own_decimals(post: Post, number_format: str) -> None:
    point = {"en": ".", "id": ","}[number_format]
    form = post(quantity=f"1{point}234", price=f"1{point}2345", amount=f"1{point}25")
    assert not form.errors
    assert (form.quantity.data, form.price.data) == (Decimal("1.234"), Decimal("1.2345"))
    form = post(quantity=f"1{point}2345", price=f"1{point}23456", amount=f"1{point}2567")
    assert set(form.errors) == {"quantity", "price", "amount"}


def test_a_stored_amount_is_shown_in_the_users_format(app: Flask, number_format: str) -> None:
    with app.test_request_context(headers={"Cookie": f"number_format={number_format}"}):
        form = Entry(
            data={"amount": Decimal("1234.5"), "quantity": Decimal("1.500"), "price": Decimal(14)}
        )
        shown = [form.amount._value(), form.quantity._value(), form.price._value()]
    expected = {"en": ["1,234.50", "1.5", "14.00"], "id": ["1.234,50", "1,5", "14,00"]}
    assert shown == expected[number_format]


def test_a_field_that_was_not_posted_keeps_its_value(app: Flask) -> None:
    with app.test_request_context():
        form = Entry(MultiDict({"needed": "1"}), data={"amount": Decimal(5)})
        assert form.amount.data == 5


def test_inputs_are_for_numbers_but_never_of_type_number(post: Post) -> None:
    html = str(post().amount())
    assert 'type="text"' in html
    assert 'inputmode="decimal"' in html
    assert 'autocomplete="off"' in html


def test_a_refusal_speaks_the_users_language(app: Flask) -> None:
    with app.test_request_context(headers={"Cookie": "language=en"}):
        form = Entry(MultiDict({"amount": "1_000"}))
        form.validate()
    assert form.amount.errors == ["Write the number without underscores: 1,000.50."]


@pytest.mark.parametrize(
    ("template", "value", "expected"),
    [
        ("{{ value|money }}", Decimal("1234.5"), {"en": "1,234.50", "id": "1.234,50"}),
        (
            "{{ value|money(symbol=true) }}",
            Decimal(-5),
            {"en": "-Rp\u00a05.00", "id": "-Rp\u00a05,00"},
        ),
        ("{{ value|quantity }}", Decimal("1.500"), {"en": "1.5", "id": "1,5"}),
        ("{{ value|number }}", 3823, {"en": "3,823", "id": "3.823"}),
        ("{{ value|unit_price }}", Decimal("14.0000"), {"en": "14.00", "id": "14,00"}),
        ("{{ value|money }}", 0, {"en": "0.00", "id": "0,00"}),
        ("{{ value|money }}", None, {"en": "", "id": ""}),
        ("{{ currency_symbol() }}", None, {"en": "Rp", "id": "Rp"}),
    ],
)
def test_templates_write_numbers_in_the_users_format(
    app: Flask, number_format: str, template: str, value: Any, expected: dict[str, str]
) -> None:
    with app.test_request_context(headers={"Cookie": f"number_format={number_format}"}):
        assert render_template_string(template, value=value) == expected[number_format]


def test_a_float_is_no_amount(app: Flask) -> None:
    with app.test_request_context(), pytest.raises(TypeError, match="Decimal only"):
        render_template_string("{{ value|money }}", value=1.5)
