"""Addresses that are kept: each is the one that would be built anew."""

import pytest
from flask import Flask, url_for

from backoffice.app import edge


def test_values_that_are_equal_but_written_otherwise_have_their_own_address(app: Flask) -> None:
    values = (1, True, "1", 1.0, "1 & 2", ["1", "2"], None)
    with app.test_request_context("/orders"):
        first = [url_for("orders.index", q=value) for value in values]
        again = [url_for("orders.index", q=value) for value in values]
    assert first == again
    assert first == [
        "/orders?q=1", "/orders?q=True", "/orders?q=1", "/orders?q=1.0", "/orders?q=1+%26+2",
        "/orders?q=1&q=2", "/orders",
    ]  # fmt: skip


def test_arguments_stay_in_the_order_in_which_they_are_given(app: Flask) -> None:
    with app.test_request_context("/orders"):
        assert url_for("orders.index", q="a", sort="b") == "/orders?q=a&sort=b"
        assert url_for("orders.index", sort="b", q="a") == "/orders?sort=b&q=a"


def test_an_address_belongs_to_its_place_page_and_purpose(app: Flask) -> None:
    for root in ("", "/office", ""):
        with app.test_request_context("/orders", environ_overrides={"SCRIPT_NAME": root}):
            assert url_for("orders.index") == f"{root}/orders"
            assert url_for("orders.index", _anchor="main") == f"{root}/orders#main"
            assert url_for("orders.index", _external=True) == f"http://localhost{root}/orders"
    for page, address in (("/orders", "/orders"), ("/customers", "/customers")):
        with app.test_request_context(page):
            assert url_for(".index") == address


def test_only_so_many_are_kept(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "MOST_ADDRESSES", 3)
    with app.test_request_context("/orders"):
        found = [url_for("orders.index", page=number) for number in range(20)]
    assert found == [f"/orders?page={number}" for number in range(20)]
    assert isinstance(app, edge.Backoffice)
    assert len(app._addresses) <= 3


def test_where_to_go_on_to_does_not_fill_the_memory(app: Flask) -> None:
    assert isinstance(app, edge.Backoffice)
    app._addresses.clear()
    with app.test_request_context("/orders"):
        found = [url_for("people.login", next=f"/orders?q={'x' * 300}{n}") for n in range(3)]
    assert len(set(found)) == 3
    assert not app._addresses
