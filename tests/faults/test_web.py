"""FAULTS.md, lines 44 and 55: hostile or careless HTTP requests."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict

from backoffice.orders.rules import is_number
from backoffice.records.lines import MOST_LINES, MOST_ROWS
from tests.factories.orders import OrderFactory
from tests.orders.pages import filled

SignIn = Callable[..., FlaskClient]

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}


def rows(count: int) -> MultiDict[str, str]:
    """A form that contains only rows of lines."""
    names = (f"lines-{index}-kind" for index in range(count))
    given = [("idempotency_key", "k"), ("itemised", "package")]
    return MultiDict([*given, *((name, "package") for name in names)])


@pytest.mark.parametrize("host", ["x" * 300, "a" * 64 + ".example", "evil..example"])
@pytest.mark.parametrize("path", ["/", "/login", "/orders", "/nowhere"])
def test_a_host_that_cannot_be_one_is_a_bad_request(
    client: FlaskClient, host: str, path: str
) -> None:
    answer = client.get(path, headers={"Host": host})
    assert answer.status_code == 400
    assert host not in answer.text


@pytest.mark.parametrize("path", ["/orders/preview", "/orders/new", "/orders/new?do=recalculate"])
def test_rows_beyond_what_anybody_types_are_refused_before_work_is_done_on_them(
    sign_in: SignIn, path: str
) -> None:
    """9,990 rows kept a thread busy for ten seconds, and the response had six megabytes."""
    answer = sign_in("finance").post(path, data=rows(MOST_ROWS + 1), headers=HTMX)
    assert answer.status_code == 413
    assert len(answer.data) < 1_000
    assert "HX-Trigger" in answer.headers


def test_an_order_of_the_most_rows_still_gets_its_form_back(sign_in: SignIn) -> None:
    answer = sign_in("finance").post("/orders/new?do=recalculate", data=rows(MOST_ROWS))
    assert answer.status_code == 200
    assert answer.text.count("data-row") == MOST_ROWS


@pytest.mark.parametrize(("count", "status"), [(MOST_LINES, 200), (MOST_LINES + 1, 422)])
def test_a_block_too_long_to_paste_is_refused_whole_not_cut_off(
    sign_in: SignIn, count: int, status: int
) -> None:
    """Rows 501 and later used to be dropped silently."""
    client = sign_in("finance")
    block = "Tea\t1\t2\n" * count
    typed = filled(client, "/orders/new", block=block, row="0", column="description")
    answer = client.post("/orders/new?do=paste&kind=package", data=typed, headers=HTMX)
    assert answer.status_code == status
    assert answer.text.count("data-row") == (count if status == 200 else 0)
    if status == 422:
        assert "The form shows at most 500 lines." in answer.text
        assert answer.headers["HX-Reswap"] == "none"


def test_an_order_cannot_be_called_like_a_page_of_another_one(
    sign_in: SignIn, session: Any
) -> None:
    """An order 1/calculation/2 could be saved, and its page was not found."""
    assert not is_number("1/calculation/2")
    assert not is_number("1/calculation/amount/2")
    assert not is_number("export.1")
    OrderFactory(number="calculation/2")
    session.commit()
    assert sign_in("finance").get("/orders/calculation/2").status_code == 200
