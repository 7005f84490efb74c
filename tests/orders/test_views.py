"""The orders' screens over HTTP: list, record, form, saving, refusing, deleting."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient

from backoffice import money
from backoffice.orders.models import Order, OrderLine
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory, UserFactory
from tests.orders.pages import fields_of, filled, outputs_of, text_of

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
    CustomerFactory(code="ALFKI", name="Alfreds Futterkiste")
    AccountManagerFactory(name="Nancy Davolio")
    session.commit()
    return sign_in("finance")


def new_order(client: FlaskClient, session: Any, **changes: Any) -> Any:
    manager = (
        session.query(Order.account_manager.property.mapper.class_)
        .filter_by(name="Nancy Davolio")
        .one()
    )
    given = {"customer": "ALFKI", "account_manager": str(manager.id), **changes}
    return filled(client, "/orders/new", **given)


def only_order(session: Any) -> Order:
    session.rollback()
    return session.query(Order).one()


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


# Refusals


def test_all_errors_are_shown_at_once_and_the_input_is_kept(
    finance: FlaskClient, session: Any
) -> None:
    typed = new_order(
        finance,
        session,
        number="",
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
        "Enter an order number.",
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


@pytest.mark.parametrize(
    "value",
    [
        "NaN",
        "sNaN",
        "Infinity",
        "-Infinity",
        "1e400",
        "1E+9999999",
        "١٢٣",
        "१२.५",
        "１２",
        "1_000",
        "1.234567",
        "9999999999999.995",
        "9" * 5000,
        "-1",
        "0x10",
        "1\u00a0000",
        "--1",
        "\0",
    ],
)
@pytest.mark.parametrize("field", ["total_price", "additions", "promo", "reductions"])
def test_no_component_takes_what_is_not_an_amount(
    finance: FlaskClient, session: Any, field: str, value: str
) -> None:
    """FAULTS 1 to 7, in every component."""
    answer = finance.post("/orders/new", data=new_order(finance, session, **{field: value}))
    assert answer.status_code == 422
    assert len(answer.text) < 60_000
    preview = finance.post(
        "/orders/preview", data=new_order(finance, session, **{field: value}), headers=HTMX
    )
    assert preview.status_code == 200
    assert outputs_of(preview.text)["grand_total"].startswith("—")


@pytest.mark.parametrize("field", ["quantity", "unit_price"])
@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "1e400", "١٢٣", "1_000", "-1", "99999999999999999"]
)
def test_no_line_takes_what_is_not_a_number(
    finance: FlaskClient, session: Any, field: str, value: str
) -> None:
    typed = new_order(finance, session, lines=[("package", "Tea", "1", "1")])
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
    "number", ["new", "a/edit", "../1", "1//2", "ä1", "x" * 41, "1?", "<b>1</b>", "a\n1"]
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
    assert "at most 500 lines" in text_of(answer.text)


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
    assert "Ana saved this order at" in said
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


def test_a_form_that_is_sent_twice_has_one_effect_and_the_same_answer(
    finance: FlaskClient, session: Any
) -> None:
    """FAULTS 23."""
    typed = new_order(finance, session, **SEED)
    first, second = finance.post("/orders/new", data=typed), finance.post("/orders/new", data=typed)
    assert (first.status_code, first.location) == (second.status_code, second.location)
    assert first.status_code == 303
    only_order(session)
    typed["promo"] = "1"
    changed = finance.post("/orders/new", data=typed)
    assert changed.status_code == 422
    assert only_order(session).promo == 5_000_000


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


def test_htmx_gets_the_refused_form_alone(finance: FlaskClient, session: Any) -> None:
    refused = finance.post("/orders/new", data=new_order(finance, session, promo="x"), headers=HTMX)
    assert refused.status_code == 422
    assert refused.text.lstrip().startswith("<form")


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
        client, path, account_manager=str(other.id), account_manager_id=str(other.id), promo="1"
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
    typed = filled(client, "/orders/new", customer="ALFKI", account_manager=str(other.id))
    assert client.post("/orders/new", data=typed).status_code == 303
    assert only_order(session).account_manager_id == me.id


def test_a_viewer_reads_everything_and_changes_nothing(sign_in: SignIn, session: Any) -> None:
    order = OrderFactory()
    session.commit()
    client = sign_in("viewer")
    for screen in ("", "/history", "/calculation"):
        page = client.get(f"/orders/{order.number}{screen}")
        assert page.status_code == 200
        assert "/edit" not in page.text
    for path in ("/orders/new", f"/orders/{order.number}/edit", f"/orders/{order.number}/delete"):
        assert client.get(path).status_code == 403
        assert client.post(path).status_code == 403
    assert client.post("/orders/preview").status_code == 403


def test_an_order_can_only_be_given_to_an_active_account_manager(
    finance: FlaskClient, session: Any
) -> None:
    viewer, gone = UserFactory(role="viewer"), AccountManagerFactory(is_active=False)
    session.commit()
    for person in (viewer, gone):
        typed = new_order(finance, session, account_manager=str(person.id))
        assert finance.post("/orders/new", data=typed).status_code == 422


def test_an_order_keeps_an_account_manager_who_has_left(finance: FlaskClient, session: Any) -> None:
    order = OrderFactory(account_manager=AccountManagerFactory(is_active=False))
    session.commit()
    path = f"/orders/{order.number}/edit"
    assert finance.post(path, data=filled(finance, path, promo="1")).status_code == 303


# Deleting


def test_an_order_is_deleted_after_a_question(finance: FlaskClient, session: Any) -> None:
    order = OrderFactory(promo=0, reductions=0, lines=[("package", "A", "1", "10")])
    session.commit()
    path = f"/orders/{order.number}/delete"
    asked = finance.get(path)
    assert "10.00" in text_of(asked.text)
    sent = {"version": "1", "idempotency_key": "once"}
    assert finance.post(path, data=sent).status_code == 303
    assert finance.post(path, data=sent).status_code == 303
    session.rollback()
    assert session.query(Order).count() == 0


def test_a_closed_order_is_not_deleted(finance: FlaskClient, session: Any) -> None:
    order = OrderFactory(closing_date=date(2026, 3, 3))
    session.commit()
    path = f"/orders/{order.number}/delete"
    assert "is closed" in text_of(finance.get(path).text)
    refused = finance.post(path, data={"version": "1", "idempotency_key": "k"})
    assert refused.status_code == 422
    assert "Remove its closing date first." in text_of(refused.text)
    assert session.query(Order).count() == 1


def test_an_order_that_changed_since_the_question_is_not_deleted(
    finance: FlaskClient, session: Any
) -> None:
    order = OrderFactory()
    session.commit()
    path = f"/orders/{order.number}/delete"
    assert finance.post(path, data={"version": "0", "idempotency_key": "k"}).status_code == 409


def test_a_total_that_is_not_known_yet_is_not_called_negative(
    finance: FlaskClient, session: Any
) -> None:
    typed = new_order(finance, session, total_price="x", promo="5")
    said = text_of(finance.post("/orders/new", data=typed).text)
    assert "This is not a number." in said
    assert "cannot be negative" not in said
