"""The screens of customers: list, record, form, history, deleting."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from backoffice.customers.models import Customer
from tests.factories.billing import MeterAssignmentFactory
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory
from tests.orders.pages import text_of

from .desk import form

SignIn = Callable[..., FlaskClient]
HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}


@pytest.fixture
def company(session: Any) -> dict[str, Any]:
    """Alfreds with three orders of two managers, one of them closed; Berglunds with none."""
    alfreds = CustomerFactory(
        code="ALFKI", name="Alfreds Futterkiste", city="Berlin", country="Germany", phone="030-0074321"
    )  # fmt: skip
    CustomerFactory(code="BERGS", name="Berglunds snabbköp", city="Luleå", country="Sweden")
    nancy, andrew = AccountManagerFactory(name="Nancy"), AccountManagerFactory(name="Andrew")
    common = {"customer": alfreds, "additions": 0, "promo": 0, "reductions": 0}
    OrderFactory(number="SO-1", account_manager=nancy, total_price=100, **common)
    OrderFactory(
        number="SO-2", account_manager=nancy, total_price=20, closing_date="2026-03-31", **common
    )
    OrderFactory(number="SO-3", account_manager=andrew, total_price=3, **common)
    session.commit()
    return {"nancy": nancy, "andrew": andrew, "alfreds": alfreds}


def row_of(html: str, code: str) -> str:
    """The text of the list's row with that code."""
    rows = re.findall(r"<tr>.*?</tr>", html, re.DOTALL)
    return text_of(next(row for row in rows if code in row))


# The list


def test_the_list_says_what_each_customer_comes_to_and_adds_it_up(
    sign_in: SignIn, company: dict[str, Any]
) -> None:
    shown = "name,code,city,country,orders,open_orders,revenue"
    page = sign_in("finance").get(f"/customers?totals=1&columns={shown}").text
    assert row_of(page, "ALFKI").endswith("Berlin Germany 3 2 123.00")
    assert row_of(page, "BERGS").endswith("Luleå Sweden 0 0 0.00")
    totals = text_of(page[page.index('<tfoot class="totals"') : page.index("</tfoot>")])
    assert totals == "2 customers · Rp 3 2 123.00"
    assert 'href="/orders?customer=ALFKI&amp;state=open"' in page


def test_an_account_manager_sees_their_own_orders_counted_and_no_others(
    sign_in: SignIn, company: dict[str, Any]
) -> None:
    assert row_of(sign_in(company["nancy"]).get("/customers").text, "ALFKI").endswith("2 1 120.00")
    andrews = sign_in(company["andrew"])
    assert row_of(andrews.get("/customers").text, "ALFKI").endswith("1 1 3.00")
    assert "3.00" in andrews.get("/customers/export.csv").text
    assert "123" not in andrews.get("/customers/export.csv").text


@pytest.mark.parametrize(
    ("query", "codes"),
    [
        ("", ["ALFKI", "BERGS"]),
        ("sort=-name", ["BERGS", "ALFKI"]),
        ("sort=-revenue", ["ALFKI", "BERGS"]),
        ("sort=orders", ["BERGS", "ALFKI"]),
        ("q=LUL", ["BERGS"]),
        ("q=0074", ["ALFKI"]),
        ("q=zzz", []),
    ],
)
def test_the_list_is_sorted_and_searched(
    sign_in: SignIn, company: dict[str, Any], query: str, codes: list[str]
) -> None:
    page = sign_in("viewer").get(f"/customers?{query}")
    assert re.findall(r'cell-key" data-label="Code">(\w+)', page.text) == codes


def test_the_number_of_statements_does_not_depend_on_the_number_of_customers(
    sign_in: SignIn, session: Any, statements: Callable[[], Any]
) -> None:
    browser = sign_in("finance")
    CustomerFactory()
    session.commit()
    browser.get("/customers")
    with statements() as few:
        browser.get("/customers")
    for _ in range(60):
        OrderFactory(customer=CustomerFactory())
    session.commit()
    with statements() as many:
        browser.get("/customers")
    assert len(few) == len(many)


@pytest.mark.parametrize("query", ["q=Luleå", "totals=1"])
def test_the_list_answers_htmx_with_what_it_asks_for(
    sign_in: SignIn, company: dict[str, Any], query: str
) -> None:
    """The fragments of a list; the page only adds its buttons."""
    answer = sign_in("finance").get(f"/customers?{query}", headers=HTMX)
    assert answer.status_code == 200
    assert "<html" not in answer.text
    assert ("BERGS" in answer.text) == (query != "totals=1")
    assert "customer" in answer.text


