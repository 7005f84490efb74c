"""What the form of an order refuses, each with an error at its field and the input kept."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from backoffice.orders.models import Order
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.orders.pages import fields_of, outputs_of, text_of

from .orderers import new_order, only_order, users_to_choose

SignIn = Callable[..., FlaskClient]

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}


@pytest.fixture
def finance(sign_in: SignIn, session: Any) -> FlaskClient:
    """A finance user, with the customer ALFKI and the account manager Nancy to choose from."""
    users_to_choose(session)
    return sign_in("finance")


def test_all_errors_are_shown_at_once_and_the_input_is_kept(
    finance: FlaskClient, session: Any
) -> None:
    typed = new_order(
        finance,
        session,
        number="no digit",
        customer="nobody at all",
        account_manager="",
        order_date="31.3.2026",
        total_price="abc",
        promo="-5",
        lines=[("addition", "Tea", "", "3"), ("addition", "Cup", "NaN", "1")],
    )
    answer = finance.post("/orders/new", data=typed)
    assert answer.status_code == 422
    for sentence in (
        "Use letters, digits, spaces and . _ - / and end with a part that has a digit.",
        "No customer is called that.",
        "Choose an account manager.",
        "This is not a date.",
        "This is not a number.",
        "This is too small: at least 0.",
        "Enter a quantity.",
    ):
        assert sentence in text_of(answer.text), sentence
    kept = fields_of(answer.text)
    for name in (
        "customer",
        "total_price",
        "promo",
        "lines-0-unit_price",
        "lines-1-quantity",
        "idempotency_key",
    ):
        assert kept[name] == typed[name]
    assert session.query(Order).count() == 0


NO_AMOUNTS = (
    "NaN", "sNaN", "Infinity", "-Infinity", "1e400", "1E+9999999", "١٢٣", "१२.५", "１２", "1_000", "1.234567",
    "9999999999999.995", "9" * 5000, "-1", "0x10", "1\u00a0000", "--1", "\0",
)  # fmt: skip


@pytest.mark.parametrize("field", ["total_price", "additions", "promo", "reductions"])
def test_no_component_takes_what_is_not_an_amount(
    finance: FlaskClient, session: Any, subtests: pytest.Subtests, field: str
) -> None:
    """FAULTS 1 to 7, in every component."""
    typed = new_order(finance, session)
    for value in NO_AMOUNTS:
        with subtests.test(value[:20]):
            typed[field] = value
            answer = finance.post("/orders/new", data=typed)
            assert answer.status_code == 422
            assert len(answer.text) < 60_000
            preview = finance.post("/orders/preview", data=typed, headers=HTMX)
            assert preview.status_code == 200
            assert outputs_of(preview.text)["grand_total"].startswith("—")


@pytest.mark.parametrize("field", ["quantity", "unit_price"])
def test_no_line_takes_what_is_not_a_number(
    finance: FlaskClient, session: Any, subtests: pytest.Subtests, field: str
) -> None:
    typed = new_order(finance, session, lines=[("package", "Tea", "1", "1")])
    for value in ("NaN", "Infinity", "1e400", "١٢٣", "1_000", "-1", "99999999999999999"):
        with subtests.test(value):
            typed[f"lines-0-{field}"] = value
            assert finance.post("/orders/new", data=typed).status_code == 422


def test_a_total_past_the_column_is_refused_with_a_sentence(
    finance: FlaskClient, session: Any
) -> None:
    line = ("package", "Gold", "999999999999", "99999999999")
    answer = finance.post("/orders/new", data=new_order(finance, session, lines=[line]))
    assert answer.status_code == 422
    assert "more than can be stored" in text_of(answer.text)


def test_a_negative_grand_total_is_refused_with_a_sentence(
    finance: FlaskClient, session: Any
) -> None:
    answer = finance.post(
        "/orders/new", data=new_order(finance, session, total_price="1", reductions="2")
    )
    assert answer.status_code == 422
    assert "The grand total cannot be negative." in text_of(answer.text)


def test_minus_zero_is_refused_with_a_sentence(finance: FlaskClient, session: Any) -> None:
    answer = finance.post("/orders/new", data=new_order(finance, session, promo="-0"))
    assert answer.status_code == 422
    assert "This is too small: at least 0." in text_of(answer.text)


@pytest.mark.parametrize(
    "number", ["new", "a/edit", "../1", "1//2", "ä1", "x" * 41, "1?", "<b>1</b>"]
)
def test_a_number_that_cannot_be_an_address_is_refused(
    finance: FlaskClient, session: Any, number: str
) -> None:
    assert (
        finance.post("/orders/new", data=new_order(finance, session, number=number)).status_code
        == 422
    )


@pytest.mark.parametrize("number", ["SO/2026/001", "INV 7.1-b_2", "edit/1"])
def test_a_number_may_have_slashes_and_spaces(
    finance: FlaskClient, session: Any, number: str
) -> None:
    saved = finance.post(
        "/orders/new", data=new_order(finance, session, number=number, total_price="5")
    )
    assert saved.status_code == 303
    assert number in text_of(finance.get(saved.location).text)
    for screen in ("edit", "history", "calculation", "calculation/promo", "delete"):
        assert finance.get(f"{saved.location}/{screen}").status_code == 200


def test_a_taken_number_is_refused_at_its_field(finance: FlaskClient, session: Any) -> None:
    OrderFactory(number="SO-7")
    session.commit()
    answer = finance.post("/orders/new", data=new_order(finance, session, number="SO-7"))
    assert answer.status_code == 422
    assert "There is already an order SO-7." in text_of(answer.text)


@pytest.mark.parametrize(
    "key",
    ["lines-²-kind", "lines-999999999999-kind", "lines--kind", "lines-" + "9" * 5000 + "-kind"],
)
def test_strange_line_indices_do_no_harm(finance: FlaskClient, session: Any, key: str) -> None:
    typed = new_order(finance, session, **{key: "package"})
    assert finance.post("/orders/new", data=typed).status_code == 303


def test_too_many_lines_are_refused_not_cut_off(finance: FlaskClient, session: Any) -> None:
    lines = [("package", "Tea", "1", "1")] * 501
    answer = finance.post("/orders/new", data=new_order(finance, session, lines=lines))
    assert answer.status_code == 422
    assert "The form shows at most 500 lines. An order may have up to 5,000" in text_of(answer.text)


def test_a_blank_row_is_no_line(finance: FlaskClient, session: Any) -> None:
    typed = new_order(
        finance, session, lines=[("package", "", " ", ""), ("package", "Tea", "1", "2")]
    )
    assert finance.post("/orders/new", data=typed).status_code == 303
    assert [line.description for line in only_order(session).lines] == ["Tea"]


def test_closing_before_ordering_is_refused(finance: FlaskClient, session: Any) -> None:
    typed = new_order(finance, session, order_date="2026-03-02", closing_date="2026-03-01")
    assert "The closing date is before" in text_of(finance.post("/orders/new", data=typed).text)


@pytest.mark.parametrize(
    "text", ["ALFKI", "alfki", "ALFKI · Alfreds Futterkiste", "alfreds futterkiste", "futter"]
)
def test_a_customer_is_named_by_code_or_name(finance: FlaskClient, session: Any, text: str) -> None:
    assert (
        finance.post("/orders/new", data=new_order(finance, session, customer=text)).status_code
        == 303
    )
    assert only_order(session).customer.code == "ALFKI"


def test_an_ambiguous_customer_is_refused(finance: FlaskClient, session: Any) -> None:
    CustomerFactory(code="ALFKX", name="Alfreds Other")
    session.commit()
    answer = finance.post("/orders/new", data=new_order(finance, session, customer="alf"))
    assert "Several customers fit that." in text_of(answer.text)
