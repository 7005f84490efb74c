"""An assignment that is still to come counts from its first day: active before it is refused everywhere."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient

from backoffice.base import periods
from backoffice.billing.meters import actions as meter_actions
from backoffice.billing.meters import refusals as meter_refusals
from backoffice.billing.meters.actions import Days
from tests.customers.desk import form
from tests.factories.customers import CustomerFactory
from tests.imports.conftest import import_, problems, report_of, write  # noqa: F401 (fixtures)
from tests.orders.pages import text_of

from .meter_desk import a_company, verb
from .meters import assignments, meter_of, owed_by

SignIn = Callable[..., FlaskClient]
Outside = psycopg.Connection[Any]

SAID = "is still to come, and an active assignment counts at once."


@pytest.fixture
def outside(owner_connection: Outside) -> Outside:
    """Another program: it sees what is committed."""
    return owner_connection


@pytest.fixture
def tomorrow() -> date:
    return periods.today() + timedelta(days=1)


def test_an_active_assignment_begins_today_at_the_latest(
    session: Any, outside: Outside, tomorrow: date
) -> None:
    budi = CustomerFactory(code="BUDI")
    meter, today = meter_of(None, "M-1", owed=900), tomorrow - timedelta(days=1)
    session.commit()
    with pytest.raises(meter_refusals.BeginsLater):
        meter_actions.assign(session, meter.id, budi.id, Days(tomorrow))
    session.rollback()
    assert owed_by(outside, "BUDI") == (0, 0)
    meter_actions.assign(session, meter.id, budi.id, Days(today))
    session.commit()
    assert owed_by(outside, "BUDI") == (900, 0)


def test_one_that_is_planned_is_inactive_and_activated_on_its_first_day(
    session: Any, outside: Outside, tomorrow: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    budi = CustomerFactory(code="BUDI")
    meter = meter_of(None, "M-1", owed=900)
    planned = meter_actions.assign(session, meter.id, budi.id, Days(tomorrow), is_active=False)
    session.commit()
    with pytest.raises(meter_refusals.BeginsLater):
        meter_actions.activate(session, planned.id, planned.version)
    session.rollback()
    assert owed_by(outside, "BUDI") == (0, 0)
    monkeypatch.setattr(periods, "today", lambda: tomorrow)
    meter_actions.activate(session, planned.id, planned.version)
    session.commit()
    assert owed_by(outside, "BUDI") == (900, 0)


def test_the_first_day_of_an_active_one_is_not_corrected_into_the_future(
    session: Any, outside: Outside, tomorrow: date
) -> None:
    held = meter_of(CustomerFactory(code="RINA"), "M-1", owed=900)
    session.commit()
    with pytest.raises(meter_refusals.BeginsLater):
        meter_actions.correct_days(session, held.id, 1, Days(tomorrow))
    session.rollback()
    meter_actions.deactivate(session, held.id, 1)
    meter_actions.correct_days(session, held.id, 2, Days(tomorrow))
    session.commit()
    assert assignments(outside, "M-1") == [("RINA", tomorrow, None, False)]


def test_the_form_says_at_the_day_what_to_do_and_keeps_what_was_typed(
    sign_in: SignIn, session: Any, outside: Outside, tomorrow: date
) -> None:
    a_company(session)
    finance, page = sign_in("finance"), "/billing/meters/M-4/assign"
    typed = form(finance, page, customer="BUDI", assigned_from=tomorrow.isoformat())
    answer = finance.post(page, data=typed)
    assert answer.status_code == 422
    assert SAID in text_of(answer.text)
    assert 'href="#assigned_from"' in answer.text
    assert f'value="{tomorrow.isoformat()}"' in answer.text
    assert assignments(outside, "M-4") == []
    left = {name: value for name, value in typed.items() if name != "is_active"}
    assert finance.post(page, data=left).status_code == 303
    assert assignments(outside, "M-4") == [("BUDI", tomorrow, None, False)]


def test_its_buttons_and_its_days_are_refused_with_the_same_words(
    sign_in: SignIn, session: Any, outside: Outside, tomorrow: date
) -> None:
    company = a_company(session)
    company["inactive"].assigned_from = tomorrow
    session.commit()
    finance = sign_in("finance")
    activate = verb(company, "inactive", "activate")
    answer = finance.post(activate, data=form(finance, "/billing/meters/M-3", activate))
    assert (answer.status_code, SAID in text_of(answer.text)) == (422, True)
    days = verb(company, "owing", "days")
    answer = finance.post(days, data=form(finance, days, assigned_from=tomorrow.isoformat()))
    assert (answer.status_code, 'href="#assigned_from"' in answer.text) == (422, True)
    assert owed_by(outside, "RINA") == (1100, 250)


def test_a_file_is_refused_by_line_and_brings_a_planned_one_as_inactive(
    write: Callable[..., Path],  # noqa: F811
    problems: Callable[..., Any],  # noqa: F811
    import_: Callable[..., Any],  # noqa: F811
    session: Any,
    outside: Outside,
    tomorrow: date,
) -> None:
    CustomerFactory(code="BUDI")
    session.commit()
    header = "meter_number,customer_code,is_active,assigned_from"
    ahead = write("m.csv", header, f"M-1,BUDI,yes,{periods.today()}", f"M-2,BUDI,yes,{tomorrow}")
    found = problems("meters", ahead)
    assert [(line, column) for line, column, _ in found] == [(3, "assigned_from")]
    assert found[0][2].startswith(f"{tomorrow} {SAID}")
    planned = write("m.csv", header, f"M-2,BUDI,no,{tomorrow}")
    import_("meters", planned)
    assert assignments(outside, "M-2") == [("BUDI", tomorrow, None, False)]
    undated = write("m.csv", "meter_number,customer_code,is_active", "M-2,BUDI,yes")
    assert [column for _, column, _ in problems("meters", undated)] == ["is_active"]
