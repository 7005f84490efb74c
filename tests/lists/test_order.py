"""A list's order: rows without the value come last, and paging from any row skips none."""

import sys
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from flask import Flask
from flask_login import login_user
from sqlalchemy import Select, select

from backoffice.billing.ageing.views import _by_customer, _by_meter
from backoffice.customers.listing import customers_for
from backoffice.customers.models import Customer
from backoffice.lists import List, neighbours, state_of
from backoffice.lists.joins import froms_of, may_lack
from backoffice.lists.queries import after, matching, page_of
from backoffice.orders.models import Order
from backoffice.people.models import User
from tests.drift.whole_book import write_everything
from tests.factories.billing import InvoiceFactory, MeterFactory, PaymentFactory
from tests.factories.customers import CustomerFactory
from tests.factories.ledger import AccountFactory
from tests.signing_in import someone


@pytest.fixture
def book(session: Any) -> None:
    """One record of everything, and meters, invoices, payments and accounts without their optional references."""
    write_everything()
    for number in range(3):
        meter = MeterFactory(number=f"M-FREE-{number}")
        customer = CustomerFactory()
        InvoiceFactory(number=f"INV-FREE-{number}", customer=customer, meter=None)
        InvoiceFactory(number=f"INV-THEIRS-{number}", customer=customer, meter=meter)
        PaymentFactory(reference=f"PAY-FREE-{number}", customer=customer)
        AccountFactory(code=f"900{number}")
    session.commit()


def every_list() -> Iterator[List]:
    """The lists that modules declare, and those that functions build by the user's rights."""
    found = {
        id(value): value
        for name, module in list(sys.modules.items())
        if name.startswith("backoffice.")
        for value in vars(module).values()
        if isinstance(value, List)
    }
    yield from found.values()
    yield _by_customer(date(2026, 11, 1))
    yield _by_meter(date(2026, 11, 1))


def walked(session: Any, user: Any, listing: List, sort: str) -> None:
    """Compare the page with the rows that follow each other: forwards, backwards and by cursor."""
    state = state_of(listing, {"sort": sort})
    rows, _more = page_of(session, user, state, 1, 1_000)
    keys = [row.key for row in rows]
    value = listing.expression(sort.removeprefix("-"))
    of_rows = listing.rows(user).with_only_columns(listing.key, value)
    values = dict(session.execute(of_rows).all())
    lacking = [values[key] is None for key in keys]
    assert lacking == sorted(lacking), f"{listing.name} by {sort}: rows without a value come last"
    for place, key in enumerate(keys):
        beside = (
            keys[place - 1] if place else None,
            keys[place + 1] if place + 1 < len(keys) else None,
        )
        assert neighbours(session, user, state, key, listing.key) == beside, (listing.name, sort)
        following: Select[Any] = matching(user, state).with_only_columns(listing.key)
        found = session.scalars(after(following, state, values[key], key)).all()
        assert found == keys[place + 1 :], (listing.name, sort)


@pytest.mark.slow
def test_of_every_list_by_every_column_each_row_is_followed_by_the_next(
    app: Flask, session: Any, book: None
) -> None:
    user_id = someone(app, "admin")
    with app.test_request_context("/"):
        login_user(session.get(User, user_id))
        user = session.get(User, user_id)
        lists = [*every_list(), customers_for(user)]
        assert {"meters", "invoices", "payments", "accounts", "ageing"} <= {
            each.name for each in lists
        }
        for listing in lists:
            for column in sorted(listing.sorts):
                walked(session, user, listing, column)
                walked(session, user, listing, f"-{column}")


def test_an_order_that_an_index_gives_is_asked_for_as_it_is() -> None:
    rows = select().select_from(Order).outerjoin(Order.customer)
    assert not may_lack(rows, Order.order_date.expression)
    assert not may_lack(rows, Customer.name.expression), "every order has a customer"
    assert may_lack(rows, Order.closing_date.expression)


def test_what_every_list_selects_from_is_what_sqlalchemy_compiles(app: Flask, session: Any) -> None:
    user_id = someone(app, "admin")
    with app.test_request_context("/"):
        login_user(session.get(User, user_id))
        user = session.get(User, user_id)
        asked = [(each.name, each.rows(user).with_only_columns(each.key)) for each in every_list()]
        assert len(asked) > 20
        for name, rows in asked:
            assert [*map(str, froms_of(rows))] == [*map(str, rows.get_final_froms())], name
