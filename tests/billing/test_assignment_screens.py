"""Assignments over HTTP: reassigning, ending, activating, correcting days, and concurrent changes."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient

from backoffice.base import periods
from backoffice.billing.models import MeterAssignment
from tests.approvals.cards import confirm, pressed
from tests.customers.desk import fields_of, form
from tests.factories.billing import MeterAssignmentFactory
from tests.orders.pages import text_of

from .meter_desk import a_company, verb
from .meters import assignments, must_be_stored, owed_by, stored

SignIn = Callable[..., FlaskClient]
Outside = psycopg.Connection[Any]

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}


@pytest.fixture
def outside(owner_connection: Outside) -> Outside:
    """Another program: it sees what is committed."""
    return owner_connection


@pytest.fixture
def company(session: Any) -> dict[str, Any]:
    """RINA owes 1,100 on M-1 and overpaid 250 on M-2; M-3 was hers; M-4, with 40, has no customer."""
    return a_company(session)


@pytest.fixture
def finance(sign_in: SignIn) -> FlaskClient:
    return sign_in("finance")


def test_reassigning_makes_both_customers_right_at_once(
    finance: FlaskClient, company: dict[str, Any], outside: Outside
) -> None:
    address = verb(company, "owing", "reassign")
    typed = form(
        finance, "/billing/meters/M-1/reassign", address, customer="budi", since="2026-04-01"
    )
    card = finance.post(address, data=typed)
    for words in ("RINA", "BUDI", "1,100.00", "Gross total", "Reason"):
        assert words in text_of(card.text)
    assert owed_by(outside, "BUDI") == (0, 0), "shown, and nothing else"
    answer = confirm(finance, card)
    assert (answer.status_code, answer.location) == (303, "/billing/meters/M-1")
    assert confirm(finance, card).status_code == 303, "sent twice it is done once"
    assert assignments(outside, "M-1") == [
        ("RINA", date(2026, 1, 1), date(2026, 3, 31), False),
        ("BUDI", date(2026, 4, 1), None, True),
    ]
    assert (owed_by(outside, "RINA"), owed_by(outside, "BUDI")) == ((0, 250), (1100, 0))
    text = text_of(finance.get("/billing/meters/M-1").text)
    assert "Meter M-1 is assigned to BUDI · Budi Santoso." in text
    assert "until 31 Mar 2026" not in text
    assert "1 Jan 2026 – 31 Mar 2026" in text


@pytest.mark.parametrize(
    ("customer", "since", "said"),
    [
        ("", "2026-04-01", "Choose a customer."),
        ("nobody at all", "2026-04-01", "No customer is called that."),
        ("i", "2026-04-01", "Several customers fit that."),
        ("BUDI", "", "Enter a day."),
        ("BUDI", "31.3.2026", "This is not a date."),
        ("BUDI", "2026-01-01", "Reassign it from a later day"),
        ("RINA", "2026-04-01", "is assigned to RINA · Rina Wijaya already"),
    ],
)
def test_what_cannot_be_reassigned_is_said_in_the_form_and_the_input_kept(
    finance: FlaskClient, company: dict[str, Any], customer: str, since: str, said: str
) -> None:
    address = verb(company, "owing", "reassign")
    typed = form(finance, "/billing/meters/M-1/reassign", address, customer=customer, since=since)
    answer = finance.post(address, data=typed)
    assert answer.status_code == 422
    assert said in text_of(answer.text)
    assert fields_of(answer.text, address)["customer"] == customer


def test_who_was_overtaken_gets_the_form_again_over_how_it_is_now(
    finance: FlaskClient, company: dict[str, Any], session: Any, outside: Outside
) -> None:
    address = verb(company, "owing", "reassign")
    typed = form(
        finance, "/billing/meters/M-1/reassign", address, customer="BUDI", since="2026-04-01"
    )
    held = company["owing"]
    held.assigned_from, held.version = date(2025, 5, 5), 2
    session.commit()
    stale = finance.post(address, data=typed, headers=HTMX)
    assert stale.status_code == 409
    assert "<html" not in stale.text
    text = text_of(stale.text)
    assert "Another user has changed the assignments of meter M-1 since you opened it." in text
    assert "since 5 May 2025" in text
    again = fields_of(stale.text, address)
    assert (again["customer"], again["version"]) == ("BUDI", f"{held.id}:2")
    assert pressed(finance, address, again).status_code == 303
    assert (owed_by(outside, "RINA"), owed_by(outside, "BUDI")) == ((0, 250), (1100, 0))
    session.delete(session.get_one(MeterAssignment, held.id))
    session.commit()
    assert finance.post(address, data={**again, "idempotency_key": "k"}).status_code == 404


@pytest.mark.parametrize(("name", "field"), [("reassign", "since"), ("end", "last")])
def test_a_day_to_come_is_refused_at_its_field_and_kept(
    finance: FlaskClient, company: dict[str, Any], outside: Outside, name: str, field: str
) -> None:
    address = verb(company, "owing", name)
    page = address if name == "end" else "/billing/meters/M-1/reassign"
    tomorrow = (periods.today() + timedelta(days=1)).isoformat()
    typed = form(finance, page, address, **{field: tomorrow})
    if name == "reassign":
        typed["customer"] = "budi"
    before = owed_by(outside, "RINA")
    answer = finance.post(address, data=typed)
    assert answer.status_code == 422
    assert "This can be done from that day on." in answer.text
    assert f'href="#{field}"' in answer.text
    assert f'value="{tomorrow}"' in answer.text
    assert owed_by(outside, "RINA") == before


def test_an_assignment_is_deactivated_activated_and_ended_by_its_buttons(
    finance: FlaskClient, company: dict[str, Any], outside: Outside, session: Any
) -> None:
    def press(name: str, **more: str) -> Any:
        address = verb(company, "owing", name)
        page = address if name == "end" else "/billing/meters/M-1"
        return finance.post(address, data=form(finance, page, address, **more))

    for name, rina in (("deactivate", (0, 250)), ("activate", (1100, 250))):
        assert press(name).status_code == 303
        assert owed_by(outside, "RINA") == rina
    assert press("end", last="2026-06-30").status_code == 303
    assert owed_by(outside, "RINA") == (0, 250)
    assert assignments(outside, "M-1") == [("RINA", date(2026, 1, 1), date(2026, 6, 30), False)]
    assert press("remove").status_code == 303
    assert assignments(outside, "M-1") == []
    assert stored(outside) == must_be_stored(outside)
    unknown = verb(company, "overpaid", "explode")
    assert finance.post(unknown, data={"idempotency_key": "k"}).status_code == 404


def test_activating_what_another_user_has_says_who(
    finance: FlaskClient, company: dict[str, Any], session: Any, outside: Outside
) -> None:
    other = MeterAssignmentFactory(
        meter=company["inactive"].meter, customer=company["budi"], is_active=True
    )
    session.commit()
    address = verb(company, "inactive", "activate")
    answer = finance.post(address, data=form(finance, "/billing/meters/M-3", address))
    assert answer.status_code == 409
    said = "Meter M-3 is assigned to BUDI · Budi Santoso. Reassign it from them"
    assert said in text_of(answer.text)
    assert owed_by(outside, "BUDI") == (7000, 0)
    stale = finance.post(
        verb({"held": other}, "held", "deactivate"),
        data={"version": f"{other.id}:7", "idempotency_key": "stale"},
    )
    assert stale.status_code == 409
    assert "Look at them as they are now" in text_of(stale.text)


def test_a_meter_is_assigned_and_its_former_owner_is_added(
    finance: FlaskClient, company: dict[str, Any], outside: Outside
) -> None:
    page = "/billing/meters/M-4/assign"
    typed = form(finance, page, customer="BUDI", assigned_from="2026-02-01")
    assert typed.get("is_active") == "y", "a first assignment is meant to be active"
    assert finance.post(page, data=typed).status_code == 303
    assert owed_by(outside, "BUDI") == (40, 0)
    earlier = form(finance, page, customer="RINA", assigned_to="2026-01-31")
    assert "is_active" not in earlier
    assert finance.post(page, data=earlier).status_code == 303
    assert [row[::3] for row in assignments(outside, "M-4")] == [("BUDI", True), ("RINA", False)]
    overlapping = form(finance, page, customer="RINA", assigned_from="2026-03-01")
    answer = finance.post(page, data=overlapping)
    assert answer.status_code == 422
    assert "meter M-4 is assigned to BUDI · Budi Santoso (1 Feb 2026 – …)" in text_of(answer.text)
    active = form(finance, page, customer="RINA", assigned_from="2025-01-01", is_active="y")
    assert finance.post(page, data=active).status_code == 409
    reversed_ = form(
        finance, page, customer="RINA", assigned_from="2025-02-01", assigned_to="2025-01-01"
    )
    assert "before the first one" in text_of(finance.post(page, data=reversed_).text)


def test_days_are_corrected_and_a_second_editor_sees_the_difference(
    finance: FlaskClient, sign_in: SignIn, company: dict[str, Any], outside: Outside
) -> None:
    address = verb(company, "owing", "days")
    mine = form(finance, address, assigned_to="2026-09-30")
    other = sign_in("finance", name="Sari")
    theirs = form(other, address, assigned_from="2025-12-01")
    assert other.post(address, data=theirs).status_code == 303
    stale = finance.post(address, data=mine)
    assert stale.status_code == 409
    assert "From 1 Dec 2025 1 Jan 2026 Theirs" in text_of(stale.text)
    again = fields_of(stale.text, address)
    assert (again["assigned_from"], again["assigned_to"]) == ("2025-12-01", "2026-09-30")
    assert finance.post(address, data=again).status_code == 303
    assert assignments(outside, "M-1") == [("RINA", date(2025, 12, 1), date(2026, 9, 30), True)]
