"""Locked days: no program inserts, changes or deletes their rows, and the refusal says why."""

from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select

from backoffice.base.refusals import Locked
from backoffice.customers.merging import MovesLockedDays, merge, preview
from backoffice.customers.owned_records import owned_records
from backoffice.gas.models import Reading
from backoffice.gas.pricing.actions import store
from backoffice.gas.pricing.effects import NewPrice
from tests.factories.customers import CustomerFactory
from tests.factories.gas import DepositFactory, GasPriceFactory, ReadingFactory
from tests.orders.pages import _Reader, text_of
from tests.records.test_api import Program, is_problem

from .oracle import expected, stored

Connection = psycopg.Connection[Any]
SENTENCE = "The days up to 2026-01-31 are locked"


@pytest.fixture
def reading(session: Any, run_command: Any) -> Reading:
    """Of 5 January, of a customer with a price and a deposit; January is locked."""
    price = GasPriceFactory()
    made = ReadingFactory(customer=price.customer, read_on=date(2026, 1, 5))
    DepositFactory(customer=price.customer)
    session.commit()
    done = run_command("balance", "lock", "--until", "2026-01-31", "--reason", "Reported")
    assert (done.exit_code, done.stdout.strip()) == (0, f"{SENTENCE}.")
    return made


def fields_of(page: str, form_id: str) -> dict[str, str]:
    """What a form of a page would send."""
    reader = _Reader(form_id)
    reader.feed(page)
    assert reader.fields
    return reader.fields.to_dict()


def at_field(page: str, name: str) -> bool:
    """Whether the page says it under that field."""
    return SENTENCE in page.partition(f'id="{name}-error"')[2][:200]


def test_another_program_changes_nothing_of_a_locked_day(
    session: Any, reading: Reading, app_connection: Connection, run_command: Any
) -> None:
    customer = reading.customer_id
    new = f"INSERT INTO readings (customer_id, read_on, metered_volume) VALUES ({customer}, '2026-{{}}', 1)"
    for statement in (
        new.format("01-31"),
        "UPDATE readings SET metered_volume = 7",
        "UPDATE readings SET read_on = '2026-02-03'",
        "DELETE FROM readings",
        "UPDATE gas_prices SET price_per_sm3 = 7",
        "DELETE FROM deposits",
    ):
        with pytest.raises(psycopg.errors.CheckViolation, match=SENTENCE):
            app_connection.execute(statement.encode())
    app_connection.execute(new.format("02-01").encode())
    with pytest.raises(psycopg.errors.CheckViolation, match=SENTENCE):
        app_connection.execute(
            "UPDATE readings SET read_on = '2026-01-31' WHERE read_on > '2026-02-01'"
            " OR metered_volume = 1"
        )
    assert run_command("figures", "heal", "--noted").exit_code == 0
    assert (
        run_command("balance", "lock", "--open", "--reason", "Again").stdout.strip()
        == "Every day is open."
    )
    app_connection.execute("DELETE FROM deposits")
    assert run_command("figures", "heal", "--noted").exit_code == 0
    session.rollback()
    session.expire_all()
    assert stored(session, customer) == expected(session, customer)


def test_the_last_locked_day_is_locked_as_those_before_it(
    session: Any, app_connection: Connection, run_command: Any
) -> None:
    last = date(2026, 1, 31)
    price = GasPriceFactory(effective_from=last)
    ReadingFactory(customer=price.customer, read_on=last)
    DepositFactory(customer=price.customer, deposited_on=last)
    session.commit()
    assert (
        run_command("balance", "lock", "--until", f"{last}", "--reason", "Reported").exit_code == 0
    )
    days = {"readings": "read_on", "gas_prices": "effective_from", "deposits": "deposited_on"}
    for table, day in days.items():
        for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET {day} = '2026-02-03'"):
            with pytest.raises(psycopg.errors.CheckViolation, match=SENTENCE):
                app_connection.execute(statement.encode())
        stored_days = app_connection.execute(f"SELECT {day} FROM {table}".encode()).fetchall()
        assert stored_days == [(last,)], table
    survivor = CustomerFactory()
    session.commit()
    with pytest.raises(MovesLockedDays):
        preview(session, survivor, price.customer)


def test_a_program_and_a_person_are_told_at_the_day(
    app: Flask, session: Any, reading: Reading, sign_in: Any
) -> None:
    program = Program(app, session, "readings:write")
    entered = {"customer": reading.customer.code, "read_on": "2026-01-06", "metered_volume": "5"}
    path = f"/api/readings/{reading.id}"
    for answer in (
        program.send("POST", "/api/readings", json=entered),
        program.send("PATCH", path, match=1, json={"metered_volume": "6"}),
        program.send("POST", f"{path}/delete", match=1),
    ):
        assert is_problem(answer, 409)
        assert SENTENCE in answer.get_json()["detail"]
    assert (
        program.send("POST", "/api/readings", json=entered | {"read_on": "2026-02-01"}).status_code
        == 201
    )


