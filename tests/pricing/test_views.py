"""The pricing screen over HTTP: permissions, idempotency, outdated previews, the report afterwards."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.datastructures import MultiDict

from backoffice.figures import acting_as
from backoffice.orders.models import Order
from backoffice.people.models import User
from backoffice.pricing import effects, views
from backoffice.pricing.models import PriceChange
from backoffice.products.queries import price_on
from tests.orders.pages import outputs_of, text_of

from .shops import FROM, Shop, order_of

HTMX = {"HX-Request": "true"}
SignIn = Callable[..., FlaskClient]

TYPED = {"product": "TEA", "effective_from": "2026-03-01", "unit_price": "12"}


def shown(client: FlaskClient, **changes: str) -> MultiDict[str, str]:
    """The form after its preview, as a browser would send it, with the ticked boxes only."""
    typed = ticked(client.get("/pricing").text)
    for name, value in {**TYPED, **changes}.items():
        typed[name] = value
    page = client.post("/pricing/preview", data=typed)
    assert page.status_code == 200
    return ticked(page.text)


class Reader(HTMLParser):
    """Collects the successful controls of the pricing form: of the boxes, only ticked ones."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = False
        self.fields: MultiDict[str, str] = MultiDict()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        given = dict(attrs)
        if tag == "form":
            self.inside = given.get("id") == "pricing-form"
        is_box = given.get("type") == "checkbox"
        is_sent = "disabled" not in given and ("checked" in given or not is_box)
        if tag == "input" and self.inside and is_sent and given.get("name"):
            self.fields.add(given["name"], given.get("value") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.inside = False


def ticked(page: str) -> MultiDict[str, str]:
    """The fields that a browser would send if the page's form were submitted unchanged."""
    reader = Reader()
    reader.feed(page)
    return reader.fields


def chosen(client: FlaskClient, **changes: str) -> list[str]:
    return shown(client, **changes).getlist("order")


def price_of(session: Any, order: Order) -> Any:
    session.rollback()
    session.refresh(order)
    return order.lines[0].unit_price


def test_the_preview_is_outputs_and_the_orders_and_writes_nothing(
    finance: FlaskClient, session: Any, shop: Shop
) -> None:
    answer = finance.post("/pricing/preview", data=TYPED, headers=HTMX)
    assert outputs_of(answer.text)["chosen-total"].startswith("+Rp\xa020.00")
    assert "<html" not in answer.text
    assert "SO-3" not in answer.text
    assert "Until now it costs 10.00 on that day." in text_of(answer.text)
    assert price_on(session, shop.tea.id, FROM) == 10
    assert session.scalars(select(PriceChange)).all() == []


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"product": "", "unit_price": ""}, "Choose a product"),
        ({"product": "coffee"}, "No product is called that."),
        ({"unit_price": ""}, "Enter the new price"),
        ({"unit_price": "1.500"}, "1,500 or 1.5"),
        ({"unit_price": "-3"}, "This is too small"),
        ({"effective_from": "soon"}, "This is not a date."),
        ({"effective_from": "2026-12-01"}, "No open order changes"),
    ],
)
def test_an_incomplete_or_wrong_entry_gets_a_sentence(
    finance: FlaskClient, shop: Shop, typed: dict[str, str], sentence: str
) -> None:
    answer = finance.post("/pricing/preview", data={**TYPED, **typed}, headers=HTMX)
    assert answer.status_code == 200
    assert sentence in text_of(answer.text)


def test_what_is_applied_is_what_was_shown_and_the_result_says_what_became_of_it(
    finance: FlaskClient, session: Any, shop: Shop
) -> None:
    typed = shown(finance)
    assert typed.getlist("order") == [f"{shop.plain.id}:1", f"{shop.tight.id}:1"]
    answer = finance.post("/pricing/apply", data=typed)
    assert answer.status_code == 303
    page = text_of(finance.get(answer.location).text)
    assert "SO-1 150.00 160.00 +10.00" in page
    assert "2 orders · Rp 150.00 170.00 +20.00" in page
    assert "1 open order has the product at another price." in page
    assert "Back to 10.00" in page
    assert price_of(session, shop.plain) == 12
    assert price_of(session, shop.negotiated) == 9.5
    assert price_of(session, shop.closed) == 10


