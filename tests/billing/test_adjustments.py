"""Adjustments: posting with a reason, numbers, whom they are booked for, and voiding."""

from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select

from backoffice.app.extensions import db
from backoffice.billing import queries
from backoffice.billing.adjustments import actions as adjustment_actions
from backoffice.billing.adjustments.actions import AdjustmentEntry
from backoffice.billing.models import MeterAdjustment
from tests.factories.billing import MeterAdjustmentFactory, MeterAssignmentFactory
from tests.factories.customers import CustomerFactory
from tests.processes import barrier, together

from .meters import meter_of, owed_by

DAY = date(2026, 3, 10)


@pytest.fixture
def outside(owner_connection: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """Another program: it sees what is committed."""
    return owner_connection


def entry(
    meter_id: int, amount: str = "100", reason: str = "Late fee", **more: Any
) -> AdjustmentEntry:
    """An adjustment of a day in March."""
    return AdjustmentEntry(
        meter_id=meter_id,
        adjusted_on=more.pop("day", DAY),
        amount=Decimal(amount),
        reason=reason,
        **more,
    )


def test_what_is_posted_is_owed_at_once_and_what_is_voided_no_more(
    session: Any, outside: psycopg.Connection[Any]
) -> None:
    held = meter_of(CustomerFactory(code="RINA"), "M-1", owed=1000)
    session.commit()
    fee = adjustment_actions.post(session, entry(held.meter_id, "250.00"))
    session.commit()
    assert owed_by(outside, "RINA") == (1250, 0)
    adjustment_actions.post(session, entry(held.meter_id, "-1500"))
    session.commit()
    assert owed_by(outside, "RINA") == (0, 250)
    voided = adjustment_actions.void(session, fee.id, fee.version, " It was waived ")
    session.commit()
    assert owed_by(outside, "RINA") == (0, 500)
    assert (voided.status, voided.void_reason, voided.version) == ("void", "It was waived", 2)
    assert (fee.reason, fee.amount) == ("Late fee", 250), "it stays visible"


def test_numbers_follow_each_other_within_the_year_of_the_day_unless_one_is_given(
    session: Any,
) -> None:
    meter = meter_of(CustomerFactory(), "M-1").meter_id
    MeterAdjustmentFactory(number="ADJ-2026-X9")
    session.commit()
    given = [
        entry(meter),
        entry(meter, number="FEE-7"),
        entry(meter, day=date(2025, 12, 31)),
        entry(meter),
    ]
    numbers = [adjustment_actions.post(session, one).number for one in given]
    assert numbers == ["ADJ-2026-00001", "FEE-7", "ADJ-2025-00001", "ADJ-2026-00002"]
    session.commit()
    with pytest.raises(adjustment_actions.AdjustmentNumberTaken):
        adjustment_actions.post(session, entry(meter, number="FEE-7"))
    session.rollback()


def test_an_adjustment_of_nothing_or_without_a_reason_is_refused(session: Any) -> None:
    meter = meter_of(CustomerFactory(), "M-1").meter_id
    session.commit()
    with pytest.raises(adjustment_actions.AdjustmentOfNothing):
        adjustment_actions.post(session, entry(meter, "0.00"))
    with pytest.raises(adjustment_actions.ReasonMissing):
        adjustment_actions.post(session, entry(meter, reason=" "))
    assert session.scalars(select(MeterAdjustment)).all() == []


def test_it_is_booked_for_whose_the_meter_was_on_its_day(session: Any) -> None:
    before, now = CustomerFactory(code="BEFORE"), CustomerFactory(code="NOW")
    third = CustomerFactory(code="THIRD")
    past = meter_of(before, "M-1", assigned_to=date(2026, 2, 28), is_active=False)
    MeterAssignmentFactory(meter=past.meter, customer=now, assigned_from=date(2026, 3, 1))
    nobodys = meter_of(None, "M-2")
    session.commit()
    for day, customer_id, code in (
        (date(2026, 2, 28), None, "BEFORE"),
        (date(2026, 3, 1), None, "NOW"),
        (date(2026, 2, 1), third.id, "THIRD"),
    ):
        posted = adjustment_actions.post(
            session, entry(past.meter_id, day=day, customer_id=customer_id)
        )
        assert posted.customer.code == code
    with pytest.raises(
        adjustment_actions.NobodysMeter, match="Meter M-2 was nobody's on 2026-03-10"
    ):
        adjustment_actions.post(session, entry(nobodys.id))
    assert (
        adjustment_actions.post(session, entry(nobodys.id, customer_id=third.id)).customer is third
    )
    session.commit()


def test_outside_all_days_the_active_customer_is_the_one(session: Any) -> None:
    held = meter_of(CustomerFactory(code="NOW"), "M-1", assigned_from=date(2026, 6, 1))
    session.commit()
    assert queries.holder_on(session, held.meter_id, DAY) == held.customer_id
    held.is_active = False
    session.commit()
    assert queries.holder_on(session, held.meter_id, DAY) is None


def test_what_somebody_else_voided_or_changed_first_is_refused(session: Any) -> None:
    held = meter_of(CustomerFactory(), "M-1")
    fee = adjustment_actions.post(session, entry(held.meter_id))
    session.commit()
    with pytest.raises(adjustment_actions.ReasonMissing):
        adjustment_actions.void(session, fee.id, 1, "  ")
    with pytest.raises(adjustment_actions.AdjustmentChanged):
        adjustment_actions.void(session, fee.id, 7, "Wrong")
    adjustment_actions.void(session, fee.id, 1, "Wrong")
    with pytest.raises(adjustment_actions.AdjustmentVoided):
        adjustment_actions.void(session, fee.id, 2, "Wrong")
    with pytest.raises(adjustment_actions.AdjustmentGone):
        adjustment_actions.void(session, 404, 1, "Wrong")
    session.commit()


def test_several_who_post_at_a_time_get_numbers_of_their_own(
    app: Flask, session: Any, outside: psycopg.Connection[Any]
) -> None:
    keys = [
        meter_of(customer, f"M-{customer.code}").meter_id
        for customer in (CustomerFactory(code="RINA"), CustomerFactory(code="BUDI"))
    ]
    session.commit()
    session.rollback()
    meet = barrier(2)

    def post(meter_id: int) -> list[str]:
        numbers = []
        for _round in range(20):
            meet.wait()
            numbers.append(adjustment_actions.post(db.session(), entry(meter_id, "5")).number)
            db.session.commit()
        return numbers

    told = together(app, *(lambda key=key: post(key) for key in keys))
    assert sorted(told[0] + told[1]) == [f"ADJ-2026-{n:05}" for n in range(1, 41)]
    assert (owed_by(outside, "RINA"), owed_by(outside, "BUDI")) == ((100, 0), (100, 0))
