"""The screens of gas: a customer's months, one month's details, the storage switch, and the preview of prices."""

import csv
import io
import json
import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient
from openpyxl import load_workbook
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backoffice.app.extensions import db
from backoffice.base.periods import Month
from backoffice.customers.models import Customer
from backoffice.gas import actions
from backoffice.gas.models import (
    AMOUNTS,
    Deposit,
    GasPrice,
    MonthlyCustomerBalance,
    Reading,
    TransactionCalculation,
)
from backoffice.search import views as search
from tests.factories.customers import CustomerFactory
from tests.factories.gas import DepositFactory, GasPriceFactory, ReadingFactory
from tests.orders.pages import _Reader, text_of

from .oracle import stored

SignIn = Callable[..., FlaskClient]
D = Decimal
AT = "/gas/customers/G-1"
PAGES = (f"{AT}/statement", f"{AT}/statement?print=1", "/customers/G-1", f"{AT}/months/2026-01")
FILES = (
    f"{AT}/statement.csv",
    "/gas/months/export.csv",
    "/gas/months/export.csv?month=202603",
    "/gas/calculations/export.csv",
)
SYNC = ("balance", "sync-realtime", "--all", "--json")
UNTIL_NOW = [str(month) for month in Month(2026, 1).through(Month.current())]


@pytest.fixture
def customer(session: Session) -> Customer:
    """A customer with movements in January and April 2026; the first reading is before the first price."""
    made = CustomerFactory(code="G-1", name="Gas One")
    GasPriceFactory(
        customer=made,
        effective_from=date(2026, 1, 10),
        price_per_sm3=D(100),
        correction_factor=D(1),
    )
    for day in (date(2026, 1, 5), date(2026, 1, 20), date(2026, 4, 2)):
        ReadingFactory(customer=made, read_on=day, metered_volume=D(10))
    DepositFactory(customer=made, deposited_on=date(2026, 1, 2), amount=D(5000))
    session.commit()
    return made  # type: ignore[no-any-return]


def test_a_statement_has_every_month_and_says_which_is_incomplete(
    sign_in: SignIn, customer: Customer
) -> None:
    page = text_of(sign_in("viewer").get(f"{AT}/statement").text)
    for month in ("January 2026", "February 2026", "March 2026", "April 2026"):
        assert month in page
    assert "Incomplete: a reading has no price" in page
    assert f"{Month.current().first:%B %Y}" in page
    assert page.count("No movement") == len(UNTIL_NOW) - 2
    assert "1 reading has no price in force on its day and is in no balance" in page
    assert "Rp 3,000.00" in page


def test_the_file_holds_the_months_of_the_screen(sign_in: SignIn, customer: Customer) -> None:
    file = sign_in("viewer").get(f"{AT}/statement.csv").get_data(as_text=True)
    rows = list(csv.reader(io.StringIO(file.removeprefix("\ufeff"))))
    months = {row[0]: row[1:6] for row in rows[1:]}
    assert list(months) == UNTIL_NOW[::-1]
    assert months["2026-03"] == ["4000.00", "0.00", "0.00", "4000.00", "0"]
    assert months[UNTIL_NOW[-1]] == ["3000.00", "0.00", "0.00", "3000.00", "0"]
    assert sign_in("viewer").get(f"{AT}/statement.xlsx").status_code == 200
    assert "February 2026" in sign_in("viewer").get(f"{AT}/statement?print=1").text


def test_a_customers_months_are_the_same_stored_and_computed(
    sign_in: SignIn, session: Session, customer: Customer, run_command: Any
) -> None:
    browser = sign_in("finance")

    def everything() -> dict[str, Any]:
        """The amounts on every screen, chart, export and command."""
        pages = {at: browser.get(at).text for at in (*PAGES, *FILES)}
        found: dict[str, Any] = {at: _amounts(page) for at, page in pages.items()}
        found["charts"] = [
            re.findall(r'(?s)<svg class="chart-plot.*?</svg>', pages[at]) for at in PAGES
        ]
        book = load_workbook(io.BytesIO(browser.get(f"{AT}/statement.xlsx").data))
        found["workbook"] = list(book.worksheets[0].values)[: 1 + len(UNTIL_NOW)]
        counts = json.loads(run_command("balance", "counts", "--json").stdout)
        found["counts"] = [counts[name] for name in ("readings", "gas_prices", "deposits")]
        force = run_command("balance", "sync-realtime", "--all", "--force", "--dry-run")
        found["sync"] = (force.exit_code, json.loads(run_command(*SYNC).stdout)["failures"])
        return found

    before = everything()
    assert (before["sync"], len(before["workbook"])) == ((0, []), 1 + len(UNTIL_NOW))
    assert all(before[at] for at in (*PAGES, *FILES))
    assert [len(charts) for charts in before["charts"]] == [2, 0, 2, 0]
    answer = browser.post(f"{AT}/realtime/off", data=_token(browser, "a"))
    assert answer.status_code == 303
    assert session.scalar(select(func.count()).select_from(MonthlyCustomerBalance)) == 0
    assert "are not stored" in browser.get(f"{AT}/statement").text
    assert everything() == before
    browser.post(f"{AT}/realtime/on", data=_token(browser, "b"))
    session.rollback()
    assert session.scalar(select(func.count()).select_from(MonthlyCustomerBalance)) == 2
    assert everything() == before


