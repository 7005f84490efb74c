"""Targets over HTTP: the list, a year, a month with its calculation, and entering them."""

import re
from decimal import Decimal

import pytest
from sqlalchemy import select

from backoffice.app.extensions import db
from backoffice.base.periods import Month
from backoffice.drift.healing.performing import performed
from backoffice.targets import queries
from backoffice.targets.models import AccountManagerTarget
from tests.drift.books import run_of
from tests.factories.people import AccountManagerFactory
from tests.files_for_people import text_for_people
from tests.orders.pages import outputs_of, text_of

from .pages import fields_of, filled

FORM = "accountmanagertarget-form"


@pytest.fixture
def andrew(session):
    """Another account manager."""
    return AccountManagerFactory(name="Andrew Fuller")


@pytest.fixture
def shop(session, nancy, andrew, close, aim):
    """Nancy closed two orders in January against a target of 100; Andrew one."""
    close(nancy, "1997-01-05", "60")
    close(nancy, "1997-01-31", "30.50")
    close(andrew, "1997-02-01", "200")
    aim(nancy, "1997-01", "100")
    aim(andrew, "1997-03", "70")
    session.commit()


def targets(session):
    session.rollback()
    rows = session.scalars(select(AccountManagerTarget).order_by(AccountManagerTarget.month)).all()
    return {str(Month.of(row.month)): row.target for row in rows}


# The list


def test_the_list_shows_months_with_the_totals_of_the_filter(sign_in, shop):
    browser = sign_in("finance")
    page = text_of(browser.get("/targets").text)
    assert "3 months of account managers · Rp 170.00 290.50 120.50" in page
    page = text_of(browser.get("/targets?year=1997&month=1").text)
    assert "January 1997 Nancy Davolio 100.00 90.50 -9.50 90.5% 2" in page
    assert "1 month of an account manager · Rp 100.00 90.50 -9.50" in page


@pytest.mark.parametrize(
    ("state", "months"), [("reached", []), ("missed", ["January", "March"]), ("none", ["February"])]
)
def test_the_list_is_narrowed_to_what_was_reached_or_missed(sign_in, shop, state, months):
    page = sign_in("finance").get(f"/targets?state={state}").text
    assert sorted(re.findall(r">(January|February|March) 1997<", page)) == sorted(months)


def test_what_was_achieved_leads_to_exactly_its_orders(sign_in, shop):
    browser = sign_in("finance")
    page = browser.get("/targets?year=1997&month=1").text
    [href] = {h.replace("&amp;", "&") for h in re.findall(r'href="(/orders\?[^"]+)"', page)}
    assert "2 orders · Rp" in text_of(browser.get(href).text)
    assert "90.50" in text_of(browser.get(href).text)


def test_a_file_of_the_list_has_the_totals_of_the_screen(sign_in, shop):
    lines = text_for_people(sign_in("finance"), "/targets/export.csv?year=1997").splitlines()
    assert lines[-1] == "Total: Orders closed,3"
    assert "Total: Achieved,290.50" in lines
    assert "1997-01,Nancy Davolio,100.00,90.50,-9.50,90.5,2" in lines


def test_an_account_manager_sees_their_own_and_cannot_enter(sign_in, shop, nancy, andrew):
    browser = sign_in(nancy)
    page = browser.get("/targets").text
    assert "Andrew" not in page
    own = browser.get(f"/targets/years/1997/{nancy.id}")
    assert own.status_code == 200
    assert "Enter targets" not in own.text
    assert "/edit" not in browser.get(f"/targets/{nancy.id}/1997-01").text
    assert browser.get(f"/targets/years/1997/{nancy.id}/edit").status_code == 403
    for path in (f"/targets/years/1997/{andrew.id}", f"/targets/{andrew.id}/1997-02"):
        assert browser.get(path).status_code == 404
    total = text_of(browser.get("/targets/years/1997").text)
    assert "Achieved Rp 90.50 Target 100.00" in total


# A year


def test_a_year_of_one_manager(sign_in, shop, nancy):
    page = text_of(sign_in("finance").get(f"/targets/years/1997/{nancy.id}").text)
    assert "Achieved Rp 90.50 Target 100.00 Difference -9.50 Attainment 90.5%" in page
    assert "January 1997: Rp 90.50 achieved of Rp 100.00 (90.5%)" in page
    assert "February 1997: Rp 0.00 achieved, no target" in page
    assert "December 1997 – 0.00 0.00 – 0 90.50 -9.50" in page


