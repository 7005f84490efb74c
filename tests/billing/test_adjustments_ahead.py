"""What is paid or adjusted counts at once: neither is dated after today, in a form or by an action."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from backoffice.base import periods
from backoffice.billing.adjustments import actions as adjustment_actions
from backoffice.billing.adjustments.actions import AdjustmentEntry
from backoffice.billing.models import MeterAdjustment, Payment
from backoffice.billing.payments import actions as payment_actions
from backoffice.billing.payments.allocation import Part
from backoffice.billing.rules import StillToCome
from tests.customers.desk import form
from tests.orders.pages import text_of

from .meter_desk import a_company
from .meters import owed_by

PAGE = "/billing/meters/M-1/adjust"


@pytest.fixture
def company(session: Any) -> dict[str, Any]:
    """RINA owes 1,100 on M-1 and paid 250 too much on M-2."""
    return a_company(session)


def test_an_adjustment_that_is_dated_ahead_is_refused_at_its_day(
    sign_in: Callable[..., FlaskClient],
    company: dict[str, Any],
    owner_connection: psycopg.Connection[Any],
) -> None:
    finance = sign_in("finance")
    given = {"amount": "-1000", "reason": "Goodwill"}
    tomorrow = (periods.today() + timedelta(days=1)).isoformat()
    for day in (tomorrow, "2099-01-01"):
        answer = finance.post(PAGE, data=form(finance, PAGE, **given, adjusted_on=day))
        assert answer.status_code == 422
        assert "This day is still to come." in text_of(answer.text)
        assert 'href="#adjusted_on"' in answer.text
        assert f'value="{day}"' in answer.text
    assert owed_by(owner_connection, "RINA") == (1100, 250)
    today = periods.today().isoformat()
    assert (
        finance.post(PAGE, data=form(finance, PAGE, **given, adjusted_on=today)).status_code == 303
    )
    assert owed_by(owner_connection, "RINA") == (100, 250)


def test_no_action_dates_ahead_what_counts_at_once(session: Any, company: dict[str, Any]) -> None:
    meter, customer = company["owing"].meter_id, company["rina"].id
    ahead = date(2099, 1, 1)
    with pytest.raises(StillToCome):
        adjustment_actions.post(session, AdjustmentEntry(meter, ahead, Decimal(5), "Fee"))
    parts = (Part(Decimal(5), meter_id=meter),)
    entry = payment_actions.ReceiptEntry(customer, ahead, Decimal(5), "cash", parts)
    before = session.scalars(select(Payment)).all()
    with pytest.raises(StillToCome):
        payment_actions.record(session, entry)
    assert session.scalars(select(MeterAdjustment)).all() == []
    assert session.scalars(select(Payment)).all() == before
