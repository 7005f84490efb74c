"""Corrections propagate to owners that are reached through another table, though nothing is noted of them."""

import threading
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import Connection, func, select, text

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.base import table_of
from backoffice.billing.figures import customer_balance, meter_totals
from backoffice.billing.models import Meter, MeterAssignment
from backoffice.customers.models import Customer
from backoffice.figures import registry
from backoffice.figures.keeping import drain as draining
from backoffice.figures.keeping.drain import correction_of, drain
from backoffice.figures.keeping.notes import Touched
from backoffice.figures.models import Correction, FigureNote
from backoffice.figures.verifying.outside import defer
from tests.factories.billing import InvoiceFactory, MeterAssignmentFactory
from tests.factories.customers import CustomerFactory

NOTES = table_of(FigureNote)
METERS, CUSTOMERS = "meters", customer_balance.name
WAITING = b"SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


@pytest.fixture
def assignment(session: Any) -> MeterAssignment:
    """A customer with one meter, on which 60 is owed."""
    made: MeterAssignment = MeterAssignmentFactory()
    InvoiceFactory(
        customer=made.customer, meter=made.meter, units=None, rate=None, amount=Decimal(60)
    )
    session.commit()
    return made


@pytest.fixture
def wrong(assignment: MeterAssignment, surgery: psycopg.Connection[Any]) -> MeterAssignment:
    """The same, with 70 stored as owed on the meter, and so by the customer."""
    surgery.execute("UPDATE meters SET balance = 70")
    surgery.execute("UPDATE customers SET balance = 70")
    return assignment


def correct(connection: Connection, meter: int, **how: Any) -> None:
    """Correct one meter's balance, and everything it propagates to."""
    pending = {METERS: Touched(owners={meter})}
    drain(connection, registry, pending, correction_of("heal"), **how)


def notes_ever(surgery: psycopg.Connection[Any]) -> Any:
    """How many notes have been made since the tables were emptied, also those that were taken."""
    return surgery.execute(
        "SELECT coalesce(last_value, 0) FROM pg_sequences WHERE sequencename = 'figure_notes_id_seq'"
    ).fetchone()


def test_the_customer_follows_the_corrected_meter_without_a_note(
    session: Any, wrong: MeterAssignment, surgery: psycopg.Connection[Any]
) -> None:
    before = notes_ever(surgery)
    with db.engine.begin() as connection:
        correct(connection, wrong.meter_id)
    assert notes_ever(surgery) == before
    assert session.scalar(select(Meter.balance)) == 60
    assert session.scalar(select(Customer.balance)) == 60


@pytest.mark.leaves_drift
def test_without_being_led_on_the_customer_would_stay_wrong(
    session: Any, wrong: MeterAssignment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining._Drains, "_propagate", lambda *_: None)
    with db.engine.begin() as connection:
        correct(connection, wrong.meter_id)
    assert [f.figure.name for f in figures.verify(session)] == [customer_balance.name]


def test_a_correction_that_stops_there_leaves_the_customer_noted(
    session: Any, wrong: MeterAssignment
) -> None:
    with db.engine.begin() as connection:
        correct(connection, wrong.meter_id, alone=True)
        left = select(NOTES.c.bundle, NOTES.c.owner, NOTES.c.source_id)
        assert connection.execute(left).all() == [(CUSTOMERS, wrong.customer_id, wrong.meter_id)]
        defer(connection, "anything", timedelta(0))
    figures.heal_noted(session)
    assert session.scalar(select(Customer.balance)) == 60


def test_an_owner_that_a_correction_does_not_change_is_left_alone(
    session: Any, assignment: MeterAssignment, surgery: psycopg.Connection[Any]
) -> None:
    """The sums are wrong but give the same balance: a preview did not find the customer either."""
    surgery.execute("UPDATE meters SET invoiced = invoiced + 10, adjusted = adjusted - 10")
    surgery.execute("UPDATE customers SET balance = 1000060")
    pending = {meter_totals.name: Touched(owners={assignment.meter_id})}
    with db.engine.begin() as connection:
        drain(connection, registry, pending, correction_of("heal"))
    assert session.scalar(select(Customer.balance)) == 1000060
    [left] = figures.verify(session)
    assert left.figure is customer_balance
    figures.heal(session)


@pytest.mark.leaves_drift
def test_a_customer_who_is_deferred_is_the_callers(session: Any, wrong: MeterAssignment) -> None:
    with db.engine.begin() as connection:
        correct(connection, wrong.meter_id, deferred=[CUSTOMERS])
    assert session.scalar(select(Customer.balance)) == 70
    assert session.scalar(select(func.count()).select_from(FigureNote)) == 0


def test_a_meter_that_changes_hands_while_it_is_corrected_is_led_to_both(
    session: Any, wrong: MeterAssignment, surgery: psycopg.Connection[Any], app: Flask
) -> None:
    """The new customer's transaction waits for the corrected meter, and sees it as it is then."""
    other, first = CustomerFactory(), wrong.customer_id
    session.commit()
    has_corrected, may_commit = threading.Event(), threading.Event()

    def heal() -> None:
        with app.app_context(), db.engine.begin() as connection:
            correct(connection, wrong.meter_id)
            has_corrected.set()
            assert may_commit.wait(20)

    healing = threading.Thread(target=heal)
    healing.start()
    assert has_corrected.wait(20)

    def move() -> None:
        with app.app_context(), db.engine.begin() as connection, figures.acting_as("test"):
            moved = text("UPDATE meter_assignments SET customer_id = :other")
            connection.execute(moved, {"other": other.id})

    moving = threading.Thread(target=move)
    moving.start()
    while not surgery.execute(WAITING).fetchall():
        assert moving.is_alive()
    may_commit.set()
    healing.join()
    moving.join()
    session.rollback()
    balances = dict(session.execute(select(Customer.id, Customer.balance)).all())
    assert balances == {first: 0, other.id: 60}
    assert not list(figures.verify(session))


def test_a_program_that_deletes_an_assignment_is_named_for_what_it_changed(
    assignment: MeterAssignment, session: Any, owner_connection: psycopg.Connection[Any]
) -> None:
    """The customer was right before: the owner that a deleted row referred to was not found."""
    owner_connection.execute("DELETE FROM meter_assignments")
    figures.heal_noted(session)
    [made] = session.scalars(select(Correction))
    assert (made.figure, made.cause, made.db_user) == (
        customer_balance.name, "bypass", "backoffice_owner",
    )  # fmt: skip