def test_a_year_of_everybody_lists_the_managers(sign_in, shop, nancy, andrew):
    browser = sign_in("finance")
    page = browser.get("/targets/years/1997")
    assert "Achieved Rp 290.50 Target 170.00 Difference +120.50" in text_of(page.text)
    assert "Andrew Fuller 70.00 200.00 +130.00 285.7% 1" in text_of(page.text)
    chosen = browser.get(f"/targets/years/1997?manager={nancy.id}")
    assert chosen.location == f"/targets/years/1997/{nancy.id}"


def test_every_achieved_amount_of_a_year_leads_to_orders_that_come_to_it(sign_in, shop, nancy):
    browser = sign_in("finance")
    for path in ("/targets/years/1997", f"/targets/years/1997/{nancy.id}"):
        found = re.findall(
            r'<a[^>]*href="(/orders[^"]*)"[^>]*>\s*(?:Rp\s)?([\d.,]+)\s*</a>',
            browser.get(path).text,
        )
        assert len(found) >= 14
        for href, amount in found:
            orders = text_of(browser.get(href.replace("&amp;", "&")).text)
            assert re.search(rf"orders? · Rp .*\b{re.escape(amount)} ", orders), (href, amount)


@pytest.mark.parametrize(
    "path", ["/targets/years/1", "/targets/years/9999", "/targets/years/1997/999"]
)
def test_a_year_or_manager_that_is_none_does_not_exist(sign_in, path):
    assert sign_in("finance").get(path).status_code == 404


@pytest.mark.parametrize("month", ["1997-13", "x", "0001-01", "1997-1"])
def test_a_month_that_is_none_does_not_exist(sign_in, shop, nancy, month):
    assert sign_in("finance").get(f"/targets/{nancy.id}/{month}").status_code == 404


# One month, and how it was calculated


def test_a_month_shows_its_orders_expected_beside_stored(sign_in, shop, nancy):
    page = sign_in("finance").get(f"/targets/{nancy.id}/1997-01/calculation").text
    assert "The grand totals of the orders that the account manager closed" in page
    assert "90.50 = 60.00 + 30.50" in text_of(page)
    assert "Expected 90.50" in text_of(page)
    assert "5 Jan 1997" in text_of(page), "the day on which an order counts: that of its closing"


def test_a_month_without_anything_shows_zero(sign_in, shop, nancy):
    page = sign_in("finance").get(f"/targets/{nancy.id}/2001-01").text
    assert "Achieved Rp 0.00" in text_of(page)
    assert "no order was closed in it" in text_of(page)
    assert "/targets/new?" in page
    assert "/targets/new?" not in sign_in(nancy).get(f"/targets/{nancy.id}/2001-01").text


@pytest.mark.leaves_drift
def test_a_wrong_figure_is_shown_and_corrected_as_previewed(
    sign_in, shop, nancy, session, admin_database_url
):
    import psycopg

    with psycopg.connect(admin_database_url, autocommit=True) as surgeon:
        surgeon.execute("SET session_replication_role = replica")
        surgeon.execute("UPDATE account_manager_targets SET achieved = 1 WHERE achieved = 90.50")
    browser = sign_in("finance")
    page = browser.get(f"/targets/{nancy.id}/1997-01/calculation")
    assert "Stored wrongly" in page.text
    address = f"/health/drift/recalculate/manager/{nancy.id}"
    assert f'action="{address}"' in page.text
    shown = browser.post(address, data={"idempotency_key": "k"})
    run_id = int(shown.location.rsplit("/", 1)[1])
    performed(db.engine, run_id)
    typed = {"idempotency_key": "k", "reason": "surgery"}
    applied = browser.post(f"/runs/{run_id}/apply", data=typed)
    performed(db.engine, int(applied.location.rsplit("/", 1)[1]))
    page = text_of(browser.get(f"/targets/{nancy.id}/1997-01/calculation").text)
    assert "Stored as calculated" in page
    assert "surgery 1.00 90.50" in page
    page = text_of(browser.get(f"/targets/{nancy.id}/1997-01/history").text)
    assert "Achieved before: 1.00 → after: 90.50" in page
    session.rollback()
    assert queries.row_of(session, nancy.id, Month(1997, 1)).achieved == Decimal("90.50")


