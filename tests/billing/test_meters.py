"""Meters and their assignments: assigning, reassigning, ending, and every customer's balance right after."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from backoffice.base import periods
from backoffice.base.refusals import Refusal
from backoffice.billing import queries
from backoffice.billing.adjustments.records import ADJUSTMENT
from backoffice.billing.meters import actions as meter_actions
from backoffice.billing.meters import refusals as meter_refusals
from backoffice.billing.meters.actions import Days
from backoffice.billing.models import Invoice, MeterAssignment, Payment
from backoffice.billing.rules import VOID
from backoffice.records.actions import create
from tests.factories.billing import (
    MeterAssignmentFactory,
    MeterFactory,
)
from tests.factories.customers import CustomerFactory

from .meters import assignments, meter_of, must_be_stored, owed_by, stored

Outside = psycopg.Connection[Any]

MARCH, APRIL = date(2026, 3, 1), date(2026, 4, 1)


@pytest.fixture
def outside(owner_connection: Outside) -> Outside:
    """Another program: it sees what is committed."""
    return owner_connection


def refused(session: Any, act: Callable[[], object]) -> Refusal:
    """The refusal that the action raises; it is rolled back."""
    with pytest.raises(Refusal) as caught:
        act()
    session.rollback()
    return caught.value


# The issue's own line


def test_a_customer_with_two_active_meters_and_an_inactive_one_is_right_after_every_change(
    session: Any, outside: Outside
) -> None:
    rina, budi = CustomerFactory(code="RINA"), CustomerFactory(code="BUDI")
    owing = meter_of(rina, "M-1", owed=1500, paid=400)
    overpaid = meter_of(rina, "M-2", owed=100, paid=350)
    inactive = meter_of(rina, "M-3", owed=7000, is_active=False)
    session.commit()
    assert owed_by(outside, "RINA") == (1100, 250), "the inactive one counts nothing"

    def done(act: Callable[[], object], rina: tuple[int, int], budi: tuple[int, int]) -> None:
        act()
        session.commit()
        assert (owed_by(outside, "RINA"), owed_by(outside, "BUDI")) == (rina, budi)
        assert stored(outside) == must_be_stored(outside)

    def version(row: Any) -> int:
        session.refresh(row)
        return int(row.version)

    a = meter_actions
    done(lambda: a.deactivate(session, owing.id, version(owing)), (0, 250), (0, 0))
    done(lambda: a.activate(session, owing.id, version(owing)), (1100, 250), (0, 0))
    done(lambda: a.activate(session, inactive.id, version(inactive)), (8100, 250), (0, 0))
    done(
        lambda: a.reassign(session, overpaid.id, version(overpaid), budi.id, APRIL),
        (8100, 0),
        (0, 250),
    )
    done(
        lambda: a.reassign(session, inactive.id, version(inactive), budi.id, APRIL),
        (1100, 0),
        (7000, 250),
    )

    def void(model: Any, name: str) -> None:
        column = model.number if model is Invoice else model.reference
        session.scalars(select(model).where(column == name)).one().status = VOID

    done(lambda: void(Invoice, "INV-M-1"), (0, 400), (7000, 250))
    done(lambda: void(Payment, "PAY-M-2"), (0, 400), (7100, 0))

    def move(name: str, number: str) -> None:
        invoice = session.scalars(select(Invoice).where(Invoice.number == name)).one()
        invoice.meter_id = queries.meter_of(session, number).id

    done(lambda: move("INV-M-3", "M-1"), (6600, 0), (100, 0))
    done(lambda: a.end(session, owing.id, version(owing), APRIL), (0, 0), (100, 0))
    done(lambda: a.remove(session, owing.id, version(owing)), (0, 0), (100, 0))


def some_verb(
    session: Any, chance: random.Random, customers: list[int], meters: list[int]
) -> Callable[[], object]:
    """One of the verbs, of any meter or assignment, with any day."""
    found = session.scalars(select(MeterAssignment)).all()
    day = MARCH + timedelta(days=chance.randint(0, 400))
    who, meter = chance.choice(customers), chance.choice(meters)
    amount, is_active = Decimal(day.day - 15), day.day % 2 == 0
    month = Days(day, day + timedelta(days=30))
    entered = {
        "meter": meter, "adjusted_on": day, "amount": amount, "reason": "Why", "customer": who, "number": "",
    }  # fmt: skip
    verbs: list[Callable[[], object]] = [
        lambda: meter_actions.assign(session, meter, who, month, is_active=is_active),
        lambda: create(session, ADJUSTMENT, entered),
    ]
    if found:
        one = chance.choice(found)
        key = (session, one.id, one.version)
        verbs += [
            lambda: meter_actions.reassign(*key, who, day),
            lambda: meter_actions.end(*key, day),
            lambda: meter_actions.deactivate(*key),
            lambda: meter_actions.activate(*key),
            lambda: meter_actions.correct_days(*key, month),
            lambda: meter_actions.remove(*key),
        ]
    return chance.choice(verbs)


def test_any_sequence_of_verbs_leaves_every_customer_with_what_the_facts_say(
    session: Any, outside: Outside
) -> None:
    chance = random.Random(11)
    customers = [CustomerFactory(code=f"C{n}").id for n in range(4)]
    meters = [meter_of(None, f"M-{n}", owed=100 * n, paid=170).id for n in range(5)]
    session.commit()
    outcomes: Counter[str] = Counter()
    for _step in range(120):
        try:
            some_verb(session, chance, customers, meters)()
            session.commit()
            outcomes["done"] += 1
        except Refusal as refusal:
            session.rollback()
            outcomes[type(refusal).__name__] += 1
        assert stored(outside) == must_be_stored(outside)
    assert outcomes["done"] > 30, outcomes


# Assigning


def test_a_meter_is_actively_one_customers_at_most_and_the_refusal_says_whose(
    session: Any, outside: Outside
) -> None:
    rina, budi = CustomerFactory(code="RINA", name="Rina"), CustomerFactory(code="BUDI")
    held = meter_of(rina, "M-1", owed=10, assigned_from=MARCH)
    session.commit()
    refusal = refused(
        session, lambda: meter_actions.assign(session, held.meter_id, budi.id, Days(None, MARCH))
    )
    assert isinstance(refusal, meter_refusals.MeterAssigned)
    assert str(refusal).startswith("Meter M-1 is assigned to RINA · Rina.")
    before = Days(None, MARCH - timedelta(days=1))
    meter_actions.assign(session, held.meter_id, budi.id, before, is_active=False)
    session.commit()
    assert [row[0] for row in assignments(outside, "M-1")] == ["RINA", "BUDI"]
    assert (owed_by(outside, "RINA"), owed_by(outside, "BUDI")) == ((10, 0), (0, 0))


@pytest.mark.parametrize(
    ("first", "last", "overlap"),
    [
        (None, None, True),
        (None, date(2026, 2, 28), False),
        (None, MARCH, True),
        (date(2026, 3, 10), date(2026, 3, 20), True),
        (date(2026, 3, 31), None, True),
        (APRIL, None, False),
        (date(2026, 1, 1), date(2026, 12, 31), True),
    ],
)
def test_on_one_day_a_meter_is_one_customers(
    session: Any, first: date | None, last: date | None, overlap: bool
) -> None:
    rina, budi = CustomerFactory(code="RINA"), CustomerFactory(code="BUDI")
    held = meter_of(
        rina, "M-1", assigned_from=MARCH, assigned_to=date(2026, 3, 31), is_active=False
    )
    session.commit()

    def assign() -> object:
        return meter_actions.assign(session, held.meter_id, budi.id, Days(first, last))

    if overlap:
        refusal = refused(session, assign)
        assert isinstance(refusal, meter_refusals.DaysOverlap)
        assert "(2026-03-01 – 2026-03-31)" in str(refusal)
    else:
        assign()
        session.commit()


def test_the_last_day_is_not_before_the_first(session: Any) -> None:
    rina, meter = CustomerFactory(), MeterFactory()
    session.commit()
    refusal = refused(
        session, lambda: meter_actions.assign(session, meter.id, rina.id, Days(APRIL, MARCH))
    )
    assert isinstance(refusal, meter_refusals.DaysReversed)


def test_a_meter_that_was_removed_cannot_be_assigned(session: Any) -> None:
    rina = CustomerFactory()
    session.commit()
    for act in (
        lambda: meter_actions.assign(session, 404, rina.id, Days()),
        lambda: meter_actions.end(session, 404, 1, MARCH),
    ):
        assert refused(session, act).status == 404


# Reassigning, ending, correcting


def test_reassigning_ends_the_day_before_and_begins_anew(session: Any, outside: Outside) -> None:
    rina, budi = CustomerFactory(code="RINA"), CustomerFactory(code="BUDI")
    held = meter_of(rina, "M-1", owed=900, assigned_from=MARCH)
    session.commit()
    meter_actions.reassign(session, held.id, held.version, budi.id, APRIL)
    session.commit()
    assert assignments(outside, "M-1") == [
        ("RINA", MARCH, date(2026, 3, 31), False),
        ("BUDI", APRIL, None, True),
    ]
    assert (owed_by(outside, "RINA"), owed_by(outside, "BUDI")) == ((0, 0), (900, 0))


def test_what_cannot_be_reassigned_is_refused_with_what_to_do(session: Any) -> None:
    rina, budi = CustomerFactory(code="RINA"), CustomerFactory(code="BUDI")
    held = meter_of(rina, "M-1", assigned_from=MARCH)
    past = meter_of(rina, "M-2", is_active=False)
    later = MeterAssignmentFactory(
        meter=held.meter, customer=budi, assigned_from=date(2026, 6, 1), is_active=False,
        assigned_to=date(2026, 6, 30),
    )  # fmt: skip
    session.commit()
    key = (session, held.id, 1)
    wanted = {
        meter_refusals.SameCustomer: lambda: meter_actions.reassign(*key, rina.id, APRIL),
        meter_refusals.ReassignedTooEarly: lambda: meter_actions.reassign(*key, budi.id, MARCH),
        meter_refusals.NotAssigned: lambda: meter_actions.reassign(
            session, past.id, 1, budi.id, APRIL
        ),
        meter_refusals.DaysOverlap: lambda: meter_actions.reassign(*key, budi.id, APRIL),
        meter_refusals.AssignmentChanged: lambda: meter_actions.reassign(
            session, later.id, 7, budi.id, APRIL
        ),
    }
    for kind, act in wanted.items():
        assert type(refused(session, act)) is kind


def test_what_changes_hands_at_once_is_not_dated_ahead(session: Any, outside: Outside) -> None:
    today = periods.today()
    tomorrow = today + timedelta(days=1)
    rina, budi = CustomerFactory(code="RINA"), CustomerFactory(code="BUDI")
    held = meter_of(rina, "M-1", owed=900, assigned_from=MARCH, assigned_to=tomorrow)
    key = (session, held.id, 1)
    session.commit()
    for kind, act in (
        (meter_refusals.DayToCome, lambda: meter_actions.reassign(*key, budi.id, tomorrow)),
        (meter_refusals.DayToCome, lambda: meter_actions.end(*key, tomorrow)),
        (meter_refusals.EndsLater, lambda: meter_actions.deactivate(*key)),
    ):
        assert type(refused(session, act)) is kind
    assert owed_by(outside, "RINA") == (900, 0)
    ahead = Days(tomorrow + timedelta(days=1))
    meter_actions.assign(session, held.meter_id, budi.id, ahead, is_active=False)
    session.commit()
    assert owed_by(outside, "RINA") == (900, 0)
    meter_actions.end(*key, today)
    session.commit()
    assert owed_by(outside, "RINA") == (0, 0)


def test_an_assignment_that_was_to_end_earlier_still_ends_then(
    session: Any, outside: Outside
) -> None:
    rina, budi = CustomerFactory(code="RINA"), CustomerFactory(code="BUDI")
    held = meter_of(rina, "M-1", assigned_from=MARCH, assigned_to=date(2026, 3, 20))
    session.commit()
    meter_actions.reassign(session, held.id, 1, budi.id, APRIL)
    session.commit()
    assert assignments(outside, "M-1")[0] == ("RINA", MARCH, date(2026, 3, 20), False)


def test_days_are_corrected_if_no_other_customer_has_the_meter_on_them(
    session: Any, outside: Outside
) -> None:
    rina, budi = CustomerFactory(code="RINA"), CustomerFactory(code="BUDI")
    past = meter_of(rina, "M-1", owed=5, assigned_to=date(2026, 2, 28), is_active=False)
    MeterAssignmentFactory(meter=past.meter, customer=budi, assigned_from=MARCH)
    session.commit()
    refusal = refused(
        session, lambda: meter_actions.correct_days(session, past.id, 1, Days(None, MARCH))
    )
    assert isinstance(refusal, meter_refusals.DaysOverlap)
    january = Days(date(2026, 1, 1), date(2026, 1, 31))
    assert meter_actions.correct_days(session, past.id, 1, january).version == 2
    assert meter_actions.correct_days(session, past.id, 2, january).version == 2, "nothing to save"
    session.commit()
    assert owed_by(outside, "BUDI") == (5, 0)
    refusal = refused(
        session, lambda: meter_actions.correct_days(session, past.id, 1, Days(None, None))
    )
    assert (type(refusal), refusal.status) == (meter_refusals.AssignmentChanged, 409)


def test_postgresql_itself_refuses_two_active_assignments_of_a_meter(session: Any) -> None:
    held = meter_of(CustomerFactory(), "M-1")
    session.commit()
    with pytest.raises(IntegrityError, match="ix_meter_assignments_active"):
        MeterAssignmentFactory(meter=held.meter, customer=CustomerFactory())
    session.rollback()


# What others read


def test_active_meters_are_what_the_other_screens_offer(session: Any) -> None:
    rina = CustomerFactory()
    meter_of(rina, "M-1")
    meter_of(rina, "M-2", is_active=False)
    meter_of(CustomerFactory(), "M-3")
    session.commit()
    assert [m.number for m in queries.active_meters_of(session, rina.id)] == ["M-1"]
