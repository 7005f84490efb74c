"""The grid of readings: many customers and one month, pasted blocks, unusual volumes, days that are taken."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from backoffice.customers.models import Customer
from backoffice.gas.entry import sheet, views
from backoffice.gas.entry.actions import is_unusual
from backoffice.gas.models import Reading
from tests.factories.customers import CustomerFactory
from tests.factories.gas import GasPriceFactory, ReadingFactory
from tests.gas import oracle
from tests.orders.pages import _Reader, text_of

SignIn = Callable[..., FlaskClient]
D = Decimal
AT = "/gas/entry"
Rows = Sequence[tuple[str, str, str]]


@pytest.fixture
def customers(session: Session) -> list[Customer]:
    """Three with a price; each was read twelve times in January, about 100 m³."""
    made = [CustomerFactory(code=f"G-{number}", name=f"Gas {number}") for number in range(1, 4)]
    for customer in made:
        GasPriceFactory(customer=customer)
        for day in range(12):
            ReadingFactory(
                customer=customer, read_on=date(2026, 1, 1) + timedelta(days=day),
                metered_volume=D(95 + day),
            )  # fmt: skip
    CustomerFactory(code="N-1")
    session.commit()
    return made


@pytest.fixture
def browser(sign_in: SignIn, customers: list[Customer]) -> FlaskClient:
    """Of a person of finance."""
    return sign_in("finance")


def grid(
    browser: FlaskClient, rows: Rows, month: str = "2026-02", **more: str
) -> MultiDict[str, Any]:
    """The grid's form with these rows typed into it."""
    reader = _Reader("entry-form")
    reader.feed(browser.get(f"{AT}?month={month}").text)
    typed = MultiDict(
        (name, value)
        for name, value in reader.fields.items(multi=True)
        if name not in ("customer", "day", "volume")
    )
    for cells in rows:
        for name, cell in zip(("customer", "day", "volume"), cells, strict=True):
            typed.add(name, cell)
    typed.update(more)
    return typed


def stored(session: Session) -> list[tuple[str, str, Decimal]]:
    """The readings of February."""
    session.rollback()
    found = select(Customer.code, Reading.read_on, Reading.metered_volume).join(Customer)
    rows = session.execute(found.where(Reading.read_on > date(2026, 1, 31)).order_by(Reading.id))
    return [(code, day.isoformat(), volume) for code, day, volume in rows]


def test_the_grid_opens_with_every_customer_who_has_a_price(browser: FlaskClient) -> None:
    page = browser.get(f"{AT}?month=2026-02").text
    assert page.count("data-row") == 3
    assert 'value="G-1"' in page
    assert 'value="2026-02-28"' in page
    assert "N-1" not in page
    assert browser.get(f"{AT}?q=Gas 2").text.count("data-row") == 1


def test_what_is_typed_is_saved_and_every_month_follows(
    browser: FlaskClient, session: Session, customers: list[Customer]
) -> None:
    rows = [("G-1", "2026-02-28", "120.5"), ("G-2", "2026-02-28", ""), ("G-3", "2026-02-27", "90")]
    answer = browser.post(AT, data=grid(browser, rows))
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{AT}?month=2026-02")
    assert stored(session) == [("G-1", "2026-02-28", D("120.5")), ("G-3", "2026-02-27", D(90))]
    for customer in customers:
        assert oracle.stored(session, customer.id) == oracle.expected(session, customer.id)


def test_the_same_form_twice_saves_once(browser: FlaskClient, session: Session) -> None:
    typed = grid(browser, [("G-1", "2026-02-28", "120")])
    for _time in range(2):
        assert browser.post(AT, data=typed).status_code == 303
    assert len(stored(session)) == 1


def test_totals_and_warnings_follow_what_is_typed_and_nothing_is_saved(
    browser: FlaskClient, session: Session
) -> None:
    rows = [
        ("G-1", "2026-02-28", "120.5"),
        ("G-2", "2026-02-28", "1,000"),
        ("G-3", "2026-02-28", "10"),
    ]
    answer = browser.post(f"{AT}/preview", data=grid(browser, rows))
    reader = _Reader("")
    reader.feed(answer.text)
    assert reader.outputs["entry-total"] == "1,130.5" + "3 readings"
    assert reader.outputs["note-0"] == ""
    assert reader.outputs["note-1"] == "Unusual: 100.5 m³ on the average."
    assert reader.outputs["note-2"] == "Unusual: 100.5 m³ on the average."
    assert "2 unusual readings are right" in text_of(answer.text)
    assert stored(session) == []


@pytest.mark.parametrize(
    ("volume", "is_far"), [("300", False), ("300.001", True), ("33.334", False), ("33.333", True)]
)
def test_a_volume_far_above_or_below_the_usual_one_is_unusual(volume: str, is_far: bool) -> None:
    assert is_unusual(D(volume), D(100)) is is_far


def test_what_is_unusual_is_saved_once_a_user_says_that_it_is_right(
    browser: FlaskClient, session: Session
) -> None:
    rows = [("G-1", "2026-02-28", "1,000")]
    refused = browser.post(AT, data=grid(browser, rows))
    assert refused.status_code == 422
    assert "look at what is unusual" in refused.text
    assert stored(session) == []
    ticked = tick(refused.text)
    more = [*rows, ("G-2", "2026-02-28", "2,000")]
    typed = grid(browser, more, anyway=ticked)
    preview = browser.post(f"{AT}/preview", data=typed).text
    assert ("2 unusual readings are right" in text_of(preview), "checked" in preview) == (
        True,
        False,
    )
    again = browser.post(AT, data=typed)
    assert (again.status_code, stored(session)) == (422, [])
    assert tick(again.text) == tick(preview) != ticked
    alone = grid(browser, [*rows, ("G-2", "2026-02-28", "99")], anyway=ticked)
    assert "checked" in browser.post(f"{AT}/preview", data=alone).text
    assert browser.post(AT, data=alone).status_code == 303
    assert [volume for _code, _day, volume in stored(session)] == [D(1000), D(99)]


