"""Adjustments beyond tests/records: their effects, their numbers, and the customers they are booked for."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from backoffice.app.extensions import db
from backoffice.base.refusals import StillToCome
from backoffice.billing import queries
from backoffice.billing.adjustments import actions
from backoffice.billing.adjustments.records import ADJUSTMENT
from backoffice.billing.models import MeterAdjustment, Payment
from backoffice.billing.payments import actions as payment_actions
from backoffice.billing.payments.allocation import Part
from backoffice.records.actions import create
from tests.customers.desk import form
from tests.factories.billing import MeterAdjustmentFactory, MeterAssignmentFactory
from tests.factories.customers import CustomerFactory
from tests.orders.pages import text_of
from tests.processes import barrier, together

from .meter_desk import a_company
from .meters import meter_of, owed_by

DAY = date(2026, 3, 10)
NEW = "/billing/adjustments/new"


@pytest.fixture
def outside(owner_connection: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """Another program: it sees what is committed."""
    return owner_connection


def posted(session: Any, meter_id: int, amount: str = "100", **more: Any) -> MeterAdjustment:
    """An adjustment of a day in March."""
    usual = {"adjusted_on": DAY, "reason": "Late fee", "number": "", "customer": None}
    entered = {**usual, "meter": meter_id, "amount": Decimal(amount), **more}
    adjustment: MeterAdjustment = create(session, ADJUSTMENT, entered)
    return adjustment


def test_what_is_posted_is_owed_at_once_and_what_is_voided_no_more(
    session: Any, outside: psycopg.Connection[Any]
) -> None:
    held = meter_of(CustomerFactory(code="RINA"), "M-1", owed=1000)
    session.commit()
    fee = posted(session, held.meter_id, "250.00")
    session.commit()
    assert owed_by(outside, "RINA") == (1250, 0)
    posted(session, held.meter_id, "-1500")
    session.commit()
    assert owed_by(outside, "RINA") == (0, 250)
    voided = actions.void(session, fee.id, fee.version, {"reason": "It was waived"})
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
    given: list[dict[str, Any]] = [{}, {"number": "FEE-7"}, {"adjusted_on": date(2025, 12, 31)}, {}]
    numbers = [posted(session, meter, **one).number for one in given]
    assert numbers == ["ADJ-2026-00001", "FEE-7", "ADJ-2025-00001", "ADJ-2026-00002"]
    session.commit()


def test_it_is_booked_for_the_owner_of_the_meter_on_its_day(session: Any) -> None:
    before, now = CustomerFactory(code="BEFORE"), CustomerFactory(code="NOW")
    third = CustomerFactory(code="THIRD")
    past = meter_of(before, "M-1", assigned_to=date(2026, 2, 28), is_active=False)
    MeterAssignmentFactory(meter=past.meter, customer=now, assigned_from=date(2026, 3, 1))
    unassigned = meter_of(None, "M-2")
    session.commit()
    for day, customer_id, code in (
        (date(2026, 2, 28), None, "BEFORE"),
        (date(2026, 3, 1), None, "NOW"),
        (date(2026, 2, 1), third.id, "THIRD"),
    ):
        found = posted(session, past.meter_id, adjusted_on=day, customer=customer_id)
        assert found.customer.code == code
    with pytest.raises(actions.MeterUnassigned, match="Meter M-2 had no customer on 2026-03-10"):
        posted(session, unassigned.id)
    assert posted(session, unassigned.id, customer=third.id).customer is third
    session.commit()


def test_outside_all_days_the_active_customer_is_the_one(session: Any) -> None:
    held = meter_of(CustomerFactory(code="NOW"), "M-1", assigned_from=date(2026, 6, 1))
    session.commit()
    assert queries.holder_on(session, held.meter_id, DAY) == held.customer_id
    held.is_active = False
    session.commit()
    assert queries.holder_on(session, held.meter_id, DAY) is None


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
            numbers.append(posted(db.session(), meter_id, "5").number)
            db.session.commit()
        return numbers

    reported = together(app, *(lambda key=key: post(key) for key in keys))
    assert sorted(reported[0] + reported[1]) == [f"ADJ-2026-{n:05}" for n in range(1, 41)]
    assert (owed_by(outside, "RINA"), owed_by(outside, "BUDI")) == ((100, 0), (100, 0))


def test_no_action_dates_ahead_what_counts_at_once(session: Any) -> None:
    company = a_company(session)
    meter, ahead = company["owing"].meter_id, date(2099, 1, 1)
    with pytest.raises(StillToCome):
        posted(session, meter, adjusted_on=ahead)
    parts = (Part(Decimal(5), meter_id=meter),)
    entry = payment_actions.ReceiptEntry(company["rina"].id, ahead, Decimal(5), "cash", parts)
    before = session.scalars(select(Payment)).all()
    with pytest.raises(StillToCome):
        payment_actions.record(session, entry)
    assert session.scalars(select(MeterAdjustment)).all() == []
    assert session.scalars(select(Payment)).all() == before


# Over HTTP


@pytest.fixture
def finance(sign_in: Callable[..., FlaskClient], session: Any) -> FlaskClient:
    """RINA owes 1,100 on M-1 and overpaid 250 on M-2; M-3 was hers; M-4, with 40, has no customer."""
    a_company(session)
    return sign_in("finance")


def typed(finance: FlaskClient, meter: str, **changes: str) -> Any:
    given = {"amount": "5", "reason": "Why", "adjusted_on": "2026-03-10", **changes}
    return form(finance, f"{NEW}?meter={meter}", NEW, **given)


def test_one_that_is_void_is_struck_through_and_in_no_total(
    finance: FlaskClient, outside: psycopg.Connection[Any], session: Any
) -> None:
    sent = finance.post(NEW, data=typed(finance, "M-1", amount="-100.00"))
    assert sent.location == "/billing/meters/M-1", "from where it was entered"
    assert owed_by(outside, "RINA") == (1000, 250)
    address = "/billing/adjustments/ADJ-2026-00001/void"
    finance.post(address, data=form(finance, address, reason="Of another meter"))
    assert owed_by(outside, "RINA") == (1100, 250)
    listed = finance.get("/billing/adjustments?totals=1").text
    assert "<del>-100.00</del>" in listed
    assert "1 adjustment · Rp 0.00" in text_of(listed).replace("\xa0", " ")
    assert "Void,0.00\r\n" in finance.get("/billing/adjustments/export.csv").text


def test_what_would_be_owed_then_has_to_fit(finance: FlaskClient, session: Any) -> None:
    answer = finance.post(NEW, data=typed(finance, "M-1", amount="9999999999999.99"))
    assert answer.status_code == 422
    assert "This comes to more than can be stored." in text_of(answer.text)
    assert 'href="#amount"' in answer.text
    assert session.scalars(select(MeterAdjustment)).all() == []


def test_an_adjustment_of_an_unassigned_meter_requires_a_customer(finance: FlaskClient) -> None:
    answer = finance.post(NEW, data=typed(finance, "M-4"))
    assert answer.status_code == 422
    assert "Meter M-4 had no customer on 10 Mar 2026." in text_of(answer.text)
    assert finance.post(NEW, data=typed(finance, "M-4", customer="BUDI")).status_code == 303
