"""The screens of meters over HTTP: list, record, forms, adjustments, calculations, and a customer's meters."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from backoffice import periods, subjects
from backoffice.billing.models import Meter, MeterAdjustment, MeterAssignment
from backoffice.customers.models import Customer
from backoffice.drift import recalculation
from backoffice.people.models import User
from backoffice.subjects import Place
from tests.customers.conftest import statements  # noqa: F401 (a fixture)
from tests.customers.desk import fields_of, form
from tests.factories.billing import (
    InvoiceFactory,
    MeterAdjustmentFactory,
    MeterAssignmentFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory
from tests.orders.pages import text_of
from tests.signing_in import someone

from .meters import assignments, meter_of, must_be_stored, owed_by, stored

SignIn = Callable[..., FlaskClient]
Outside = psycopg.Connection[Any]

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}


@pytest.fixture
def outside(owner_connection: Outside) -> Outside:
    """Another program: it sees what is committed."""
    return owner_connection


@pytest.fixture
def company(session: Any) -> dict[str, Any]:
    """RINA owes 1,100 on M-1 and paid 250 too much on M-2; M-3 was hers; M-4, with 40, is nobody's."""
    rina = CustomerFactory(code="RINA", name="Rina Wijaya")
    budi = CustomerFactory(code="BUDI", name="Budi Santoso")
    owing = meter_of(rina, "M-1", owed=1500, paid=400, assigned_from=date(2026, 1, 1))
    owing.meter.description = "Jl. Sudirman 1"
    overpaid = meter_of(rina, "M-2", owed=100, paid=350)
    inactive = meter_of(rina, "M-3", owed=7000, is_active=False)
    nobodys = meter_of(None, "M-4", owed=40)
    session.commit()
    return {
        "rina": rina, "budi": budi, "owing": owing, "overpaid": overpaid, "inactive": inactive,
        "nobodys": nobodys,
    }  # fmt: skip


@pytest.fixture
def finance(sign_in: SignIn) -> FlaskClient:
    return sign_in("finance")


def verb(company: dict[str, Any], which: str, name: str) -> str:
    """The address of something that is done to an assignment."""
    held = company[which]
    return f"/billing/meters/{held.meter.number}/assignments/{held.id}/{name}"


# The list


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", ["M-1", "M-2", "M-3", "M-4"]),
        ("owed=owing", ["M-1", "M-3", "M-4"]),
        ("owed=overpaid", ["M-2"]),
        ("owed=clear", []),
        ("assigned=unassigned", ["M-3", "M-4"]),
        ("assigned=active", ["M-1", "M-2"]),
        ("customer=rina", ["M-1", "M-2", "M-3"]),
        ("customer=BUDI", []),
        ("q=sudirman", ["M-1"]),
        ("q=Wijaya", ["M-1", "M-2"]),
        ("sort=-balance", ["M-3", "M-1", "M-4", "M-2"]),
    ],
)
@pytest.mark.usefixtures("company")
def test_the_list_shows_what_its_filter_leaves_in(
    finance: FlaskClient, query: str, numbers: list[str]
) -> None:
    page = finance.get(f"/billing/meters?{query}")
    assert page.status_code == 200
    assert re.findall(r'class="row-link"[^>]*>(M-\d)<', page.text) == numbers


@pytest.mark.usefixtures("company")
def test_totals_are_those_of_the_whole_filter_and_equal_to_the_files(
    finance: FlaskClient, session: Any
) -> None:
    page = finance.get("/billing/meters?totals=1").text
    totals = text_of(page[page.index('<tfoot class="totals"') : page.index("</tfoot>")])
    assert totals.split("Rp ")[-1].strip() == "8,640.00 0.00 750.00 8,140.00 250.00"
    file = finance.get("/billing/meters/export.csv")
    assert file.status_code == 200
    assert "8640.00,0.00,750.00,8140.00,250.00" in file.text
    assert finance.get("/billing/meters/export.xlsx").status_code == 200


def test_who_may_not_read_billing_sees_nothing_of_it(
    app: Flask, sign_in: SignIn, company: dict[str, Any]
) -> None:
    manager = sign_in("account_manager")
    for path in ("/billing/meters", "/billing/meters/M-1", "/billing/adjustments"):
        assert manager.get(path).status_code == 403
    page = text_of(manager.get("/customers/RINA").text)
    assert "Meters" not in page
    assert "1,100.00" not in page
    assert "Overpayment" not in manager.get("/customers").text
    assert "1100" not in manager.get("/customers/export.csv").text
    assert "1,100.00" not in manager.get("/customers?columns=name,balance,overpayment").text


