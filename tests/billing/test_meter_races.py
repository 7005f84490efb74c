"""Concurrent changes of a meter's assignments, and payments meanwhile."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select

from backoffice.app.extensions import db
from backoffice.base.refusals import Refusal
from backoffice.billing.meters import actions as meter_actions
from backoffice.billing.models import Meter, MeterAssignment, Payment
from backoffice.customers.models import Customer
from tests.factories.billing import MeterAssignmentFactory
from tests.factories.customers import CustomerFactory
from tests.processes import barrier, together

from .meters import meter_of, must_be_stored, owed_by, stored

pytestmark = pytest.mark.slow

Outside = psycopg.Connection[Any]

MARCH, APRIL = date(2026, 3, 1), date(2026, 4, 1)


@pytest.fixture
def outside(owner_connection: Outside) -> Outside:
    """Another program: it sees what is committed."""
    return owner_connection


def race(app: Flask, session: Any, outside: Outside, rounds: int = 25) -> list[tuple[str, str]]:
    """Two processes each activate an assignment of the same meter, at the same moments; their outcomes."""
    rina, budi = CustomerFactory(code="RINA"), CustomerFactory(code="BUDI")
    pairs = []
    for number in range(rounds):
        mine = meter_of(
            rina, f"M-{number}", owed=10, assigned_to=date(2026, 2, 28), is_active=False
        )
        theirs = MeterAssignmentFactory(
            meter=mine.meter, customer=budi, assigned_from=MARCH, is_active=False
        )
        pairs.append((mine.id, theirs.id))
    session.commit()
    session.rollback()
    meet = barrier(2)

    def activate(side: int) -> list[str]:
        reported = []
        for pair in pairs:
            meet.wait()
            try:
                meter_actions.activate(db.session(), pair[side], 1)
                db.session.commit()
                reported.append("done")
            except Exception as error:  # noqa: BLE001 (its kind is what the test is about)
                db.session.rollback()
                reported.append(type(error).__name__)
        return reported

    return list(zip(*together(app, lambda: activate(0), lambda: activate(1)), strict=True))


def test_of_two_who_activate_assignments_of_one_meter_at_a_time_exactly_one_succeeds(
    app: Flask, session: Any, outside: Outside
) -> None:
    reported = race(app, session, outside)
    assert {tuple(sorted(each)) for each in reported} == {("MeterAssigned", "done")}
    assert stored(outside) == must_be_stored(outside)
    assert sum(owed_by(outside, "RINA")) + sum(owed_by(outside, "BUDI")) == 10 * len(reported)


def test_without_the_lock_the_second_one_runs_into_postgresql(
    app: Flask, session: Any, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant of the test above; the unique index still keeps the figures right."""
    monkeypatch.setattr(meter_actions, "locked", lambda session, key: session.get_one(Meter, key))
    reported = race(app, session, outside)
    assert any("IntegrityError" in each for each in reported), reported
    assert stored(outside) == must_be_stored(outside)


def test_two_who_reassign_one_meter_at_a_time_do_it_one_after_the_other(
    app: Flask, session: Any, outside: Outside
) -> None:
    rina = CustomerFactory(code="RINA")
    others = [CustomerFactory(code=code).id for code in ("BUDI", "CITRA")]
    held = meter_of(rina, "M-1", owed=70, assigned_from=MARCH)
    session.commit()
    key = held.id
    session.rollback()
    meet = barrier(2)

    def reassign(customer_id: int) -> str:
        meet.wait()
        try:
            meter_actions.reassign(db.session(), key, 1, customer_id, APRIL)
            db.session.commit()
            return "done"
        except Refusal as refusal:
            db.session.rollback()
            return type(refusal).__name__

    reported = together(app, *(lambda other=other: reassign(other) for other in others))
    assert sorted(reported) == ["AssignmentChanged", "done"]
    assert stored(outside) == must_be_stored(outside)


def test_payments_and_reassignments_at_the_same_time_leave_both_customers_right(
    app: Flask, session: Any, outside: Outside
) -> None:
    """FAULTS 28: a meter is reassigned while payments for it are recorded."""
    pair = [CustomerFactory(code="RINA").id, CustomerFactory(code="BUDI").id]
    held = meter_of(session.get_one(Customer, pair[0]), "M-1", owed=100_000, assigned_from=MARCH)
    session.commit()
    meter_id = held.meter_id
    session.rollback()

    def pay() -> None:
        for number in range(60):
            paid = {"customer_id": pair[0], "meter_id": meter_id, "paid_on": APRIL}
            db.session.add(Payment(reference=f"P{number}", amount=Decimal(7), **paid))
            db.session.commit()

    def pass_on() -> None:
        for number in range(30):
            present = db.session.scalars(
                select(MeterAssignment).where(MeterAssignment.is_active)
            ).one()
            since = MARCH + timedelta(days=number + 1)
            other = pair[pair[0] == present.customer_id]
            meter_actions.reassign(db.session(), present.id, present.version, other, since)
            db.session.commit()

    together(app, pay, pass_on)
    assert stored(outside) == must_be_stored(outside)
    assert sum(owed_by(outside, "RINA")) + sum(owed_by(outside, "BUDI")) == 100_000 - 60 * 7
