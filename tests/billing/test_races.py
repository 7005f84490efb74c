"""Payments beside reassignments, recalculations and heals: no drift, no false fix, no deadlock.

FAULTS.md lines 21, 26, 27 and 28. Every process is one of its own, as web workers and runs are.
"""

import random
import time
from collections import Counter
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.billing.meters import actions as meter_actions
from backoffice.billing.models import Invoice, Meter, MeterAssignment, Payment
from backoffice.billing.payments import actions as payment_actions
from backoffice.billing.payments.allocation import Part
from backoffice.customers.models import Customer
from backoffice.drift.healing.performing import performed
from backoffice.drift.models import DriftFinding
from backoffice.figures.keeping import drain
from backoffice.figures.models import Correction
from backoffice.runs import actions
from tests.depth import examples, seconds
from tests.factories.billing import MeterAssignmentFactory
from tests.factories.customers import CustomerFactory
from tests.processes import Race, barrier, sqlstate, together

from .ledgers import Ledger, stored

pytestmark = pytest.mark.slow

SAVES, ROUNDS_BESIDE = examples(40), examples(6)
"""Repetitions of each writer, and of the processes that recalculate, heal or tamper beside them."""
ROUNDS = 60
DAY = date(2026, 3, 15)

Outside = psycopg.Connection[Any]


def everything_is_right(session: Any, outside: Outside) -> None:
    """No drift by the product's verification and by independent arithmetic; no notes left."""
    session.rollback()
    assert list(figures.verify(session)) == []
    assert stored(outside) == Ledger.read(outside).totals()
    assert set(figures.noted(session).values()) == {0}


def nothing_was_fixed(session: Any) -> None:
    for model in (Correction, DriftFinding):
        assert session.scalar(select(func.count()).select_from(model)) == 0, "a false fix"


@pytest.fixture
def meters(session: Any) -> list[int]:
    """Two customers with two meters each, committed."""
    made = [
        MeterAssignmentFactory(customer=customer).meter_id
        for customer in (CustomerFactory(), CustomerFactory())
        for _ in range(2)
    ]
    session.commit()
    session.rollback()
    return made


# Concurrent writers


def live_edits(seed: int, meters: list[int], race: Race) -> Counter[str]:
    """Payments, invoices, voids and reassignments, one a save; how often each succeeded."""
    chance = random.Random(seed)
    outcomes: Counter[str] = Counter()
    for _ in race.turns(SAVES):
        try:
            chance.choice(EDITS)(chance, chance.choice(meters))
            db.session.commit()
            outcomes["done"] += 1
        except DBAPIError as error:
            db.session.rollback()
            outcomes[sqlstate(error)] += 1
    return outcomes


def _pay(chance: random.Random, meter: int) -> None:
    amount = Decimal(chance.randint(1, 10**6)).scaleb(-2)
    payer = db.session.scalar(select(func.min(Customer.id))) or 0
    parts = (Part(amount, meter_id=meter),)
    entry = payment_actions.ReceiptEntry(
        payer, DAY, amount, "cash", parts, reference=f"R-{chance.getrandbits(60)}-1"
    )
    payment_actions.record(db.session(), entry)


def _invoice(chance: random.Random, meter: int) -> None:
    db.session.add(
        Invoice(
            number=f"I-{chance.getrandbits(60)}-1",
            customer_id=db.session.scalar(select(func.min(Customer.id))),
            meter_id=meter,
            units=Decimal(chance.randint(1, 10**5)).scaleb(-3),
            rate=Decimal(chance.randint(1, 10**5)).scaleb(-4),
            issued_on=DAY,
            due_on=DAY,
        )
    )


def _void(chance: random.Random, meter: int) -> None:
    rows = select(Payment).where(Payment.meter_id == meter, Payment.status == "posted")
    payment = db.session.scalars(rows.limit(1).with_for_update(skip_locked=True)).one_or_none()
    if payment is not None:
        payment.status = "void"


def _reassign(chance: random.Random, meter: int) -> None:
    """Reassign the meter to the other customer."""
    meter_actions.locked(db.session(), meter)
    assignment = _assignment(meter)
    customers = db.session.scalars(select(Customer.id).order_by(Customer.id)).all()
    assignment.customer_id = chance.choice(customers)


def _switch(_: random.Random, meter: int) -> None:
    """Deactivate it, or activate it again."""
    meter_actions.locked(db.session(), meter)
    assignment = _assignment(meter)
    assignment.is_active = not assignment.is_active


def _assignment(meter: int) -> MeterAssignment:
    rows = select(MeterAssignment).where(MeterAssignment.meter_id == meter)
    return db.session.scalars(rows.execution_options(populate_existing=True)).one()


EDITS: tuple[Callable[[random.Random, int], None], ...] = (
    _pay,
    _pay,
    _invoice,
    _void,
    _reassign,
    _switch,
)