def test_a_viewer_sees_everything_and_changes_nothing(
    sign_in: SignIn, company: dict[str, Any]
) -> None:
    viewer = sign_in("viewer")
    page = viewer.get("/billing/meters/M-1")
    assert page.status_code == 200
    for words in ("Deactivate", "Reassign", "Correct the days", "Adjust<"):
        assert words not in page.text
    assert viewer.get("/billing/meters/M-1/edit").status_code == 403
    assert viewer.post(verb(company, "owing", "deactivate")).status_code == 403


# One meter


@pytest.mark.usefixtures("company")
def test_the_record_says_what_is_owed_and_why_and_whose_it_is(finance: FlaskClient) -> None:
    page = finance.get("/billing/meters/M-1?sort=-number")
    text = text_of(page.text)
    for words in (
        "Meter M-1 Owing", "Rina Wijaya", "Jl. Sudirman 1", "Rp 1,100.00", "1,500.00", "400.00",
        "since 1 Jan 2026", "INV-M-1", "PAY-M-1", "No adjustment of this meter yet.",
    ):  # fmt: skip
        assert words.replace("Rp ", "Rp\xa0") in text or words in text, words
    assert 'href="/billing/meters/M-2?sort=-number"' in page.text, "the way on through the list"
    assert 'href="/billing/meters/M-1/calculation/balance"' in page.text
    assert "Overpaid" in text_of(finance.get("/billing/meters/M-2").text)
    assert "Nobody's at present" in text_of(finance.get("/billing/meters/M-4").text)
    assert finance.get("/billing/meters/M-404").status_code == 404


def test_a_new_meter_is_saved_once_however_often_its_form_is_sent(
    finance: FlaskClient, session: Any
) -> None:
    derived = {"balance": "5", "invoiced": "5", "id": "77", "version": "9"}
    page = "/billing/meters/new"
    typed = form(finance, page, number=" M-7 ", description="Attic", **derived)
    for _time in range(2):
        answer = finance.post("/billing/meters/new", data=typed)
        assert (answer.status_code, answer.location) == (303, "/billing/meters/M-7")
    [meter] = session.scalars(select(Meter))
    assert (meter.number, meter.description, meter.version) == ("M-7", "Attic", 1)
    assert (meter.balance, meter.invoiced) == (0, 0)
    assert "Meter M-7 is saved." in text_of(finance.get(answer.location).text)


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("", "Enter a number."),
        ("M-2", "There is already a meter M-2."),
        ("attic", "end with a part that has a digit"),
        ("M-9?x", "Use letters, digits"),
        ("M" * 50 + "1", "At most 50 characters."),
    ],
)
def test_a_number_that_cannot_be_is_refused_with_a_sentence(
    finance: FlaskClient, number: str, said: str
) -> None:
    typed = form(finance, "/billing/meters/new", number=number)
    answer = finance.post("/billing/meters/new", data=typed, headers=HTMX)
    assert answer.status_code == 422
    assert said in text_of(answer.text)
    assert "<html" not in answer.text, "htmx gets the form alone"


@pytest.mark.usefixtures("company")
def test_a_second_editor_sees_what_the_first_one_saved(
    finance: FlaskClient, sign_in: SignIn, session: Any
) -> None:
    page = "/billing/meters/M-1/edit"
    mine = form(finance, page, description="Cellar")
    theirs = form(sign_in("finance", name="Sari"), page, number="M-11")
    assert sign_in("finance", name="Sari").post(page, data=theirs).status_code == 303
    stale = finance.post("/billing/meters/M-11/edit", data=mine)
    assert stale.status_code == 409
    text = text_of(stale.text)
    for words in ("Sari saved this at", "Number M-11 M-1 Theirs"):
        assert words in text
    again = fields_of(stale.text, "/billing/meters/M-11/edit")
    assert (again["number"], again["description"]) == ("M-11", "Cellar")
    assert finance.post("/billing/meters/M-11/edit", data=again).status_code == 303
    session.rollback()
    stored = session.scalars(select(Meter).where(Meter.number == "M-11")).one()
    assert (stored.description, stored.version) == ("Cellar", 3)


# Whose it is


