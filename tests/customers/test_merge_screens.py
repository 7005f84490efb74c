"""The screens of merging: the preview, choosing facts, an outdated preview, a repeated form, undoing."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from backoffice.customers.models import Customer, CustomerMerge
from backoffice.orders.models import Order
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.orders.pages import filled, text_of

from .desk import fields_of, form

SignIn = Callable[..., FlaskClient]

MERGE = "/customers/merge"
PAIR = f"{MERGE}?survivor=A&duplicate=B"


@pytest.fixture
def pair(session: Any) -> None:
    """A with one order of 100; B with orders of 20 and 3, and a city that A lacks."""
    a = CustomerFactory(code="A", name="Maju Jaya", city="", phone="021 1")
    b = CustomerFactory(code="B", name="PT Maju Jaya", city="Bandung", phone="")
    for number, owner, total in (("SO-1", a, 100), ("SO-2", b, 20), ("SO-3", b, 3)):
        OrderFactory(
            number=number, customer=owner, total_price=total, additions=0, promo=0, reductions=0
        )
    session.commit()


def owners(session: Any) -> dict[str, str]:
    session.rollback()
    return dict(session.execute(select(Order.number, Customer.code).join(Order.customer)).all())


def stored(session: Any, code: str) -> Customer:
    session.rollback()
    found: Customer = session.scalars(
        select(Customer).filter_by(code=code).execution_options(populate_existing=True)
    ).one()
    return found


@pytest.mark.usefixtures("pair")
def test_the_preview_shows_before_and_after_and_saves_nothing(
    sign_in: SignIn, session: Any
) -> None:
    page = text_of(sign_in("finance").get(PAIR).text)
    assert "A · Maju Jaya 1 3 Rp 100.00 Rp 123.00" in page
    assert "B · PT Maju Jaya 2 0 Rp 23.00 Rp 0.00" in page
    assert "SO-3" in page
    assert owners(session) == {"SO-1": "A", "SO-2": "B", "SO-3": "B"}
    fields = form(sign_in("finance"), PAIR, MERGE)
    chosen = {name: value for name, value in fields.items() if name.startswith("take-")}
    assert chosen == {"take-name": "survivor", "take-city": "duplicate", "take-phone": "survivor"}


@pytest.mark.usefixtures("pair")
@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("survivor=A&duplicate=A", "That is the same customer twice."),
        ("survivor=A&duplicate=nobody", "No customer is called that."),
        ("survivor=A&duplicate=maju", "Several customers fit that."),
    ],
)
def test_a_pair_that_cannot_be_merged_is_said_at_once(
    sign_in: SignIn, query: str, sentence: str
) -> None:
    page = sign_in("finance").get(f"{MERGE}?{query}")
    assert page.status_code == 422
    assert sentence in page.text
    assert "digest" not in page.text


@pytest.mark.usefixtures("pair")
def test_merging_takes_the_chosen_facts_and_acts_once(sign_in: SignIn, session: Any) -> None:
    browser = sign_in("finance")
    typed = form(browser, PAIR, MERGE, **{"take-name": "duplicate"})
    for _ in range(2):
        merged = browser.post(MERGE, data=typed)
        assert (merged.status_code, merged.location) == (303, "/customers/A")
    survivor = stored(session, "A")
    assert (survivor.name, survivor.city, survivor.phone) == ("PT Maju Jaya", "Bandung", "021 1")
    assert set(owners(session).values()) == {"A"}
    assert session.query(CustomerMerge).count() == 1
    page = text_of(browser.get("/customers/A").text)
    assert "B · PT Maju Jaya is merged into A · PT Maju Jaya." in page
    assert "Merged into this customer" in page
    assert "123.00" in page


@pytest.mark.usefixtures("pair")
def test_a_preview_that_is_outdated_is_shown_anew_with_the_choices_kept(
    sign_in: SignIn, session: Any
) -> None:
    browser = sign_in("finance")
    typed = form(browser, PAIR, MERGE, **{"take-name": "duplicate", "take-city": "survivor"})
    OrderFactory(
        number="SO-4", customer=stored(session, "B"), total_price=7, additions=0, promo=0, reductions=0
    )  # fmt: skip
    session.commit()
    answer = browser.post(MERGE, data=typed)
    assert answer.status_code == 409
    assert "Nothing was merged" in answer.text
    assert "B · PT Maju Jaya 3 0 Rp 30.00 Rp 0.00" in text_of(answer.text)
    again = fields_of(answer.text, MERGE)
    assert (again["take-name"], again["take-city"]) == ("duplicate", "survivor")
    assert browser.post(MERGE, data=again).status_code == 303
    assert stored(session, "A").city == ""
    assert set(owners(session).values()) == {"A"}


@pytest.mark.usefixtures("pair")
def test_the_old_code_leads_to_the_survivor_wherever_it_is_typed(
    sign_in: SignIn, session: Any
) -> None:
    browser = sign_in("finance")
    browser.post(MERGE, data=form(browser, PAIR, MERGE))
    found = browser.get("/customers/B")
    assert (found.status_code, found.location) == (302, "/customers/A?was=B")
    assert "B was merged into this customer." in browser.get(found.location).text
    assert "was merged into this" not in browser.get("/customers/A?was=X").text
    for page in ("edit", "history", "delete"):
        assert browser.get(f"/customers/B/{page}").status_code == 404
    for typed in ("B", "B · PT Maju Jaya"):
        order = filled(browser, "/orders/SO-1/edit", customer=typed, promo="1")
        assert browser.post("/orders/SO-1/edit", data=order).status_code == 303
    assert set(owners(session).values()) == {"A"}
    assert "PT Maju Jaya" not in browser.get("/customers").text
    assert "PT Maju Jaya" not in browser.get("/customers/options?customer=maju").text
    taken = browser.post("/customers/new", data=form(browser, "/customers/new", code="B", name="X"))
    assert "There is already a customer B." in taken.text


@pytest.mark.usefixtures("pair")
def test_a_form_that_was_open_during_the_merge_conflicts_and_names_the_survivor(
    sign_in: SignIn, session: Any
) -> None:
    browser, other = sign_in("finance"), sign_in("finance")
    opened = filled(other, "/orders/SO-2/edit", promo="1")
    entered = filled(other, "/orders/new", number="SO-9", customer="B · PT Maju Jaya")
    entered["account_manager"] = opened["account_manager"]
    browser.post(MERGE, data=form(browser, PAIR, MERGE))
    conflict = other.post("/orders/SO-2/edit", data=opened)
    assert conflict.status_code == 409
    assert "A · Maju Jaya" in conflict.text
    assert other.post("/orders/new", data=entered).status_code == 303
    assert owners(session) == {"SO-1": "A", "SO-2": "A", "SO-3": "A", "SO-9": "A"}


@pytest.mark.usefixtures("pair")
def test_who_has_others_merged_into_it_is_not_deleted(sign_in: SignIn, session: Any) -> None:
    session.query(Order).delete()
    session.commit()
    browser = sign_in("finance")
    browser.post(MERGE, data=form(browser, PAIR, MERGE))
    refused = browser.get("/customers/A/delete")
    assert refused.status_code == 422
    assert "because others were merged into it" in text_of(refused.text)
    assert stored(session, "A").id
