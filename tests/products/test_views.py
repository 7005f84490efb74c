"""The price list on screen: permissions, refusals, and prices that cannot be removed."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from backoffice.products.models import Product, ProductPrice
from tests.factories.products import ProductFactory
from tests.orders.pages import _read, text_of

SignIn = Callable[..., FlaskClient]


def form_at(client: FlaskClient, path: str, **changes: str) -> dict[str, str]:
    """The form of the page as a browser would send it, with some fields replaced."""
    page = client.get(path)
    assert page.status_code == 200, page.text
    return {**_read(page.text, "product-form").fields.to_dict(), **changes}


@pytest.fixture
def finance(sign_in: SignIn) -> FlaskClient:
    return sign_in("finance")


@pytest.fixture
def tea(session: Any) -> Product:
    made: Product = ProductFactory(
        code="TEA", name="Green tea", prices={"2026-01-01": "10", "2199-01-01": "12"}
    )
    session.commit()
    return made


def test_the_list_shows_what_is_in_force_today(finance: FlaskClient, tea: Product) -> None:
    page = text_of(finance.get("/products").text)
    assert "Green tea" in page
    assert "10.00" in page
    assert "12.00" not in page
    assert "No product fits that" in text_of(finance.get("/products?q=coffee").text)
    assert "Green tea" not in text_of(finance.get("/products?state=inactive").text)


@pytest.mark.parametrize("sort", ["unit_price", "-unit_price", "price_since", "kind", "-is_active"])
def test_the_list_is_sorted_by_every_column(
    finance: FlaskClient, session: Any, tea: Product, sort: str
) -> None:
    ProductFactory(code="CUPS", prices={"2026-02-01": "5"})
    ProductFactory(code="NONE")
    session.commit()
    page = text_of(finance.get(f"/products?sort={sort}").text)
    places = sorted((page.index(f" {code} "), code) for code in ("TEA", "CUPS", "NONE"))
    order = [code for _place, code in places]
    assert order[-1] == "NONE" or sort in ("kind", "-is_active")
    if sort.endswith("unit_price"):
        assert order[:2] == (["CUPS", "TEA"] if sort == "unit_price" else ["TEA", "CUPS"])


@pytest.mark.parametrize("role", ["viewer", "account_manager"])
def test_who_may_only_read_gets_no_way_to_change(sign_in: SignIn, tea: Product, role: str) -> None:
    client = sign_in(role)
    page = client.get("/products/TEA")
    assert page.status_code == 200
    for word in ("Take this price back", "Edit", "Change the price"):
        assert word not in text_of(page.text)
    assert client.get("/products/new").status_code == 403
    assert client.post("/products/TEA/edit").status_code == 403
    assert "New product" not in text_of(client.get("/products").text)


def test_a_product_is_created_with_its_first_price(finance: FlaskClient, session: Any) -> None:
    typed = form_at(
        finance, "/products/new", code="CUPS", name="Cups", unit="dozen", unit_price="2,500.5"
    )
    answer = finance.post("/products/new", data=typed)
    assert answer.status_code == 303
    assert answer.location.endswith("/products/CUPS")
    product = session.scalars(select(Product)).one()
    assert (product.name, product.kind, product.unit, product.is_active) == (
        "Cups",
        "package",
        "dozen",
        True,
    )
    assert [str(price.unit_price) for price in product.prices] == ["2500.5000"]
    again = finance.post("/products/new", data=typed)
    assert again.location == answer.location
    assert len(session.scalars(select(Product)).all()) == 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"code": "new"}, "This cannot be part of a web address."),
        ({"unit_price": "abc"}, "This is not a number."),
        ({"unit_price": "1", "effective_from": ""}, "Enter the day from which"),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_is_kept(
    finance: FlaskClient, session: Any, tea: Product, changes: dict[str, str], sentence: str
) -> None:
    typed = form_at(finance, "/products/new", **{"code": "CUPS", "name": "Cups", **changes})
    answer = finance.post("/products/new", data=typed)
    assert answer.status_code == 422
    assert sentence in text_of(answer.text)
    kept = _read(answer.text, "product-form").fields
    assert kept["name"] == typed["name"]
    assert len(session.scalars(select(Product)).all()) == 1


def test_a_product_that_is_not_sold_any_more_is_offered_no_more(
    finance: FlaskClient, session: Any, tea: Product
) -> None:
    typed = form_at(finance, "/products/TEA/edit")
    del typed["is_active"]
    assert finance.post("/products/TEA/edit", data=typed).status_code == 303
    assert "Not sold any more" in text_of(finance.get("/products/TEA").text)
    assert finance.get("/products/options?lines-0-product=tea").text.strip() == ""


def test_the_record_tells_prices_past_and_to_come_and_who_changed_what(
    finance: FlaskClient, session: Any, tea: Product
) -> None:
    page = text_of(finance.get("/products/TEA").text)
    assert "1 Jan 2199 To come 12.00" in page
    assert "1 Jan 2026 In force 10.00" in page
    assert "Unit price from 1 Jan 2026 after: 10.00" in page
    future = session.scalars(select(ProductPrice).where(ProductPrice.unit_price == 12)).one()
    assert finance.post(f"/products/TEA/prices/{future.id}/remove").status_code == 303
    page = text_of(finance.get("/products/TEA").text)
    assert "To come" not in page
    assert "Unit price from 1 Jan 2199 before: 12.00" in page
    present = session.scalars(select(ProductPrice)).one()
    refused = finance.post(f"/products/TEA/prices/{present.id}/remove")
    assert refused.status_code == 422
    assert "is in force already" in text_of(refused.text)


def test_the_options_follow_what_is_typed(finance: FlaskClient, tea: Product) -> None:
    assert 'value="TEA"' in finance.get("/products/options?lines-3-product=gree").text
    assert finance.get("/products/options?product=gree&kind=addition").text.strip() == ""