def test_reassigning_makes_both_customers_right_at_once(
    finance: FlaskClient, company: dict[str, Any], outside: Outside
) -> None:
    address = verb(company, "owing", "reassign")
    typed = form(
        finance, "/billing/meters/M-1/reassign", address, customer="budi", since="2026-04-01"
    )
    answer = finance.post(address, data=typed)
    assert (answer.status_code, answer.location) == (303, "/billing/meters/M-1")
    assert finance.post(address, data=typed).status_code == 303, "sent twice it is done once"
    assert assignments(outside, "M-1") == [
        ("RINA", date(2026, 1, 1), date(2026, 3, 31), False),
        ("BUDI", date(2026, 4, 1), None, True),
    ]
    assert (owed_by(outside, "RINA"), owed_by(outside, "BUDI")) == ((0, 250), (1100, 0))
    text = text_of(finance.get("/billing/meters/M-1").text)
    assert "Meter M-1 is BUDI · Budi Santoso's at present." in text
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
    assert "Somebody else has changed whose meter M-1 is since you opened it." in text
    assert "since 5 May 2025" in text
    again = fields_of(stale.text, address)
    assert (again["customer"], again["version"]) == ("BUDI", "2")
    assert finance.post(address, data=again).status_code == 303
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


def test_activating_what_somebody_else_has_says_who(
    finance: FlaskClient, company: dict[str, Any], session: Any, outside: Outside
) -> None:
    other = MeterAssignmentFactory(
        meter=company["inactive"].meter, customer=company["budi"], is_active=True
    )
    session.commit()
    address = verb(company, "inactive", "activate")
    answer = finance.post(address, data=form(finance, "/billing/meters/M-3", address))
    assert answer.status_code == 409
    said = "Meter M-3 is assigned to BUDI · Budi Santoso at present. Reassign it from them"
    assert said in text_of(answer.text)
    assert owed_by(outside, "BUDI") == (7000, 0)
    stale = finance.post(
        verb({"held": other}, "held", "deactivate"),
        data={"version": "7", "idempotency_key": "stale"},
    )
    assert stale.status_code == 409
    assert "Look at how it is now" in text_of(stale.text)


def test_a_meter_is_assigned_and_whose_it_was_before_is_added(
    finance: FlaskClient, company: dict[str, Any], outside: Outside
) -> None:
    page = "/billing/meters/M-4/assign"
    typed = form(finance, page, customer="BUDI", assigned_from="2026-02-01")
    assert typed.get("is_active") == "y", "what is nobody's is meant to be active"
    assert finance.post(page, data=typed).status_code == 303
    assert owed_by(outside, "BUDI") == (40, 0)
    earlier = form(finance, page, customer="RINA", assigned_to="2026-01-31")
    assert "is_active" not in earlier
    assert finance.post(page, data=earlier).status_code == 303
    assert [row[::3] for row in assignments(outside, "M-4")] == [("BUDI", True), ("RINA", False)]
    overlapping = form(finance, page, customer="RINA", assigned_from="2026-03-01")
    answer = finance.post(page, data=overlapping)
    assert answer.status_code == 422
    assert "meter M-4 is BUDI · Budi Santoso's (2026-02-01 – …)" in text_of(answer.text)
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


# Adjustments