def test_a_number_leads_to_the_orders_behind_it(sign_in: SignIn, company: dict[str, Any]) -> None:
    browser = sign_in("finance")
    orders = browser.get("/orders?customer=ALFKI&state=open").text
    assert "SO-1" in orders
    assert "SO-3" in orders
    assert "SO-2" not in orders


# The record


def test_the_record_shows_facts_and_orders(sign_in: SignIn, company: dict[str, Any]) -> None:
    page = text_of(sign_in("viewer").get("/customers/ALFKI").text)
    for shown in ("Alfreds Futterkiste", "030-0074321", "Berlin", "SO-1", "SO-2", "123.00"):
        assert shown in page
    assert "Edit" not in page


@pytest.mark.parametrize(
    ("query", "previous", "following"),
    [("", "BERGS", "CACTU"), ("?sort=-name", "CACTU", "BERGS"), ("?q=Berg", "BERGS", None),
     ("?sort=-revenue", "ALFKI", "CACTU")],
)  # fmt: skip
def test_the_next_and_previous_customers_are_those_of_the_list_that_one_came_from(
    sign_in: SignIn,
    session: Any,
    company: dict[str, Any],
    query: str,
    previous: str | None,
    following: str | None,
) -> None:
    for code, revenue in (("BERGT", 7), ("CACTU", 5)):
        OrderFactory(
            customer=CustomerFactory(code=code, name=f"{code.title()}"),
            total_price=revenue, additions=0, promo=0, reductions=0,
        )  # fmt: skip
    session.commit()
    page = sign_in("finance").get(f"/customers/BERGT{query}").text
    for relation, code in (("prev", previous), ("next", following)):
        found = re.search(rf'rel="{relation}"\s+data-key="."\s+href="/customers/(\w+)', page)
        assert (found and found[1]) == code


def test_the_pages_of_each_list_on_the_record_have_a_name_of_their_own(
    sign_in: SignIn, session: Any, company: dict[str, Any]
) -> None:
    MeterAssignmentFactory(customer=session.scalars(select(Customer).filter_by(code="ALFKI")).one())
    session.commit()
    page = sign_in("finance").get("/customers/ALFKI").text
    assert re.findall(r'pagination-bar"\s+aria-label="([^"]+)"', page) == [
        "Pages: Meters",
        "Pages: Orders",
    ]


# Entering and changing


def test_a_customer_is_entered(sign_in: SignIn, session: Any) -> None:
    browser = sign_in("finance")
    typed = form(browser, "/customers/new", code=" NEW/1 ", name="PT  Maju Jaya", phone="021 555")
    saved = browser.post("/customers/new", data=typed)
    assert (saved.status_code, saved.location) == (303, "/customers/NEW/1")
    stored = session.scalars(select(Customer)).one()
    assert (stored.code, stored.name, stored.phone) == ("NEW/1", "PT Maju Jaya", "021 555")
    assert stored.version == 1
    again = browser.post("/customers/new", data=typed)
    assert again.location == saved.location
    session.rollback()
    assert session.query(Customer).count() == 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"code": "export.csv"}, "cannot be part of a web address"),
        ({"name": "\u202e"}, "one can see"),
    ],
)
def test_what_cannot_be_saved_is_said_at_its_field_and_the_input_is_kept(
    sign_in: SignIn, session: Any, company: dict[str, Any], changes: dict[str, str], sentence: str
) -> None:
    browser = sign_in("finance")
    typed = form(browser, "/customers/new", code="OK", name="Fine", contact_name="Kept")
    for name, value in changes.items():
        typed[name] = value
    refused = browser.post("/customers/new", data=typed)
    assert refused.status_code == 422
    assert sentence in refused.text
    assert 'value="Kept"' in refused.text
    session.rollback()
    assert session.query(Customer).count() == 2


# Deleting


def test_a_customer_to_whom_something_belongs_is_kept_and_it_is_said_what(
    sign_in: SignIn, company: dict[str, Any]
) -> None:
    browser = sign_in("finance")
    page = browser.get("/customers/ALFKI/delete").text
    assert "3 orders belong to it" in page
    assert 'href="/customers/merge?duplicate=ALFKI"' in page


@pytest.mark.parametrize("who", ["viewer", "account_manager"])
def test_only_who_may_write_customers_is_offered_it(
    sign_in: SignIn, company: dict[str, Any], who: str
) -> None:
    browser = sign_in(who)
    for path in ("/customers/new", "/customers/ALFKI/edit", "/customers/ALFKI/delete",
                 "/customers/merge"):  # fmt: skip
        assert browser.get(path).status_code == 403
        assert browser.post(path).status_code in (403, 405)
    for path in ("/customers", "/customers/ALFKI"):
        page = browser.get(path).text
        assert "/customers/new" not in page
        assert "/edit" not in page
        assert "merge" not in page.replace("icons.svg#merge", "").lower()