def test_the_history_of_an_order_says_why_it_was_saved(
    finance: FlaskClient, session: Any, shop: Shop
) -> None:
    finance.post("/pricing/apply", data=shown(finance))
    page = text_of(finance.get("/orders/SO-1/history").text)
    assert "Price change of Green tea from 1 Mar 2026" in page
    assert "Unit price before: 10.00 → after: 12.00" in page
    assert "Price change of" not in text_of(finance.get("/orders/SO-2/history").text)
    product = text_of(finance.get("/products/TEA").text)
    assert "1 Mar 2026 10.00 12.00 +2.00 2" in product


def test_the_same_form_twice_has_one_effect(finance: FlaskClient, session: Any, shop: Shop) -> None:
    typed = shown(finance)
    first, second = (finance.post("/pricing/apply", data=typed) for _ in range(2))
    assert first.location == second.location
    assert len(session.scalars(select(PriceChange)).all()) == 1
    session.refresh(shop.plain)
    assert shop.plain.version == 2


@pytest.mark.parametrize(
    "changes",
    [{"unit_price": "13"}, {"effective_from": "2026-03-02"}, {"previewed": ""}],
)
def test_another_price_than_was_shown_is_shown_first(
    finance: FlaskClient, session: Any, shop: Shop, changes: dict[str, str]
) -> None:
    typed = shown(finance)
    for name, value in changes.items():
        typed[name] = value
    answer = finance.post("/pricing/apply", data=typed)
    assert answer.status_code == 422
    assert "had not been shown to you yet" in text_of(answer.text)
    assert price_of(session, shop.plain) == 10
    again = ticked(answer.text)
    assert finance.post("/pricing/apply", data=again).status_code == 303
    assert price_of(session, shop.plain) == (13 if "unit_price" in changes else 12)


def test_an_incomplete_form_is_refused_with_a_sentence_at_its_field(
    finance: FlaskClient, shop: Shop
) -> None:
    typed = shown(finance)
    typed["unit_price"] = ""
    answer = finance.post("/pricing/apply", data=typed, headers=HTMX)
    assert answer.status_code == 422
    assert "Enter the new price." in text_of(answer.text)
    assert "<html" not in answer.text


def test_nothing_to_do_is_said(finance: FlaskClient, shop: Shop) -> None:
    typed = shown(finance, unit_price="10")
    typed.poplist("order")
    answer = finance.post("/pricing/apply", data=typed)
    assert answer.status_code == 422
    assert "there is nothing to do" in text_of(answer.text)


def test_choices_are_kept_while_the_price_is_typed_on(finance: FlaskClient, shop: Shop) -> None:
    typed = shown(finance)
    plain, tight = typed.getlist("order")
    typed.setlist("order", [tight, f"{shop.negotiated.id}:1"])
    typed["unit_price"] = "13"
    again = ticked(finance.post("/pricing/preview", data=typed).text)
    assert again.getlist("order") == [tight, f"{shop.negotiated.id}:1"]
    for choose, expected in (("none", []), ("all", [plain, tight, f"{shop.negotiated.id}:1"])):
        page = finance.post(f"/pricing/preview?choose={choose}", data=again).text
        assert ticked(page).getlist("order") == expected


def test_an_order_that_becomes_possible_is_chosen_as_if_it_were_new(
    finance: FlaskClient, shop: Shop
) -> None:
    typed = shown(finance, unit_price="9")
    assert typed.getlist("order") == [f"{shop.plain.id}:1"]
    typed["unit_price"] = "11"
    again = ticked(finance.post("/pricing/preview", data=typed).text)
    assert again.getlist("order") == [f"{shop.plain.id}:1", f"{shop.tight.id}:1"]


@pytest.mark.parametrize("role", ["viewer", "account_manager"])
def test_who_may_not_change_prices_may_look_at_what_one_would_change(
    sign_in: SignIn, shop: Shop, role: str
) -> None:
    client = sign_in(role)
    answer = client.post("/pricing/preview", data=TYPED)
    assert answer.status_code == 200
    assert "checkbox" not in answer.text.partition('id="shortcuts"')[0]
    assert "Store the price" not in answer.text
    assert ("SO-1" in answer.text) == (role == "viewer")
    assert client.post("/pricing/apply", data=TYPED).status_code == 403