def test_a_form_says_it_at_the_day(session: Any, reading: Reading, sign_in: Any) -> None:
    browser = sign_in("admin")
    for at in ("/gas/readings/new", f"/gas/readings/{reading.id}/edit"):
        form = fields_of(browser.get(at).text, "reading-form")
        given = {"read_on": "2026-01-06", "metered_volume": "5"}
        if "customer" in form:
            given["customer"] = reading.customer.code
        answer = browser.post(at, data=form | given)
        assert (answer.status_code, at_field(answer.text, "read_on")) == (422, True), at
    session.rollback()
    assert session.scalars(select(Reading.metered_volume)).all() == [reading.metered_volume]


def test_the_grid_says_it_at_the_day_and_saves_nothing(
    session: Any, reading: Reading, sign_in: Any
) -> None:
    browser = sign_in("finance")
    form = fields_of(browser.get("/gas/entry?month=2026-01").text, "entry-form")
    cells = [("customer", reading.customer.code), ("volume", "5")]
    for day, is_refused in (("2026-01-31", True), ("2026-02-01", False)):
        sent = form | {"month": day[:7]} | dict([*cells, ("day", day)])
        answer = browser.post("/gas/entry", data=sent)
        assert (answer.status_code, SENTENCE in answer.text) == (
            422 if is_refused else 303,
            is_refused,
        )
        assert not is_refused or 'id="day-0-error"' in answer.text
    session.rollback()
    assert len(session.scalars(select(Reading)).all()) == 2


def test_a_merge_moves_nothing_of_a_locked_day(
    session: Any, reading: Reading, sign_in: Any, run_command: Any
) -> None:
    survivor, duplicate = CustomerFactory(), reading.customer
    session.commit()
    pair = {"survivor": survivor.code, "duplicate": duplicate.code}
    page = sign_in("admin").get("/customers/merge", query_string=pair)
    assert (page.status_code, "days up to 2026-01-31, which are locked" in page.text) == (422, True)
    with pytest.raises(MovesLockedDays):
        merge(session, survivor.id, duplicate.id, taken=(), digest="")
    session.rollback()
    run_command("balance", "lock", "--open", "--reason", "Merging")
    digest = preview(session, survivor, duplicate).digest
    merge(session, survivor.id, duplicate.id, taken=(), digest=digest)
    session.commit()
    run_command("balance", "lock", "--until", "2026-01-31", "--reason", "Reported")
    with pytest.raises(Locked):
        next(b for b in owned_records() if b.name == "readings").move(
            session, [reading.id], duplicate.id
        )
    session.rollback()


def test_new_prices_of_many_are_refused_at_the_day_and_one_by_one_where_it_is_locked_since(
    session: Any, reading: Reading, sign_in: Any, run_command: Any
) -> None:
    browser, code = sign_in("finance"), reading.customer.code
    form = fields_of(browser.get("/gas/prices/bulk").text, "bulk-form")
    sent = form | {"effective_from": "2026-01-31", "lines": f"{code},1,1"}
    answer = browser.post("/gas/prices/bulk", data=sent)
    assert (answer.status_code, at_field(answer.text, "effective_from")) == (422, True)
    price = NewPrice(reading.customer_id, date(2026, 1, 31), Decimal(1), Decimal(1))
    with pytest.raises(Locked):
        store(session, price)
    session.rollback()


def test_a_lock_over_readings_without_a_price_says_so_and_today_says_what_to_do(
    session: Any, sign_in: Any, run_command: Any
) -> None:
    price = GasPriceFactory(effective_from=date(2026, 3, 1))
    for day in (date(2026, 1, 5), date(2026, 1, 6), date(2026, 2, 1)):
        ReadingFactory(customer=price.customer, read_on=day)
    session.commit()
    done = run_command("balance", "lock", "--until", "2026-01-31", "--reason", "Reported")
    assert (done.exit_code, done.stdout.strip()) == (0, f"{SENTENCE}.")
    assert "2 readings of these days have no price" in done.stderr
    browser = sign_in("finance")
    page = browser.get("/today").text
    for words, query, listed in (
        ("1 reading of gas has no price, and is in no balance: enter", "since=2026-02-01", 1),
        (
            "2 readings of gas of closed days have no price: reopen the months",
            "until=2026-01-31",
            2,
        ),
    ):
        assert words in text_of(page)
        assert f'href="/gas/readings?state=unpriced&amp;{query}"' in page
        found = browser.get(f"/gas/readings?state=unpriced&{query}").text
        assert found.count('class="row-link"') == listed
    opened = run_command("balance", "lock", "--open", "--reason", "Again")
    assert (opened.stderr.strip(), "closed days" in browser.get("/today").text) == ("", False)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Say up to which day"),
        (("--until", "2026-02-30", "--reason", "x"), "Say up to which day"),
        (("--until", "2026-01-31"), "Say why"),
        (("--until", "2026-01-31", "--open"), "do not go together"),
    ],
)
def test_a_lock_needs_a_day_and_a_reason(
    session: Any, run_command: Any, arguments: tuple[str, ...], sentence: str
) -> None:
    reported = run_command("balance", "lock", *arguments)
    assert (reported.exit_code, sentence in reported.stderr) == (2, True)