def tick(page: str) -> str:
    """The value of the box that confirms the unusual rows."""
    return page.split('name="anyway"')[1].split('value="')[1].split('"', maxsplit=1)[0]


def test_a_grid_of_more_customers_says_so_and_who_was_read_and_is_searched_again(
    browser: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheet, "OFFERED", 2)
    monkeypatch.setattr(views, "OFFERED", 2)
    page = browser.get(f"{AT}?month=2026-01").text
    assert "The first 2 of 3 customers: search, or paste." in page
    assert page.count("12 readings, the last on 12 Jan 2026") == 2
    found = browser.get(f"{AT}?month=2026-02&q=Gas+2").text
    assert ("The first" in found, "the last on" in found) == (False, False)
    rows = [("G-2", "2026-02-27", "100")]
    typed = grid(browser, rows, "2026-02&q=Gas+2")
    address = browser.post(AT, data=typed).headers["Location"]
    assert address == f"{AT}?month=2026-02&q=Gas+2"
    assert "Read on 27 Feb 2026" in browser.get(address).text


@pytest.mark.parametrize(
    ("row", "cell", "sentence"),
    [
        (("G-1", "2026-01-05", "100"), "day-0", "There is already a reading on 5 Jan 2026: 99 m³. Change that one."),
        (("G-9", "2026-01-15", "100"), "customer-0", "There is no customer of this code."),
        (("G-1", "2026-02-01", "100"), "day-0", "This day is not in January 2026."),
        (("G-1", "31/01/2026", "100"), "day-0", "This is not a date."),
        (("G-1", "2026-01-15", "-1"), "volume-0", "This is too small: at least 0."),
        (("G-1", "2026-01-15", "lots"), "volume-0", "This is not a number"),
    ],
)  # fmt: skip
def test_a_wrong_cell_says_what_is_wrong_beside_it_and_the_rest_is_kept(
    browser: FlaskClient, session: Session, row: tuple[str, str, str], cell: str, sentence: str
) -> None:
    rows = [row, ("G-2", "2026-01-31", "101")]
    answer = browser.post(AT, data=grid(browser, rows, "2026-01"))
    assert answer.status_code in (409, 422)
    error = answer.text.split(f'id="{cell}-error">')[1].split("<")[0]
    assert sentence.replace("'", "&#39;") in error
    assert f'href="#{cell}"' in answer.text
    assert 'value="101"' in answer.text
    session.rollback()
    assert session.query(Reading).count() == 36


def test_two_rows_of_one_customer_and_day_are_refused(browser: FlaskClient) -> None:
    rows = [("G-1", "2026-02-28", "100"), ("G-1", "2026-02-28", "101")]
    answer = browser.post(AT, data=grid(browser, rows))
    assert answer.status_code == 422
    assert "Row 1 is of the same customer and day." in answer.text


def test_a_pasted_block_lies_over_the_rows_and_adds_some(browser: FlaskClient) -> None:
    block = "G-2\t2026-02-10\t101\r\nG-3\t2026-02-11\t102\r\nG-1\t2026-02-12\t103"
    typed = grid(
        browser,
        [("G-1", "2026-02-28", "99"), ("G-2", "2026-02-28", "")],
        block=block,
        row="1",
        column="customer",
    )
    page = browser.post(f"{AT}?do=paste", data=typed).text
    reader = _Reader("entry-form")
    reader.feed(page)
    assert reader.fields.getlist("customer") == ["G-1", "G-2", "G-3", "G-1"]
    assert reader.fields.getlist("volume") == ["99", "101", "102", "103"]
    assert reader.outputs["entry-total"] == "405" + "4 readings"
    volumes = browser.post(
        f"{AT}?do=paste",
        data=grid(browser, [("G-1", "2026-02-28", "")], block="7\n8", row="0", column="volume"),
    )
    reader = _Reader("entry-form")
    reader.feed(volumes.text)
    assert reader.fields.getlist("day") == ["2026-02-28", "2026-02-28"]


def test_a_block_that_is_too_long_is_not_pasted_and_nothing_typed_is_lost(
    browser: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheet, "MOST", 2)

    def pasted(block: str) -> tuple[str, list[str]]:
        rows = [("G-1", "2026-02-28", "5")]
        data = grid(browser, rows, block=block, row="0", column="volume")
        page = browser.post(f"{AT}?do=paste", data=data).text
        reader = _Reader("entry-form")
        reader.feed(page)
        return page, reader.fields.getlist("volume")

    said = "Nothing is pasted: at most 2 rows at once."
    page, volumes = pasted("7\n8\n")
    assert (said in page, volumes) == (False, ["7", "8"])
    page, volumes = pasted("7\n8\n9")
    assert (said in page, volumes) == (True, ["5"])


def test_who_may_only_read_enters_nothing(sign_in: SignIn, customers: list[Customer]) -> None:
    assert sign_in("viewer").get(AT).status_code == 403
    assert "/gas/entry" not in sign_in("viewer").get("/gas/readings").text
