"""Adjustments over HTTP: posting with a reason, what is refused, voiding."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from backoffice.billing.models import MeterAdjustment
from tests.customers.desk import form
from tests.factories.billing import MeterAdjustmentFactory
from tests.orders.pages import text_of

from .meter_desk import a_company
from .meters import owed_by

SignIn = Callable[..., FlaskClient]
Outside = psycopg.Connection[Any]


@pytest.fixture
def outside(owner_connection: Outside) -> Outside:
    """Another program: it sees what is committed."""
    return owner_connection


@pytest.fixture
def company(session: Any) -> dict[str, Any]:
    """RINA owes 1,100 on M-1 and paid 250 too much on M-2; M-3 was hers; M-4, with 40, is nobody's."""
    return a_company(session)


@pytest.fixture
def finance(sign_in: SignIn) -> FlaskClient:
    return sign_in("finance")


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
    assert "Say why it becomes void." in text_of(bare.text)
    why = form(finance, address, f"{address}/void", reason="Of another meter")
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
    assert "Meter M-4 was nobody's on 10 Mar 2026." in text_of(answer.text)
    for_budi = form(finance, page, **given, customer="BUDI")
    assert finance.post(page, data=for_budi).status_code == 303
