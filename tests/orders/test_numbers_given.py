"""Numbers that Backoffice gives: never to two orders, and never again."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from backoffice.app.domain import declared
from backoffice.app.extensions import db
from backoffice.billing.models import Invoice, MeterAdjustment, Payment
from backoffice.database import numbering
from backoffice.database.numbering import NumberSeries, next_number, numbers_only_looked_up
from backoffice.orders.models import Order
from backoffice.records.actions import run_verb
from backoffice.records.declaration import Deletion
from backoffice.wallets.models import Wallet
from tests.factories.billing import InvoiceFactory, MeterAdjustmentFactory, PaymentFactory
from tests.factories.orders import OrderFactory
from tests.factories.wallets import WalletFactory
from tests.processes import barrier, together
from tests.records.test_api import Program

from .test_api import changed, made, order, program

__all__ = ["program"]

CLIENTS, EACH = 6, 15


def without_number(program: Program) -> str:
    """The number of an order that was created without one."""
    sent = order()
    del sent["number"]
    answer = program.send("POST", "/api/orders", json=sent)
    assert answer.status_code == 201, answer.text
    return str(answer.get_json()["number"])


def deleted(session: Any, number: str) -> None:
    record = declared().records["orders"]
    row = session.scalars(select(Order).where(Order.number == number)).one()
    run_verb(
        session,
        record,
        next(verb for verb in record.verbs if isinstance(verb, Deletion)),
        row.id,
        row.version,
        {},
    )
    session.commit()


@pytest.mark.slow
def test_orders_created_at_once_get_different_numbers(
    app: Flask, session: Any, program: Program
) -> None:
    OrderFactory(number="NW-11109")
    session.commit()
    start = barrier(CLIENTS)

    def client() -> list[str]:
        start.wait()
        return [without_number(program) for _ in range(EACH)]

    given = [number for numbers in together(app, *[client] * CLIENTS) for number in numbers]
    assert len(set(given)) == CLIENTS * EACH
    session.rollback()
    stored = session.scalars(select(Order.number).where(Order.number != "NW-11109")).all()
    assert sorted(stored) == sorted(given) == [f"NW-{11110 + n}" for n in range(CLIENTS * EACH)]


def test_the_number_of_a_deleted_order_is_not_given_again(program: Program, session: Any) -> None:
    for number in ("SO-0098", "SO-0099"):
        made(program, number=number)
    deleted(session, "SO-0099")
    assert without_number(program) == "SO-0100"
    deleted(session, "SO-0100")
    assert without_number(program) == "SO-0101"


def test_the_number_that_an_order_gives_up_is_not_given_again(
    program: Program, session: Any
) -> None:
    made(program, number="SO-0001")
    reported = made(program, number="SO-0002")
    assert changed(program, reported, number="SPECIAL-7").status_code == 200
    made(program, number="SO-0003")
    stored = program.send("GET", "/api/orders/SO-0003").get_json()
    assert changed(program, stored, number="SO-0009").status_code == 200
    assert without_number(program) == "SO-0004"


def test_a_far_off_number_that_was_a_mistake_is_not_continued(
    program: Program, session: Any
) -> None:
    made(program, number="SO-0001")
    made(program, number="SO-9001")
    deleted(session, "SO-9001")
    assert without_number(program) == "SO-0002"


def test_an_order_that_is_saved_without_its_number_keeps_it(program: Program, session: Any) -> None:
    reported = made(program, number="SO-0001")
    answer = changed(program, reported, number="", order_date="2026-03-03")
    assert answer.get_json()["number"] == "SO-0001"
    assert answer.get_json()["order_date"] == "2026-03-03"


def test_the_form_of_a_new_order_takes_no_number(finance_pages: FlaskClient, session: Any) -> None:
    for _ in range(2):
        assert "Leave it empty for the next one." in finance_pages.get("/orders/new").text
    assert session.scalar(select(func.count()).select_from(NumberSeries)) == 0


@pytest.fixture
def finance_pages(sign_in: Callable[..., FlaskClient]) -> FlaskClient:
    return sign_in("finance")


def test_every_number_that_a_record_gives_is_taken_from_a_series(app: Flask, session: Any) -> None:
    """A number given in a transaction that is rolled back is not given again; one that is only shown is."""
    found = 0
    for record in declared().records.values():
        for field in record.fields:
            if field.given is None:
                continue
            found += 1
            entered = {other.name: other.suggested() for other in record.fields}
            with numbers_only_looked_up(session):
                shown = field.given(session, entered)
            first = field.given(session, entered)
            session.rollback()
            assert (shown, first != field.given(session, entered)) == (first, True), record.domain
            session.rollback()
    assert found >= 4


def test_a_number_given_looks_like_no_other(program: Program, session: Any) -> None:
    for number in ("so-0022", "SO-0021"):
        made(program, number=number)
    assert without_number(program) == "SO-0023"
    made(program, number="So-0025")
    made(program, number="SO-0024")
    assert without_number(program) == "SO-0026"


@pytest.mark.parametrize(
    ("factory", "column", "head"),
    [
        (OrderFactory, Order.number, "SO-"),
        (InvoiceFactory, Invoice.number, "INV-2026-"),
        (PaymentFactory, Payment.reference, "PAY-2026-"),
        (MeterAdjustmentFactory, MeterAdjustment.number, "ADJ-2026-"),
        (WalletFactory, Wallet.number, "WAL-2026-"),
    ],
)
@pytest.mark.parametrize("looked_back", [numbering.LOOKED_BACK, 0])
def test_a_number_of_every_series_looks_like_no_other(
    session: Any, factory: Any, column: Any, head: str, looked_back: int, monkeypatch: Any
) -> None:
    """By the newest rows, and by a search; a text of 40 characters is not continued."""
    for last in ("1".zfill(40 - len(head)), "00001", "00002"):
        factory(**{column.key: f"{head.lower()}{last}"})
    session.commit()
    monkeypatch.setattr(numbering, "LOOKED_BACK", looked_back)
    numbering._after_last.cache_clear()
    given = next_number(session, column, head)
    numbering._after_last.cache_clear()
    assert given == f"{head}00003"


def test_the_linear_search_finds_what_looks_free(session: Any) -> None:
    for number in ("so-0001", "SO-0002"):
        OrderFactory(number=number)
    session.commit()
    assert numbering._scanned(session, Order.number, {"head": "SO-", "digits": 4}) == 3


@pytest.mark.parametrize(
    "change",
    ["last = last - 1", "head = 'X-'", "name = 'x'", "last = 1000000000001", "last = -1"],
)
def test_no_program_sets_a_series_back_or_beyond_its_end(
    program: Program, session: Any, app_connection: psycopg.Connection[Any], change: str
) -> None:
    made(program, number="SO-0006")
    assert without_number(program) == "SO-0007"
    with pytest.raises(psycopg.Error, match=r"never goes back|ck_number_series_last"):
        app_connection.execute(f"UPDATE number_series SET {change}".encode())
    assert without_number(program) == "SO-0008"


def test_a_series_that_another_program_has_used_up_still_gives_numbers(
    program: Program, app_connection: psycopg.Connection[Any]
) -> None:
    made(program, number="SO-0006")
    assert without_number(program) == "SO-0007"
    app_connection.execute("UPDATE number_series SET last = 1000000000000")
    assert [without_number(program) for _ in range(2)] == ["SO-0008", "SO-0009"]


def test_a_number_that_another_user_has_typed_is_skipped(app: Flask, session: Any) -> None:
    numbers = {"SO-00002", "SO-00003", "SO-00005"}
    for number in sorted(numbers):
        OrderFactory(number=number)
    given = {next_number(session, Order.number, "SO-") for _ in range(4)}
    assert len(given) == 4
    assert not given & numbers
    db.session.rollback()