def test_an_adjustment_is_posted_and_voided_with_reasons(
    finance: FlaskClient, company: dict[str, Any], outside: Outside, session: Any
) -> None:
    page = "/billing/meters/M-1/adjust"
    typed = form(
        finance, page, amount="-100.00", reason="Goodwill", adjusted_on="2026-03-10", status="void"
    )
    for _time in range(2):
        assert finance.post(page, data=typed).location == "/billing/meters/M-1"
    assert owed_by(outside, "RINA") == (1000, 250)
    [posted] = session.scalars(select(MeterAdjustment))
    assert (posted.number, posted.status, posted.customer.code) == (
        "ADJ-2026-00001", "posted", "RINA",
    )  # fmt: skip
    address = "/billing/adjustments/ADJ-2026-00001"
    bare = finance.post(f"{address}/void", data=form(finance, address, f"{address}/void"))
    assert bare.status_code == 422
    assert "Say why, in a few words." in text_of(bare.text)
    why = form(finance, address, f"{address}/void", void_reason="Of another meter")
    assert finance.post(f"{address}/void", data=why).status_code == 303
    assert owed_by(outside, "RINA") == (1100, 250)
    text = text_of(finance.get(address).text)
    assert "Of another meter" in text
    assert "Void this adjustment" not in text
    again = finance.post(f"{address}/void", data={**why.to_dict(), "idempotency_key": "second"})
    assert again.status_code == 409
    listed = finance.get("/billing/adjustments?totals=1").text
    assert "<del>-100.00</del>" in listed
    assert "1 adjustment · Rp 0.00" in text_of(listed).replace("\xa0", " ")
    assert "Void,0.00\r\n" in finance.get("/billing/adjustments/export.csv").text


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"amount": ""}, "Enter an amount."),
        ({"amount": "0"}, "An adjustment of 0 changes nothing."),
        ({"amount": "NaN"}, "This is not a number."),
        ({"amount": "1e400"}, "exponents are not read"),
        ({"amount": "١٢٣"}, "Use the digits 0 to 9."),
        ({"amount": "1.5003"}, "At most 2 decimals"),
        ({"amount": "99999999999999"}, "This is too large"),
        ({"amount": "9999999999999.99"}, "This comes to more than can be stored."),
        ({"reason": "  "}, "Say why, in a few words."),
        ({"adjusted_on": "tomorrow"}, "This is not a date."),
        ({"customer": "nobody at all"}, "No customer is called that."),
        ({"number": "a b?"}, "Use letters, digits"),
        ({"number": "ADJ-TAKEN-1"}, "There is already an adjustment ADJ-TAKEN-1."),
    ],
)
def test_an_adjustment_that_cannot_be_is_refused_with_a_sentence(
    finance: FlaskClient, session: Any, typed: dict[str, str], said: str
) -> None:
    MeterAdjustmentFactory(number="ADJ-TAKEN-1")
    session.commit()
    page = "/billing/meters/M-1/adjust"
    given = {"amount": "5", "reason": "Why", "adjusted_on": "2026-03-10", **typed}
    answer = finance.post(page, data=form(finance, page, **given))
    assert answer.status_code == 422, answer.status_code
    assert said in text_of(answer.text)
    assert len(session.scalars(select(MeterAdjustment)).all()) == 1


@pytest.mark.usefixtures("company")
def test_an_adjustment_of_nobodys_meter_wants_a_customer(
    finance: FlaskClient, session: Any
) -> None:
    page = "/billing/meters/M-4/adjust"
    given = {"amount": "5", "reason": "Why", "adjusted_on": "2026-03-10"}
    answer = finance.post(page, data=form(finance, page, **given))
    assert answer.status_code == 422
    assert "Meter M-4 was nobody's on 2026-03-10." in text_of(answer.text)
    for_budi = form(finance, page, **given, customer="BUDI")
    assert finance.post(page, data=for_budi).status_code == 303


# How was this calculated?


def ways_on(client: FlaskClient, page: str) -> set[str]:
    """Where one gets by a click in the middle of the page."""
    html = client.get(page).text
    main = html[html.index("<main") : html.index("</main>")]
    return {way.replace("&amp;", "&") for way in re.findall(r'href="([^"#]+)"', main)}


@pytest.mark.usefixtures("company")
def test_from_the_customer_to_the_source_rows_it_is_two_clicks(finance: FlaskClient) -> None:
    [of_customer] = {
        way for way in ways_on(finance, "/customers/RINA") if "/calculation/balance" in way
        and way.startswith("/billing/customers/")
    }  # fmt: skip
    page = text_of(finance.get(of_customer).text)
    assert "1,100.00 = 1,100.00 + 0.00" in page
    assert "Not counted: not actively assigned M-3 7,000.00" in page
    assert "/billing/meters/M-1/calculation/balance" in ways_on(finance, of_customer)
    documents = finance.get("/billing/meters/M-1/calculation/balance")
    text = text_of(documents.text)
    for words in ("1,100.00 = 1,500.00 + 0.00 − 400.00", "INV-M-1", "PAY-M-1", "15 Mar 2026"):
        assert words in text
    assert "/billing/meters/M-1/calculation/paid" in documents.text


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize(
    ("number", "name", "said"),
    [
        ("M-1", "invoiced", "1,500.00 = 1,500.00"),
        ("M-1", "adjusted", "0.00 ="),
        ("M-1", "paid", "400.00 = 400.00"),
        ("M-1", "overpayment", "0.00 = 400.00 − 1,500.00 − 0.00"),
        ("M-2", "overpayment", "250.00 = 350.00 − 100.00 − 0.00"),
        ("M-2", "balance", "0.00 = 100.00 + 0.00 − 350.00"),
    ],
)
def test_every_figure_of_a_meter_explains_itself(
    finance: FlaskClient, number: str, name: str, said: str
) -> None:
    page = finance.get(f"/billing/meters/{number}/calculation/{name}")
    assert page.status_code == 200
    assert said in text_of(page.text)
    assert "Stored as calculated" in page.text
    assert finance.get(f"/billing/meters/{number}/calculation/number").status_code == 404
    assert finance.get("/billing/customers/RINA/calculation/name").status_code == 404