def test_an_account_manager_sees_their_own_orders_of_a_price_change(
    finance: FlaskClient, sign_in: SignIn, session: Any, shop: Shop
) -> None:
    location = finance.post("/pricing/apply", data=shown(finance)).location
    manager = session.get_one(User, shop.plain.account_manager_id)
    theirs = sign_in(manager)
    page = text_of(theirs.get(location).text)
    assert "SO-1" in page
    assert "SO-5" not in page
    assert "160.00" in page
    assert "170.00" not in page
    of_product = [text_of(who.get("/products/TEA").text) for who in (theirs, finance)]
    assert ["10.00 12.00 +2.00 1 " in of_product[0], "+2.00 2 " in of_product[1]] == [True, True]


def test_more_orders_than_the_screen_holds_are_added_up_and_changed_in_steps(
    finance: FlaskClient, session: Any, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "SHOWN", 1)
    page = finance.post("/pricing/preview", data=shown(finance)).text
    assert "The first 1 are shown" in text_of(page)
    assert "3 orders · Rp 297.50 330.00 +32.50" in text_of(page)
    typed = ticked(page)
    assert typed.getlist("order") == [f"{shop.plain.id}:1"]
    finance.post("/pricing/apply", data=typed)
    assert chosen(finance) == [f"{shop.tight.id}:1"]


def test_too_many_orders_are_not_previewed_and_the_way_is_said(
    finance: FlaskClient, session: Any, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effects, "MOST", 2)
    page = finance.post("/pricing/preview", data=TYPED).text
    assert "Change the price in steps" in text_of(page)
    assert ticked(page).getlist("order") == []


def test_an_address_fills_the_form_and_what_makes_no_sense_is_left_out(
    finance: FlaskClient, shop: Shop
) -> None:
    page = finance.get("/pricing?product=TEA&effective_from=2026-03-01&unit_price=12.5").text
    assert outputs_of(page)["chosen-total"].startswith("+Rp\xa025.00")
    for query in ("product=NONE", "unit_price=x", "effective_from=9", "product=TEA&unit_price=1e5"):
        assert finance.get(f"/pricing?{query}").status_code == 200


@pytest.mark.parametrize(
    ("actor", "who"),
    [("token:{id}", "#{id} (token)"), ("cli:root", "root"), ("user:" + "9" * 30, "9" * 30)],
)
def test_a_price_change_names_who_made_it_and_nobody_who_has_the_same_number(
    finance: FlaskClient, session: Any, shop: Shop, actor: str, who: str
) -> None:
    user = session.scalars(select(User).where(User.role == "finance")).one()
    with acting_as(actor.format(id=user.id)):
        change = PriceChange(product_id=shop.tea.id, effective_from=FROM, unit_price=9)
        session.add(change)
        session.commit()
    page = text_of(finance.get(f"/pricing/changes/{change.id}").text)
    assert who.format(id=user.id) in page
    assert f"{user.name} ·" not in page


def test_a_deleted_order_stays_in_the_record_of_its_price_change(
    finance: FlaskClient, session: Any, shop: Shop
) -> None:
    location = finance.post("/pricing/apply", data=shown(finance)).location
    session.delete(session.get_one(Order, shop.plain.id))
    session.commit()
    page = finance.get(location).text
    assert "SO-1" in text_of(page)
    assert "/orders/SO-1" not in page


def test_every_sum_is_that_of_what_stands_above_it(
    finance: FlaskClient, session: Any, shop: Shop
) -> None:
    for number in range(10, 16):
        order_of(shop.tea, "10", str(number), number=f"SO-{number}")
    session.commit()
    page = text_of(finance.post("/pricing/preview", data=TYPED).text)
    extra = sum(2 * number for number in range(10, 16))
    assert f"+{extra + 32.5:.2f}" in page


@pytest.mark.parametrize(
    ("promo", "said"),
    [
        ("15", "Promo is 10.0% of the old price and stays Rp 15.00"),
        ("18.75", "Promo is 12.5% of the old price and stays Rp 18.75"),
        ("17", ""),
        ("0", ""),
    ],
)
def test_percentage_discounts_that_a_price_change_leaves_behind_are_said(
    finance: FlaskClient, shop: Shop, session: Any, promo: str, said: str
) -> None:
    """SO-1 has tea for 50.00 and cups for 100.00; at 12 a box its package price is 160.00."""
    shop.plain.promo = Decimal(promo)
    shop.tight.closing_date = date(2026, 3, 20)
    session.commit()
    reported = text_of(finance.post("/pricing/preview", data=TYPED).text)
    sentence = "1 order has a promo or reductions that are a percentage of its package price."
    assert (sentence in reported) == bool(said)
    assert said in reported, reported[reported.find("Promo is") :][:120]