@pytest.mark.leaves_drift
def test_a_year_marks_the_months_and_the_managers_of_whom_it_says_something_wrong(
    sign_in, shop, nancy, andrew, surgery
):
    surgery.execute("UPDATE account_manager_targets SET achieved = 1 WHERE achieved = 90.50")
    surgery.execute("DELETE FROM account_manager_targets WHERE month = '1997-02-01'")
    run_of("figures.verify")

    def marked(page):
        rows = re.findall(r"<tr>.*?</tr>", page, re.DOTALL)
        heads = [(text_of(row).split("  ")[0], row.count("wrong-mark")) for row in rows]
        return {head.split()[0]: count for head, count in heads if count}

    browser = sign_in("finance")
    every_month_since = dict.fromkeys(("April", "May", "June", "July", "August"), 1)
    every_month_since |= dict.fromkeys(("March", "September", "October", "November", "December"), 1)
    page = browser.get("/targets/years/1997").text
    assert marked(page) == every_month_since | {
        "January": 2, "February": 3, "Total": 2, "Nancy": 1, "Andrew": 2,
    }  # fmt: skip
    assert page.count("wrong-mark") > sum(marked(page).values()), "the head says so too"
    theirs = browser.get(f"/targets/years/1997/{nancy.id}").text
    assert marked(theirs) == every_month_since | {"January": 2, "February": 1, "Total": 1}
    assert "wrong-mark" in browser.get(f"/targets/years/1998/{nancy.id}/edit").text
    own = sign_in(andrew).get(f"/targets/years/1997/{andrew.id}").text
    assert "January" not in marked(own)
    assert "wrong-mark" not in browser.get("/targets/years/1998").text


@pytest.mark.parametrize(("month", "leads_on"), [("1900-01", "1900-02"), ("2199-12", "2199-11")])
def test_the_first_and_the_last_month_lead_to_no_page_that_is_not_there(
    sign_in, shop, nancy, month, leads_on
):
    page = sign_in("finance").get(f"/targets/{nancy.id}/{month}").text
    assert re.findall(r'data-key="[jk]"\s+href="([^"]*)"', page) == [
        f"/targets/{nancy.id}/{leads_on}"
    ]


# Entering


def test_one_month_is_entered_from_its_page_and_taken_away_again(sign_in, shop, nancy, session):
    browser = sign_in("finance", name="Fina")
    path = f"/targets/{nancy.id}/1997-05"
    [new] = re.findall(r'href="(/targets/new\?[^"]+)"', browser.get(path).text)
    form = filled(browser, new.replace("&amp;", "&"), FORM, target="1,234.5")
    saved = browser.post("/targets/new", data=form)
    assert saved.location == path
    assert targets(session)["1997-05"] == Decimal("1234.50")
    page = text_of(browser.get(f"{path}/history").text)
    assert "Created Fina" in page
    assert "Target after: 1,234.50" in page
    form = filled(browser, f"{path}/edit", FORM, target=" ")
    assert browser.post(f"{path}/edit", data=form).location == path
    assert "1997-05" not in targets(session)
    form = filled(browser, new.replace("&amp;", "&"), FORM, target="7")
    assert browser.post("/targets/new", data=form).location == path
    page = text_of(browser.get(f"{path}/history").text)
    assert "1,234.50" in page, "what was entered before the month was without a row is told, too"


def test_a_month_with_orders_has_a_row_and_is_given_its_target_once(
    sign_in, shop, nancy, andrew, session
):
    browser = sign_in("finance")
    new = f"/targets/new?account_manager={andrew.email}&month=1997-02"
    form = filled(browser, new, FORM, target="50")
    assert browser.post("/targets/new", data=form).status_code == 303
    assert targets(session)["1997-02"] == 50
    again = browser.post("/targets/new", data=filled(browser, new, FORM, target="60"))
    assert again.status_code == 422
    assert "There is already a target for that month." in again.text
    nothing = browser.post("/targets/new", data=filled(browser, new, FORM, target=""))
    assert "Enter a target." in nothing.text
    assert targets(session)["1997-02"] == 50


def test_a_year_is_entered_at_once_in_the_users_number_format(sign_in, shop, nancy, session):
    browser = sign_in("finance", number_format="id")
    path = f"/targets/years/1997/{nancy.id}/edit"
    form = filled(browser, path, "targets-form", target_1="", target_2="1.500,50", target_12="7")
    assert browser.post(path, data=form).location == f"/targets/years/1997/{nancy.id}"
    expected = {"1997-01": None, "1997-02": Decimal("1500.50"), "1997-12": 7}
    mine = {str(Month.of(r.month)): r.target for r in _rows_of(session, nancy)}
    assert mine == expected


def _rows_of(session, manager):
    session.rollback()
    return session.scalars(
        select(AccountManagerTarget).where(AccountManagerTarget.account_manager_id == manager.id)
    ).all()


