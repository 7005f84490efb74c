"""The behaviour of every list: its address, its columns, its totals, its pages, its statements."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event, select

from backoffice.app.extensions import db
from backoffice.customers.models import Customer
from backoffice.lists import Choice, Column, List, Search, containing, screens, state_of
from backoffice.lists.joins import prune_joins
from backoffice.lists.queries import matching
from backoffice.orders.listing import ORDERS
from backoffice.orders.models import Order
from backoffice.people.models import User
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory, UserFactory
from tests.orders.pages import text_of

SignIn = Callable[..., FlaskClient]


@contextmanager
def statements() -> Iterator[list[str]]:
    """The statements sent to the database inside the block."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        asked.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def orders(session: Any, count: int) -> None:
    customer, manager = CustomerFactory(), AccountManagerFactory()
    for _ in range(count):
        OrderFactory(customer=customer, account_manager=manager)
    session.commit()


@pytest.mark.parametrize("cost", [0.0, 1e9])
def test_the_number_of_statements_does_not_follow_the_number_of_rows(
    sign_in: SignIn, session: Any, monkeypatch: pytest.MonkeyPatch, cost: float
) -> None:
    monkeypatch.setattr(screens, "COSTLY", cost)
    client = sign_in("finance")
    orders(session, 3)
    counts = []
    for more in (0, 60, 120):
        orders(session, more)
        for path in ("/orders", "/orders?page=2", "/orders?q=SO&sort=customer&state=open"):
            client.get(path)
            with statements() as asked:
                assert client.get(path).status_code == 200
            if "page=2" not in path or more:
                counts.append(len(asked))
    assert len(set(counts)) == 1
    assert counts[0] <= 7  # the seventh checks for open findings on the shown figures