def test_how_it_was_calculated_is_the_same_stored_and_computed(
    sign_in: SignIn, session: Session, customer: Customer
) -> None:
    browser = sign_in("viewer")
    months = [f"/gas/months/{customer.id}/2026-0{month}" for month in (1, 4)]
    readings = [
        f"/gas/calculations/{c.reading_id}" for c in session.scalars(select(TransactionCalculation))
    ]
    named = [(months[0], ("calculation_details", "closing_balance")), (months[1], AMOUNTS)]
    named += [(readings[0], ("pricing_used", "volume_sm3", "total_price"))]
    addresses = [f"{row}/calculation/{column}" for row, columns in named for column in columns]
    before = {at: _explained(browser, at) for at in addresses}
    actions.switch(session, customer.id, is_stored=False)
    session.commit()
    assert {at: _explained(browser, at) for at in addresses} == before
    linked = browser.get(f"{AT}/months/2026-01").text + browser.get(f"{AT}/months/2026-04").text
    for at in (
        f"{months[0]}/calculation/closing_balance",
        f"{readings[0]}/calculation/total_price",
    ):
        assert f'href="{at}"' in linked
        assert "Calculated when it is read" in browser.get(at).text
    for at in (*months, *readings):
        assert browser.get(at).status_code == browser.get(f"{at}/history").status_code == 200
    for none in (
        f"/gas/months/{customer.id}/2026-02",
        "/gas/months/99/2026-01",
        "/gas/calculations/99",
    ):
        assert browser.get(f"{none}/calculation").status_code == 404
    assert stored(session, customer.id) == ({}, {})


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that may take its time: what is found does not depend on how busy the machine is."""
    for name in ("SUGGESTIONS", "WHOLE_PAGE"):
        pace = search.Pace(getattr(search, name).limit, 60.0, 300.0)
        monkeypatch.setattr(search, name, pace)


@pytest.mark.usefixtures("patient")
def test_a_month_is_found_by_its_code_and_words_that_are_none_find_no_month(
    sign_in: SignIn, customer: Customer
) -> None:
    browser = sign_in("viewer")
    found = browser.get("/search", query_string={"q": f"{customer.id}/2026-04"})
    assert f"/gas/months/{customer.id}/2026-04" in (found.headers.get("Location") or found.text)
    for none in ("A-1", "7/2026-13", f"{customer.id}/2026-4"):
        page = browser.get("/search", query_string={"q": none})
        assert (page.status_code, "/gas/months/" in page.text) == (200, False)


@pytest.mark.usefixtures("patient")
def test_words_find_a_customer_and_nothing_that_is_known_by_a_number(
    sign_in: SignIn, customer: Customer
) -> None:
    actions.switch(db.session(), customer.id, is_stored=False)
    db.session.commit()
    page = sign_in("viewer").get("/search", query_string={"q": "Gas One"})
    assert (page.status_code, "/customers/G-1" in page.text) == (200, True)
    for address in ("/gas/readings/", "/gas/deposits/", "/gas/months/"):
        assert address not in page.text


def test_a_price_that_is_missing_is_entered_from_the_day_of_the_reading_on(
    sign_in: SignIn, customer: Customer
) -> None:
    browser = sign_in("finance")
    address = "/gas/prices/new?customer=G-1&amp;effective_from=2026-01-05"
    for page in (f"{AT}/months/2026-01", f"{AT}/statement", "/customers/G-1"):
        assert f'href="{address}"' in browser.get(page).text, page
    reader = _Reader("gasprice-form")
    reader.feed(browser.get(address.replace("&amp;", "&")).text)
    typed = reader.fields
    assert (typed["effective_from"], typed["price_per_sm3"]) == ("2026-01-05", "100.00")


def test_a_reading_leads_to_its_month_its_price_and_its_calculation(
    session: Session, sign_in: SignIn, customer: Customer
) -> None:
    first, second, _third = session.scalars(select(Reading).order_by(Reading.read_on))
    price = session.scalars(select(GasPrice)).one()
    browser = sign_in("viewer")
    page = browser.get(f"/gas/readings/{second.id}").text
    for address in (
        f"{AT}/months/2026-01", f"/gas/prices/{price.id}", f"/gas/calculations/{second.id}/calculation",
    ):  # fmt: skip
        assert f'href="{address}"' in page
        assert browser.get(address).status_code == 200
    assert "Total price 1,000" in text_of(page)
    page = browser.get(f"/gas/readings/{first.id}").text
    assert "No price is in force on that day." in page
    actions.switch(session, customer.id, is_stored=False)
    session.commit()
    page = browser.get(f"/gas/readings/{second.id}").text
    assert ("Total price 1,000" in text_of(page), "/calculation" in page) == (True, True)


def test_only_who_may_write_may_switch(sign_in: SignIn, customer: Customer) -> None:
    browser = sign_in("viewer")
    assert "realtime" not in browser.get(f"{AT}/statement").text
    assert browser.post(f"{AT}/realtime/off", data=_token(browser)).status_code == 403
    assert sign_in("account_manager").get(f"{AT}/statement").status_code == 403


def test_a_month_names_its_readings_and_those_without_a_price(
    sign_in: SignIn, customer: Customer
) -> None:
    page = sign_in("viewer").get(f"{AT}/months/2026-01").text
    assert "No price" in text_of(page)
    assert "This month is incomplete: 1 reading" in text_of(page)
    code = f"{customer.id}/2026-01"
    assert f'href="/gas/months/{code}/calculation/closing_balance"' in page
    how = sign_in("viewer").get(f"/gas/months/{code}/calculation/closing_balance")
    assert "Opening balance" in text_of(how.text)
    empty = sign_in("viewer").get(f"{AT}/months/2026-02")
    assert "Nothing was read in this month" in text_of(empty.text)
    later = sign_in("viewer").get(f"{AT}/months/2026-05")
    assert "Closing balance Rp 3,000.00" in text_of(later.text)
    for none in ("2025-12", str(Month.current() + 1)):
        assert sign_in("viewer").get(f"{AT}/months/{none}").status_code == 404
    assert sign_in("viewer").get(f"{AT}/months/May").status_code == 404


@pytest.mark.parametrize("is_stored", [True, False])
def test_balances_of_one_month_are_those_of_everybody(
    sign_in: SignIn, session: Session, customer: Customer, is_stored: bool
) -> None:
    DepositFactory(customer__name="Gas Two", deposited_on=date(2026, 5, 3), amount=D(70))
    DepositFactory(customer__name="Gas Three", deposited_on=date(2026, 6, 3), amount=D(900))
    actions.switch(session, customer.id, is_stored=is_stored)
    session.commit()
    browser = sign_in("viewer")
    for query in ("month=202605", "since=2026-05-01&until=2026-05-31"):
        page = text_of(
            browser.get(f"/gas/months?{query}&columns=customer,state,closing_balance").text
        )
        assert "Gas Two 70.00" in page
        assert "Gas One No movement 3,000.00" in page
        assert "Gas Three" not in page
        file = browser.get(f"/gas/months/export.csv?{query}").get_data(as_text=True)
        assert "2026-05,Gas One,G-1,No movement,0,3000.00,0.00,0.00,3000.00" in file
    book = load_workbook(io.BytesIO(browser.get("/gas/months/export.xlsx?month=202605").data))
    balances = {row[1]: row[8] for row in book.worksheets[0].iter_rows(max_row=3, values_only=True)}
    assert (balances["Gas One"], balances["Gas Two"]) == (3000, 70)
    assert "Gas One" not in browser.get("/gas/months/export.csv?month=202512").text
    whole = text_of(browser.get("/gas/months").text)
    assert "in each month with a movement" in whole
    assert "No movement" not in whole


def test_the_customers_own_page_shows_the_months(sign_in: SignIn, customer: Customer) -> None:
    page = sign_in("viewer").get("/customers/G-1").text
    assert "April 2026" in text_of(page)
    assert f"{Month.current().first:%B %Y}" in text_of(page)
    assert page.count('<svg class="chart-plot"') == 2
    CustomerFactory(code="N-1")
    assert 'id="gas-heading"' not in sign_in("viewer").get("/customers/N-1").text
    assert 'id="gas-heading"' not in sign_in("account_manager").get("/customers/G-1").text


def test_a_deposit_is_entered_beside_the_statement(
    sign_in: SignIn, session: Session, customer: Customer
) -> None:
    browser = sign_in("finance")
    form = _of(browser, f"{AT}/statement", "deposit-form")
    answer = browser.post(
        "/gas/deposits/new", data=form | {"amount": "1,250.50", "deposited_on": "2026-03-03"}
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{AT}/statement")
    assert session.scalars(select(Deposit.amount).order_by(Deposit.id.desc())).first() == D(
        "1250.50"
    )
    wrong = browser.post("/gas/deposits/new", data=_of(browser, f"{AT}/statement", "deposit-form"))
    assert wrong.status_code == 422
    assert "Enter an amount." in wrong.text


def test_a_balance_that_no_column_holds_is_refused_with_a_sentence(
    sign_in: SignIn, session: Session, customer: Customer
) -> None:
    browser = sign_in("finance")
    typed = {"amount": "9,999,999,999,999.99", "deposited_on": "2026-03-03"}
    answers = []
    for _time in range(2):
        form = _of(browser, "/gas/deposits/new", "deposit-form")
        answers.append(browser.post("/gas/deposits/new", data=form | typed | {"customer": "G-1"}))
    assert [answer.status_code for answer in answers] == [422, 422]
    assert "Look for a digit too many." in text_of(answers[0].text)
    assert session.scalar(select(func.count()).select_from(Deposit)) == 1


def test_a_price_shows_every_month_that_it_changes_and_saves_nothing(
    sign_in: SignIn, session: Session, customer: Customer
) -> None:
    browser = sign_in("finance")
    opened = browser.get("/gas/prices/new?customer=G-1").text
    assert 'value="G-1 · Gas One"' in opened
    typed = {
        **_of(browser, "/gas/prices/new?customer=G-1", "gasprice-form"),
        "effective_from": "2026-01-01", "price_per_sm3": "200", "correction_factor": "1.5",
    }  # fmt: skip
    shown = text_of(browser.post("/gas/prices/preview", data=typed).text)
    assert "2 months change" in shown
    # January's first reading is priced at 200 × 15; the price of 10 January still holds after it.
    for row in (
        "January 2026 10 25 1,000.00 4,000.00 4,000.00 1,000.00 -3,000.00",
        "April 2026 10 10 1,000.00 1,000.00 3,000.00 0.00 -3,000.00",
        "2 months · Rp 20 35 2,000.00 5,000.00 3,000.00 0.00 -3,000.00",
    ):
        assert row in shown
    assert "-Rp 3,000.00" in shown
    assert session.scalar(select(func.count()).select_from(GasPrice)) == 1
    saved = browser.post("/gas/prices/new", data=typed)
    assert saved.status_code == 303
    session.rollback()
    assert session.scalar(select(func.count()).select_from(GasPrice)) == 2
    assert "Incomplete" not in text_of(browser.get(f"{AT}/statement").text)


def test_a_price_from_a_day_that_has_one_is_refused_with_a_sentence(
    sign_in: SignIn, session: Session, customer: Customer
) -> None:
    browser = sign_in("finance")
    typed = {
        **_of(browser, "/gas/prices/new?customer=G-1", "gasprice-form"),
        "effective_from": "2026-01-10", "price_per_sm3": "200", "correction_factor": "1",
    }  # fmt: skip
    shown = browser.post("/gas/prices/preview", data=typed).text
    price = session.scalars(select(GasPrice.id)).one()
    assert "This customer has a price from that day already: 100.00 per Sm³" in text_of(shown)
    assert f'href="/gas/prices/{price}/edit"' in shown
    assert ("gas-effects" in shown, "month changes" in shown) == (False, False)
    answer = browser.post("/gas/prices/new", data=typed)
    assert answer.status_code == 422
    assert "This customer has a price from that day already." in answer.text


def test_an_edited_price_previews_over_itself(
    sign_in: SignIn, session: Session, customer: Customer
) -> None:
    browser, price = sign_in("finance"), session.scalars(select(GasPrice)).one()
    at = f"/gas/prices/{price.id}/edit"
    typed = {**_of(browser, at, "gasprice-form"), "price_per_sm3": "150"}
    shown = text_of(browser.post("/gas/prices/preview", data=typed).text)
    assert "2 months change" in shown
    assert "-Rp 1,000.00" in shown
    assert browser.post(at, data=typed).status_code == 303


def test_a_price_stays_with_its_customer(
    sign_in: SignIn, session: Session, customer: Customer
) -> None:
    """Moved to another customer it would change every month of this one, and show none of them."""
    browser, price = sign_in("finance"), session.scalars(select(GasPrice)).one()
    CustomerFactory(code="G-2")
    session.commit()
    typed = _of(browser, f"/gas/prices/{price.id}/edit", "gasprice-form")
    assert "customer" not in typed
    moved = typed | {"customer": "G-2", "price_per_sm3": "150"}
    assert "2 months change" in text_of(browser.post("/gas/prices/preview", data=moved).text)
    assert browser.post(f"/gas/prices/{price.id}/edit", data=moved).status_code == 303
    session.rollback()
    assert session.scalars(select(GasPrice.customer_id)).one() == customer.id
    GasPriceFactory(customer=customer, effective_from=date(2026, 3, 1))
    session.commit()
    typed = _of(browser, f"/gas/prices/{price.id}/edit", "gasprice-form")
    taken = typed | {"effective_from": "2026-03-01"}
    shown = browser.post("/gas/prices/preview", data=taken).text
    assert ("gas-effects" in shown, "Change that price" in shown) == (False, True)
    refused = browser.post(f"/gas/prices/{price.id}/edit", data=taken)
    assert (refused.status_code, "has a price from that day already" in refused.text) == (422, True)


def test_a_month_that_becomes_incomplete_is_told_apart_from_one_that_stays_so(
    sign_in: SignIn, session: Session, customer: Customer
) -> None:
    ReadingFactory(customer=customer, read_on=date(2026, 2, 10))
    ReadingFactory(customer=customer, read_on=date(2026, 2, 20))
    session.commit()
    browser, price = sign_in("finance"), session.scalars(select(GasPrice)).one()
    typed = _of(browser, f"/gas/prices/{price.id}/edit", "gasprice-form")
    moved = typed | {"effective_from": "2026-03-01"}
    shown = text_of(browser.post("/gas/prices/preview", data=moved).text)
    assert "1 month becomes incomplete: 2 readings lose their price." in shown
    assert "1 of these months stays incomplete" in shown
    assert "before the first price. 1 reading loses its price." in shown


def test_what_is_in_order_has_no_badge(sign_in: SignIn, customer: Customer) -> None:
    browser = sign_in("viewer")
    for at, badges in ((f"{AT}/statement", len(UNTIL_NOW) - 1), ("/gas/readings", 1)):
        page = browser.get(at).text
        assert page.count("badge-tone") == badges
        assert "Project-Id" not in page


def test_tabs_lead_to_all_lists(sign_in: SignIn, customer: Customer) -> None:
    browser = sign_in("viewer")
    for name in ("months", "readings", "prices", "deposits", "calculations"):
        page = browser.get(f"/gas/{name}").text
        assert f'href="/gas/{name}" aria-current="page"' in page
        assert "Gas One" in text_of(page)


def _of(browser: FlaskClient, at: str, form_id: str) -> dict[str, str]:
    """What a form of a page would send."""
    reader = _Reader(form_id)
    reader.feed(browser.get(at).text)
    assert reader.fields
    return reader.fields.to_dict()


def _explained(browser: FlaskClient, at: str) -> str:
    """The text of *How was this calculated?*, without the note on storage and without row ids."""
    answer = browser.get(at)
    assert answer.status_code == 200, at
    page = re.sub(r'(?s)<tr class="ladder-stored">.*?</tr>', "", answer.text)
    said = text_of(page).partition("How was this calculated?")[2]
    said = re.sub(r"Stored as calculated|Calculated when it is read|#\d+", "", said)
    return re.sub(r"\s+", " ", said)


def _token(browser: FlaskClient, key: str = "") -> dict[str, str]:
    page = browser.get("/gas/readings").text
    token = page.split('name="csrf-token" content="')[1].split('"')[0]
    return {"csrf_token": token, "idempotency_key": key}


def _amounts(text: str) -> list[str]:
    """The amounts of a page or a file, which say nothing of when it was made."""
    return re.findall(r"[\d,]*\.\d\d\d?\b", text)