def test_every_wrong_month_is_named(sign_in, shop, nancy, session):
    browser = sign_in("finance")
    path = f"/targets/years/1997/{nancy.id}/edit"
    form = filled(browser, path, "targets-form", target_2="x", target_3="-5", amount="nonsense")
    answer = browser.post(path, data=form)
    assert answer.status_code == 422
    assert "2 things need your attention" in answer.text
    assert "February 1997: This is not a number" in answer.text
    assert "March 1997: This is too small" in answer.text
    assert "1997-02" in targets(session)  # Andrew's, from the order that he closed


def test_two_editors_of_a_year_lose_nothing(sign_in, shop, nancy, session):
    first, second = sign_in("finance"), sign_in("admin")
    path = f"/targets/years/1998/{nancy.id}/edit"
    one = filled(first, path, "targets-form", target_1="10", target_2="20")
    two = filled(second, path, "targets-form", target_2="25", target_3="30")
    assert first.post(path, data=one).status_code == 303
    answer = second.post(path, data=two)
    assert answer.status_code == 409
    assert "February 1998: 20.00" in text_of(answer.text)
    assert "January 1998: " not in text_of(answer.text)
    assert second.post(path, data=fields_of(answer.text, "targets-form")).status_code == 303
    found = targets(session)
    assert [found[f"1998-0{n}"] for n in (1, 2, 3)] == [10, 25, 30]


@pytest.mark.parametrize(
    ("do", "typed", "expected"),
    [
        ("same", {"amount": "5,000"}, ["5,000.00"] * 12),
        ("spread", {"amount": "100"}, ["8.34"] * 4 + ["8.33"] * 8),
        ("copy", {"source": "target", "growth": "10"}, ["110.00", *[""] * 11]),
        ("copy", {"source": "achieved", "growth": "-50"}, ["45.25", *[""] * 11]),
        ("copy", {"source": "achieved", "growth": ""}, ["90.50", *[""] * 11]),
        ("paste", {"row": "0", "column": "target", "block": "1\t2\t3"}, ["1", "2", "3", *[""] * 9]),
        ("paste", {"row": "10", "block": "1\r\n2\r\n3\r\n"}, [*[""] * 10, "1", "2"]),
    ],
)
def test_a_button_fills_the_months_and_saves_nothing(
    sign_in, shop, nancy, session, do, typed, expected
):
    browser = sign_in("finance")
    path = f"/targets/years/1998/{nancy.id}/edit"
    answer = browser.post(f"{path}?do={do}", data=filled(browser, path, "targets-form", **typed))
    assert answer.status_code == 200
    fields = fields_of(answer.text, "targets-form")
    assert [fields[f"target_{number}"] for number in range(1, 13)] == expected
    assert not any(month.startswith("1998") for month in targets(session))
    assert browser.post(path, data=fields).status_code == 303
    assert any(month.startswith("1998") for month in targets(session))


def test_a_button_says_what_it_needs(sign_in, shop, nancy):
    browser = sign_in("finance")
    path = f"/targets/years/1998/{nancy.id}/edit"
    form = filled(browser, path, "targets-form")
    assert "Enter an amount." in browser.post(f"{path}?do=same", data=form).text
    form = filled(browser, path, "targets-form", growth="much")
    assert "This is not a number" in browser.post(f"{path}?do=copy", data=form).text
    pasted = filled(browser, path, "targets-form", row="0", block="x\ty")
    assert "This is not a number" in browser.post(f"{path}?do=paste", data=pasted).text
    beyond = filled(browser, path, "targets-form", row="10", block="1\t2\t3\t4\t")
    said = "2 cells that go beyond December were left out."
    assert said in browser.post(f"{path}?do=paste", data=beyond).text
    for do in ("paste&row=99", "dance"):
        assert browser.post(f"{path}?do={do}", data=form).status_code == 400


def test_the_total_of_what_is_typed_follows(sign_in, shop, nancy):
    browser = sign_in("finance")
    form = {"target_1": "1,000", "target_2": "0.5", "target_3": ""}
    answer = browser.post("/targets/years/1998/preview", data=form)
    assert outputs_of(answer.text)["year_total"] == "Rp\xa01,000.50"
    answer = browser.post("/targets/years/1998/preview", data={**form, "target_4": "x"})
    assert outputs_of(answer.text)["year_total"] == "—"


@pytest.mark.parametrize(
    "query", ["endpoint=x", "_method=POST", "_scheme=ftp&_external=1&_anchor=a", "tag=a&tag=b"]
)
def test_the_year_before_has_the_same_query(sign_in, shop, query):
    page = sign_in("finance").get(f"/targets/years/1997?{query}&page=2&year=1900")
    assert f'href="/targets/years/1996?{query.replace("&", "&amp;")}"' in page.text
    assert f'href="/targets/years/1998?{query.replace("&", "&amp;")}"' in page.text