@pytest.mark.leaves_drift
def test_a_figure_that_somebody_tampered_with_is_shown_beside_what_it_should_be(
    finance: FlaskClient, company: dict[str, Any], admin_database_url: str
) -> None:
    with psycopg.connect(admin_database_url, autocommit=True) as surgery:
        surgery.execute("SET session_replication_role = replica")
        surgery.execute("UPDATE meters SET paid = 1 WHERE number = 'M-1'")
        surgery.execute("UPDATE meters SET balance = 9 WHERE number = 'M-2'")
    record = text_of(finance.get("/billing/meters/M-1").text)
    assert "A figure of this meter is stored wrongly." in record
    paid = text_of(finance.get("/billing/meters/M-1/calculation/paid").text)
    assert "Stored wrongly" in paid
    assert "Expected 400.00 Stored 1.00" in paid
    of_customer = text_of(finance.get("/billing/customers/RINA/calculation/balance").text)
    assert "M-2 0.00" in of_customer, "what it should be, not what is stored"
    assert "Expected 1,100.00" in of_customer


@pytest.mark.usefixtures("company")
def test_very_many_documents_are_counted_and_their_list_is_a_click_away(
    finance: FlaskClient, company: dict[str, Any], session: Any
) -> None:
    held = company["owing"]
    for number in range(210):
        InvoiceFactory(
            number=f"N-{number}", meter=held.meter, customer=held.customer,
            units=None, rate=None, amount=Decimal(1),
        )  # fmt: skip
    session.commit()
    page = finance.get("/billing/meters/M-1/calculation/invoiced")
    assert "… and 11 more" in text_of(page.text)
    assert 'href="/billing/invoices?meter=M-1"' in page.text


# On the customer's screen, in the history, for the watch and on Today


@pytest.mark.usefixtures("company")
def test_the_customers_screen_shows_each_meter_and_what_they_come_to(finance: FlaskClient) -> None:
    page = finance.get("/customers/RINA")
    text = text_of(page.text)
    for words in ("Meters Owing", "1,100.00", "250.00", "M-1", "Inactive, not counted", "7,000.00"):
        assert words in text
    assert 'href="/billing/meters?customer=RINA"' in page.text
    totals = finance.get("/customers?totals=1").text
    foot = text_of(totals[totals.index('<tfoot class="totals"') : totals.index("</tfoot>")])
    assert "1,100.00 250.00" in foot
    assert "Meters" not in text_of(finance.get("/customers/BUDI").text), "nothing of theirs"


def test_the_history_tells_every_change_in_words(
    finance: FlaskClient, company: dict[str, Any]
) -> None:
    edit = "/billing/meters/M-1/edit"
    finance.post(edit, data=form(finance, edit, description="Cellar"))
    reassign = verb(company, "owing", "reassign")
    finance.post(
        reassign,
        data=form(
            finance, "/billing/meters/M-1/reassign", reassign, customer="BUDI", since="2026-04-01"
        ),
    )
    adjust = "/billing/meters/M-1/adjust"
    finance.post(adjust, data=form(finance, adjust, amount="5", reason="Fee"))
    text = text_of(finance.get("/billing/meters/M-1/history").text)
    for words in (
        "Description before: Jl. Sudirman 1 → after: Cellar",
        "Assignment to RINA · Rina Wijaya · Until before: … → after: 31 Mar 2026",
        "Assignment to RINA · Rina Wijaya · Active before: yes → after: no",
        "Assignment to BUDI · Budi Santoso after: 1 Apr 2026 – … · Active",
        "5.00 · Fee",
        "Created",
    ):
        assert words in text, text


