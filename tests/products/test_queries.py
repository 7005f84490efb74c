"""Reads of products, and of their prices on a day."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backoffice.products import actions, queries
from backoffice.products.models import ProductPrice
from backoffice.products.rules import is_code
from tests.factories.products import ProductFactory

START = date(2026, 1, 1)

days = st.integers(0, 30).map(lambda n: START + timedelta(days=n))
prices = st.decimals(0, 10**6, places=4)


@pytest.fixture
def stock(session: Any) -> None:
    """Three products."""
    ProductFactory(code="TEA", name="Green tea")
    ProductFactory(code="TEA-BLACK", name="Black tea")
    ProductFactory(code="CUPS", name="Cups, 100% tea", is_active=False)
    session.commit()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(listed=st.dictionaries(days, prices, max_size=6), asked=days)
def test_the_price_on_a_day_is_that_of_the_latest_date_up_to_it(
    session: Any, listed: dict[date, Decimal], asked: date
) -> None:
    product, other = ProductFactory(), ProductFactory(prices={"2026-01-01": "77"})
    for day, price in listed.items():
        actions.set_price(session, product, day, price)
    expected = max(((d, p) for d, p in listed.items() if d <= asked), default=(None, None))[1]
    assert queries.price_on(session, product.id, asked) == expected
    later = min((d for d in listed if d > asked), default=None)
    following = queries.later_price(session, product.id, asked)
    assert (following.effective_from if following else None) == later
    found = queries.prices_on(session, [product.id, other.id], asked)
    assert found == {product.id: expected, other.id: 77}
    session.rollback()


def test_a_second_price_for_the_same_day_takes_the_place_of_the_first(session: Any) -> None:
    product = ProductFactory(prices={"2026-01-01": "10"})
    actions.set_price(session, product, START, Decimal("12.5"))
    session.commit()
    assert [price.unit_price for price in product.prices] == [Decimal("12.5")]


@pytest.mark.usefixtures("stock")
@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("TEA", ["TEA"]),
        ("tea", ["TEA"]),
        ("TEA · Green tea", ["TEA"]),
        ("tea · green tea", ["TEA"]),
        ("green tea", ["TEA"]),
        ("black", ["TEA-BLACK"]),
        ("100%", ["CUPS"]),
        ("te", ["TEA", "TEA-BLACK", "CUPS"]),
        ("coffee", []),
    ],
)
def test_a_text_names_a_product_by_code_name_or_a_part(
    session: Any, text: str, codes: list[str]
) -> None:
    assert [product.code for product in queries.named(session, text)] == codes


def test_a_name_is_found_among_many_whose_codes_begin_like_it(session: Any) -> None:
    for number in range(30):
        ProductFactory(code=f"TEA{number:02}", name=f"Tearoom {number}")
    ProductFactory(code="P-1", name="Tea")
    session.commit()
    assert [product.code for product in queries.named(session, "tea")] == ["P-1"]


@pytest.mark.usefixtures("stock")
def test_a_search_can_leave_out_what_is_not_sold_any_more_or_sold_otherwise(session: Any) -> None:
    found = queries.search(session, "tea", only_active=True)
    assert [product.code for product in found] == ["TEA", "TEA-BLACK"]
    assert queries.search(session, "tea", kind="addition") == []
    assert queries.count(session, "tea") == 3


@pytest.mark.parametrize(
    "code", ["", "new", "New", "options", ".", "..", "A/B", " A", "A · B", "Export.csv"]
)
def test_a_code_that_cannot_be_part_of_an_address_is_refused(code: str) -> None:
    assert not is_code(code)


def test_a_price_that_is_in_force_stays_and_one_to_come_can_be_taken_back(session: Any) -> None:
    product = ProductFactory(prices={"2026-01-01": "10", "2026-06-01": "12"})
    session.commit()
    ids = {p.effective_from.month: p.id for p in session.query(ProductPrice)}
    with pytest.raises(actions.PriceInForceKept, match="2026-01-01"):
        actions.remove_price(session, product, ids[1], date(2026, 1, 1))
    actions.remove_price(session, product, ids[6], date(2026, 5, 31))
    actions.remove_price(session, product, ids[6], date(2026, 5, 31))
    session.commit()
    assert [price.id for price in product.prices] == [ids[1]]