def test_payments_beside_reassignments_and_deactivations_leave_no_drift(
    app: Flask, session: Any, meters: list[int], owner_connection: Outside
) -> None:
    race = Race(4)
    writers = together(
        app, *(lambda seed=seed: live_edits(seed, meters, race) for seed in range(4))
    )
    outcomes = sum(writers, Counter[str]())
    assert set(outcomes) == {"done"}
    assert outcomes["done"] >= 4 * SAVES
    nothing_was_fixed(session)
    everything_is_right(session, owner_connection)


def test_recalculations_and_heals_beside_live_edits_fix_nothing_that_is_right(
    app: Flask, session: Any, meters: list[int], owner_connection: Outside
) -> None:
    race = Race(4)
    kinds: tuple[tuple[str, dict[str, Any]], ...] = (
        ("billing.recalculate", {}),
        ("figures.heal", {}),
        ("figures.verify", {"fix": True}),
    )

    def recalculate() -> None:
        for turn in race.turns(ROUNDS_BESIDE):
            kind, scope = kinds[turn % len(kinds)]
            run = actions.request(db.session(), kind, scope, is_paced=False, is_here=True)
            run_id = run.id
            db.session.commit()
            assert performed(db.engine, run_id).is_clean
            figures.heal_noted(db.session)

    *writers, _recalculated = together(
        app,
        *(lambda seed=seed: live_edits(seed, meters, race) for seed in range(3)),
        recalculate,
        seconds=seconds(120),
    )
    outcomes = sum(writers, Counter[str]())
    assert set(outcomes) == {"done"}
    assert outcomes["done"] >= 3 * SAVES
    nothing_was_fixed(session)
    everything_is_right(session, owner_connection)


def test_a_program_that_tampers_beside_live_edits_and_recalculations_leaves_no_drift(
    app: Flask, session: Any, meters: list[int], database_url: str, owner_connection: Outside
) -> None:
    race = Race(4)

    def tamper() -> Counter[str]:
        chance, outcomes = random.Random(9), Counter[str]()
        with psycopg.connect(database_url, autocommit=True) as connection:
            for _ in race.turns(5 * ROUNDS_BESIDE):
                try:
                    statement = chance.choice(TAMPERING).encode()
                    connection.execute(statement, {"meter": chance.choice(meters)})
                    outcomes["done"] += 1
                except psycopg.errors.DeadlockDetected:
                    outcomes["40P01"] += 1
                time.sleep(0.01)
        return outcomes

    def heal() -> None:
        for _ in race.turns(ROUNDS_BESIDE):
            figures.heal_noted(db.session)
            assert figures.heal(db.session).failures == []

    first, second, tampered, _healed = together(
        app,
        *(lambda seed=seed: live_edits(seed, meters, race) for seed in (1, 2)),
        tamper,
        heal,
        seconds=seconds(120),
    )
    outcomes = first + second + tampered
    assert set(outcomes) <= {"done", "40P01"}
    assert outcomes["done"] > 10 * outcomes["40P01"]
    figures.heal_noted(session)
    everything_is_right(session, owner_connection)


TAMPERING = (
    "UPDATE meters SET balance = 1 WHERE id = %(meter)s",
    "UPDATE meters SET paid = paid + 1 WHERE id = %(meter)s",
    "UPDATE payments SET amount = amount + 1 WHERE meter_id = %(meter)s",
    "UPDATE customers SET overpayment = 7",
)


# Two payments at the same moment


def pay_together(app: Flask, meters: list[int]) -> None:
    """In each round, each of two processes pays 10.00 on its meter."""
    meet = barrier(len(meters))

    def pay(who: int, meter: int) -> None:
        customer = db.session.scalar(select(func.min(Customer.id)))
        for n in range(ROUNDS):
            facts = {"customer_id": customer, "meter_id": meter, "paid_on": DAY}
            db.session.add(Payment(reference=f"{who}/{n}", amount=Decimal(10), **facts))
            meet.wait()
            db.session.commit()

    together(
        app, *(lambda who=who, meter=meter: pay(who, meter) for who, meter in enumerate(meters))
    )


@pytest.mark.parametrize("which", [(0, 0), (0, 1)], ids=["one meter", "two of one customer"])
def test_payments_at_the_same_moment_are_all_counted(
    app: Flask, session: Any, meters: list[int], owner_connection: Outside, which: tuple[int, int]
) -> None:
    pay_together(app, [meters[place] for place in which])
    everything_is_right(session, owner_connection)
    overpaid = session.scalar(select(func.sum(Meter.overpayment)))
    assert overpaid == 2 * 10 * ROUNDS


@pytest.mark.leaves_drift
def test_a_drain_that_takes_no_lock_leaves_drift(
    app: Flask, session: Any, meters: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant of the tests above: a customer's balance after both payments."""
    monkeypatch.setattr(drain, "lock_owners", lambda _, __, owners, ___: owners)
    for _ in range(5):
        pay_together(app, meters[:2])
        session.rollback()
        if list(figures.verify(session)):
            return
        session.execute(Payment.__table__.delete())
        session.commit()
    pytest.fail("five times sixty payments without a lock did no harm")