def test_totals_that_take_long_follow_by_themselves_or_by_their_link(
    sign_in: SignIn, session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders(session, 60)
    client = sign_in("finance")
    monkeypatch.setattr(screens, "COSTLY", 0.0)
    page = client.get("/orders?state=open&page=2")
    assert "558,000,000.00" not in page.text
    assert "Rows 51–60" in text_of(page.text)
    assert 'hx-get="/orders?state=open&amp;totals=1"' in page.text
    assert 'href="/orders?state=open&amp;totals=1&amp;page=2"' in page.text
    follows = client.get("/orders?state=open&totals=1", headers={"HX-Request": "true"})
    assert follows.text.strip().startswith("<tfoot")
    assert "60 orders" in text_of(follows.text)
    assert "558,000,000.00" in follows.text
    linked = text_of(client.get("/orders?state=open&totals=1&page=2").text)
    assert "558,000,000.00" in linked
    assert "51–60 of 60" in linked


def test_an_account_managers_totals_are_of_their_own_rows(sign_in: SignIn, session: Any) -> None:
    nancy = AccountManagerFactory()
    OrderFactory(account_manager=nancy)
    orders(session, 5)
    page = text_of(sign_in(nancy).get("/orders").text)
    assert "1 order · Rp" in page
    assert "9,300,000.00" in page
    assert "6 orders" in text_of(sign_in("viewer").get("/orders").text)
    theirs = sign_in(nancy).get("/orders", query_string={"manager": nancy.id + 1})
    assert "No order fits that" in text_of(theirs.text)


def test_every_total_leads_to_the_rows_behind_it(sign_in: SignIn, session: Any) -> None:
    orders(session, 2)
    page = sign_in("finance").get("/orders?state=open").text
    for name in ("total_price", "additions", "promo", "reductions", "grand_total"):
        assert f'href="/orders?state=open&amp;sort=-{name}"' in page


def heads(html: str) -> list[str]:
    return [
        part.split("<")[0].strip()
        for part in html.split('class="sort"')[1:]
        for part in [part.split(">", 1)[1]]
    ]


def test_columns_are_chosen_in_the_address_in_their_order(sign_in: SignIn, session: Any) -> None:
    orders(session, 1)
    client = sign_in("finance")
    assert heads(client.get("/orders?columns=grand_total,number,updated_at").text) == [
        "Grand total", "Number", "Last change",
    ]  # fmt: skip
    assert heads(client.get("/orders?columns=number&columns=manager").text) == [
        "Number", "Account manager",
    ]  # fmt: skip
    assert "Grand total" in heads(client.get("/orders?columns=nothing,;--").text)
    page = client.get("/orders?columns=number,manager,customer&state=open").text
    assert (
        "columns=manager%2Cnumber%2Ccustomer" in page or "columns=manager,number,customer" in page
    )


def test_a_list_without_its_link_column_still_leads_to_its_rows(
    sign_in: SignIn, session: Any
) -> None:
    orders(session, 1)
    page = sign_in("finance").get("/orders?columns=customer,grand_total").text
    assert 'class="row-link" href="/orders/SO-' in " ".join(page.split())


@pytest.mark.parametrize(
    "query",
    [
        {"sort": "grand_total; DROP TABLE orders"},
        {"sort": "-version"},
        {"sort": "__class__"},
        {"columns": "id,password_hash"},
        {"q": "'; DELETE FROM orders; --"},
        {"q": "%(x)s %s \\"},
        {"q": "\0"},
        {"state": "open' OR true --"},
        {"manager": "1 OR 1=1"},
        {"manager": "9" * 30},
        {"since": "2026-13-01", "until": "0000-00-00"},
        {"page": "0"},
        {"page": "999999"},
        {"page": "١"},
        {"print": "1"},
        {"all": "1", "totals": "x"},
    ],
)
def test_no_address_breaks_or_opens_anything(
    sign_in: SignIn, session: Any, query: dict[str, str]
) -> None:
    orders(session, 2)
    client = sign_in("finance")
    page = client.get("/orders", query_string=query)
    assert page.status_code == 200
    assert ">password_hash" not in page.text
    assert "argon2" not in page.text
    assert client.get("/orders/export.csv", query_string=query).status_code == 200
    assert session.query(Order).count() == 2


def test_the_printed_page_holds_the_whole_filter(
    sign_in: SignIn, session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders(session, 60)
    client = sign_in("finance", name="Fitri")
    page = client.get("/orders?print=1&state=open").text
    assert page.count("row-link") == 60
    assert "Filter: Status: Open · Fitri ·" in text_of(page)
    assert 'name="id"' not in page
    monkeypatch.setattr(screens, "MOST_PRINTED", 7)
    assert "These are the first 7 of 60 rows." in text_of(client.get("/orders?print=1").text)


def test_a_list_that_contradicts_itself_is_refused_at_once() -> None:
    def declared(**changes: Any) -> List:
        given: dict[str, Any] = {
            "rows": lambda user: select(Order.id),
            "key": Order.id,
            "columns": (Column("number", "Number", Order.number),),
            "default_sort": "number",
        }
        return List("orders", "Orders", "orders.index", **given | changes)

    assert declared().default_columns == ("number",)
    with pytest.raises(ValueError, match="cannot be sorted"):
        declared(default_sort="-version")
    with pytest.raises(ValueError, match="two things"):
        declared(columns=(Column("number", "A", Order.number), Column("number", "B", Order.id)))
    with pytest.raises(ValueError, match="two things"):
        declared(filters=(Search("page", "Search", containing(Order.number)),))
    with pytest.raises(ValueError, match="two things"):
        declared(
            filters=(
                Search("q", "Search", containing(Order.number)),
                Choice("q", "Status", {}),
            )
        )


def test_the_state_of_a_list_goes_round_through_its_address() -> None:
    address = {
        "q": "futter", "manager": "7", "state": "open", "since": "2026-01-01",
        "closed_until": "2026-03-31", "sort": "-customer", "columns": "number,customer",
    }  # fmt: skip
    state = state_of(ORDERS, address)
    assert state.as_query == address
    assert state_of(ORDERS, state.as_query) == state


def test_the_page_beyond_the_last_is_the_last(sign_in: SignIn, session: Any) -> None:
    orders(session, 51)
    page = text_of(sign_in("finance").get("/orders?page=40").text)
    assert "51–51 of 51" in page


def test_paging_shows_every_row_once(sign_in: SignIn, session: Any) -> None:
    manager = AccountManagerFactory()
    for n in range(120):
        OrderFactory(
            number=f"P-{n:03}", account_manager=manager, order_date=date(2026, 1, 1 + n % 3)
        )
    session.commit()
    client = sign_in("finance")
    seen = []
    for number in (1, 2, 3):
        html = client.get("/orders", query_string={"page": number, "sort": "order_date"}).text
        seen += [part[:5] for part in html.split("/orders/P-")[1:]]
    assert len(seen) == len(set(seen)) == 120


def test_a_join_that_nobody_needs_is_left_out_and_one_that_adds_rows_is_not() -> None:
    decorated = select().select_from(Order).outerjoin(Order.customer).outerjoin(User)
    plain = str(prune_joins(decorated, [Order.id], [Order.order_date.desc(), Order.id]))
    assert "JOIN" not in plain
    assert plain.endswith("ORDER BY orders.order_date DESC, orders.id")
    assert str(prune_joins(decorated, [Order.id, Customer.name])).count("JOIN") == 1
    assert str(prune_joins(decorated.where(User.name == "Nancy"), [Order.id])).count("JOIN") == 2
    with_lines = select().select_from(Order).outerjoin(Order.lines)
    assert "JOIN" in str(prune_joins(with_lines, [Order.id]))
    assert "JOIN" in str(prune_joins(select().select_from(Order).join(Order.customer), [Order.id]))


def test_lean_or_not_the_rows_are_the_same(sign_in: SignIn, session: Any) -> None:
    orders(session, 7)
    user = UserFactory(role="viewer")
    for query in ({}, {"q": "SO"}, {"state": "open"}, {"customer": "C"}):
        rows = matching(user, state_of(ORDERS, query))
        whole = session.scalars(rows.with_only_columns(Order.id).order_by(Order.id)).all()
        assert session.scalars(prune_joins(rows, [Order.id], [Order.id])).all() == whole


@pytest.mark.parametrize(
    ("page", "new"),
    [
        ("/customers", "/customers/new"),
        ("/products", "/products/new"),
        ("/billing/meters", "/billing/meters/new"),
        ("/billing/invoices", "/billing/invoices/new"),
        ("/billing/payments", "/billing/payments/new"),
    ],
)
def test_n_leads_to_the_lists_own_new(sign_in: SignIn, page: str, new: str) -> None:
    reported = sign_in("finance").get(page).text.partition("<main")[2]
    assert re.findall(r'href="([^"]+)"\s+data-key="n"', reported) == [new]
