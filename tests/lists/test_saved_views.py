"""A saved view is a list's address under a name; users see only their own."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from backoffice.lists import actions
from backoffice.lists.models import SavedView
from tests.factories.orders import OrderFactory
from tests.factories.people import UserFactory
from tests.orders.pages import text_of

SignIn = Callable[..., FlaskClient]


def save(client: FlaskClient, name: str, query: str = "state=open", **more: Any) -> Any:
    typed = {"listing": "orders", "name": name, "query": query, "next": "/orders"} | more
    return client.post("/lists/views", data=typed)


@pytest.fixture
def finance(sign_in: SignIn, session: Any) -> FlaskClient:
    """A finance user, and an order."""
    OrderFactory(number="A-1")
    session.commit()
    return sign_in("finance")


def only(session: Any) -> SavedView:
    session.rollback()
    return session.query(SavedView).one()


def test_a_view_is_saved_and_opened(finance: FlaskClient, session: Any) -> None:
    page = finance.get(
        "/orders?state=open&sort=-grand_total&columns=number,grand_total&page=1"
    ).text
    assert (
        'name="query" value="state=open&amp;sort=-grand_total&amp;columns=number%2Cgrand_total"'
        in (" ".join(page.split()))
    )
    done = save(finance, "  Open   ones ", "state=open&sort=-grand_total")
    assert (done.status_code, done.location) == (303, "/orders?state=open&sort=-grand_total")
    reported = text_of(finance.get(done.location).text)
    assert "The view Open ones is saved." in reported
    plain = " ".join(finance.get("/orders").text.split())
    assert '<a href="/orders?state=open&amp;sort=-grand_total">Open ones</a>' in plain
    here = " ".join(finance.get(done.location).text.split())
    assert 'sort=-grand_total" aria-current="true">Open ones</a>' in here


def test_a_list_begins_with_the_default_view_and_can_still_be_seen_whole(
    finance: FlaskClient, session: Any
) -> None:
    save(finance, "Open", "state=open", is_default="y")
    assert finance.get("/orders").location == "/orders?state=open"
    whole = finance.get("/orders?all=1")
    assert whole.status_code == 200
    page = finance.get("/orders?state=closed").text
    assert 'href="/orders?all=1"' in page
    assert finance.get("/orders?q=A").status_code == 200


@pytest.mark.parametrize(
    ("asked", "way_back"),
    [("q=&state=&print=1", "Back to the list"), ("all=1&columns=number", "As usual")],
)
def test_whoever_sees_the_whole_list_is_led_back_to_it_and_not_to_the_default_view(
    finance: FlaskClient, session: Any, asked: str, way_back: str
) -> None:
    save(finance, "Open", "state=open", is_default="y")
    page = finance.get(f"/orders?{asked}").text
    [there] = [
        href
        for href, words in re.findall(r'<a [^>]*?href="([^"]*)"[^>]*>(.*?)</a>', page, re.DOTALL)
        if way_back in words
    ]
    assert there == "/orders?all=1"


def test_a_list_begins_with_one_view_at_most(finance: FlaskClient, session: Any) -> None:
    save(finance, "Open", "state=open", is_default="y")
    save(finance, "Closed", "state=closed", is_default="y")
    assert finance.get("/orders").location == "/orders?state=closed"
    assert {v.name: v.is_default for v in session.query(SavedView)} == {
        "Open": False,
        "Closed": True,
    }


def test_a_view_is_renamed_given_new_content_and_deleted(
    finance: FlaskClient, session: Any
) -> None:
    save(finance, "Open")
    path = f"/lists/views/{only(session).id}"
    page = text_of(finance.get(f"{path}?query=q%3DA&next=/orders").text)
    assert "Show what the list showed just now" in page
    assert "Show what the list" not in text_of(finance.get(f"{path}?query=state%3Dopen").text)
    typed = {"name": "Mine", "query": "q=A", "next": "/orders"}
    assert finance.post(path, data=typed).location == "/orders?state=open"
    assert (only(session).name, only(session).query) == ("Mine", "state=open")
    assert finance.post(path, data=typed | {"is_replaced": "y"}).location == "/orders?q=A"
    assert only(session).query == "q=A"
    assert finance.post(f"{path}/delete", data={"next": "/orders"}).location == "/orders"
    session.rollback()
    assert session.query(SavedView).count() == 0


def test_two_views_of_a_list_cannot_share_a_name(finance: FlaskClient, session: Any) -> None:
    save(finance, "Open")
    again = save(finance, "Open", "state=closed")
    assert again.status_code == 422
    assert "You already have a view Open of this list." in text_of(again.text)
    assert 'value="state=closed"' in again.text
    assert only(session).query == "state=open"
    assert save(finance, "Open", listing="customers").status_code == 303


@pytest.mark.parametrize("name", ["", "   ", "x" * 61, "\u3164", "..."])
def test_a_view_has_a_name_that_one_can_read(finance: FlaskClient, session: Any, name: str) -> None:
    assert save(finance, name).status_code == 422
    session.rollback()
    assert session.query(SavedView).count() == 0


def test_another_users_view_does_not_exist(
    finance: FlaskClient, sign_in: SignIn, session: Any
) -> None:
    save(finance, "Open", is_default="y")
    path = f"/lists/views/{only(session).id}"
    stranger = sign_in("admin")
    assert stranger.get(path).status_code == 404
    assert stranger.post(path, data={"name": "Theirs"}).status_code == 404
    assert stranger.post(f"{path}/delete").status_code == 404
    assert stranger.get("/orders").status_code == 200
    assert "Open ones" not in stranger.get("/orders").text
    assert only(session).name == "Open"
    assert save(stranger, "Open").status_code == 303


def test_a_view_leads_nowhere_else(finance: FlaskClient, session: Any) -> None:
    done = save(finance, "Evil", "state=open", next="https://evil.example/")
    assert done.location.startswith("/")
    assert "evil" not in done.location


def test_what_a_view_asks_for_is_read_like_any_address(finance: FlaskClient, session: Any) -> None:
    save(finance, "Odd", "state=open&sort=id;drop&columns=nothing&x=<script>")
    page = " ".join(finance.get("/orders").text.split())
    assert '<a href="/orders?state=open">Odd</a>' in page
    assert "<script>" not in page.replace("<script src", "")


def test_there_is_an_end_to_views(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    user = UserFactory()
    monkeypatch.setattr(actions, "MOST_VIEWS", 2)
    for name in ("a", "b"):
        actions.save_view(session(), user.id, "orders", name, "", is_default=False)
    with pytest.raises(actions.TooManyViews):
        actions.save_view(session(), user.id, "orders", "c", "", is_default=False)
    session.rollback()