def test_the_watch_knows_meters_invoices_and_customers_by_name(
    app: Flask, company: dict[str, Any]
) -> None:
    key = {"id": "1"}
    with app.test_request_context():
        for figure, name, record, calculation in (
            ("meters.documents", "M-1", "/billing/meters/M-1",
             "/billing/meters/M-1/calculation/paid"),
            ("customers.balance", "RINA", "/customers/RINA",
             "/billing/customers/RINA/calculation/paid"),
            ("invoices.paid", "INV-1", "/billing/invoices/INV-1",
             "/billing/invoices/INV-1/calculation/paid"),
        ):  # fmt: skip
            place = Place(1, key, name)
            assert subjects.record_url(figure, place) == record
            assert subjects.calculation_url(figure, place, "paid") == calculation
            assert subjects.owners_named(figure, name) is not None


def test_recalculating_covers_a_meter_or_everything_of_a_customer(
    app: Flask, session: Any, company: dict[str, Any]
) -> None:
    finance = session.get_one(User, someone(app, "finance"))
    manager = session.get_one(User, someone(app, "account_manager"))
    rina, held = company["rina"].id, company["owing"]
    of_meter = recalculation.owners_of(session, finance, "meter", held.meter_id)
    assert of_meter == {
        "invoices.amount": [1], "invoices.paid": [1], "meters.documents": [held.meter_id],
        "meters.balance": [held.meter_id], "customers.balance": [rina],
    }  # fmt: skip
    of_customer = recalculation.owners_of(session, finance, "customer", rina) or {}
    meters = sorted(company[name].meter_id for name in ("owing", "overpaid", "inactive"))
    assert of_customer["meters.balance"] == meters
    assert of_customer["customers.balance"] == [rina]
    assert recalculation.owners_of(session, manager, "meter", held.meter_id) is None
    theirs = recalculation.owners_of(session, manager, "customer", rina) or {}
    assert not [figure for figure in theirs if figure.startswith(("meters", "customers"))]
    assert recalculation.owners_of(session, finance, "meter", 404) is None


@pytest.mark.usefixtures("company")
def test_the_recalculate_buttons_begin_a_preview(finance: FlaskClient, session: Any) -> None:
    for page in ("/billing/meters/M-1", "/billing/customers/RINA/calculation/balance"):
        html = finance.get(page).text
        [address] = set(re.findall(r'action="(/health/drift/recalculate/[^"]+)"', html))
        answer = finance.post(address, data=fields_of(html, address))
        assert re.fullmatch(r"/runs/\d+", answer.location), answer.location


@pytest.mark.usefixtures("company")
def test_today_tells_what_counts_nowhere_and_what_nobody_owes(
    finance: FlaskClient, session: Any, sign_in: SignIn
) -> None:
    budi = session.scalars(select(Customer).where(Customer.code == "BUDI")).one()
    PaymentFactory(customer=budi, amount=70)
    PaymentFactory(customer=budi, amount=9, status="void")
    InvoiceFactory(customer=budi, units=None, rate=None, amount=30)
    session.commit()
    text = text_of(finance.get("/today").text).replace("\xa0", " ")
    for words in (
        "1 payment is not matched to a meter: Rp 70.00.",
        "1 invoice has no meter: Rp 30.00.",
        "2 meters have a balance and are assigned to nobody: Rp 7,040.00.",
    ):
        assert words in text, text
    here = "/billing/meters?owed=owing&assigned=unassigned&sort=-balance"
    assert re.findall(r'class="row-link"[^>]*>(M-\d)<', finance.get(here).text) == ["M-3", "M-4"]
    assert "meter" not in text_of(sign_in("account_manager").get("/today").text).lower()


def test_the_number_of_statements_does_not_grow_with_the_meters(
    finance: FlaskClient,
    session: Any,
    statements: Callable[[], Any],  # noqa: F811
) -> None:
    rina = CustomerFactory(code="RINA")
    meter_of(rina, "M-0", owed=10)
    session.commit()
    finance.get("/customers/RINA")
    counts = []
    for pages in (1, 2):
        for number in range(20):
            meter_of(rina, f"M-{pages}-{number}", owed=10)
        session.commit()
        with statements() as found:
            for page in ("/billing/meters", "/customers/RINA", "/customers"):
                assert finance.get(page).status_code == 200
        counts.append(len(found))
    assert counts[0] == counts[1]
    assert len(session.scalars(select(MeterAssignment)).all()) == 41
