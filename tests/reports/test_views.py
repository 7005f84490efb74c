"""The revenue report over HTTP: its numbers link to their orders, its files hold what the screen shows."""

import csv
import re
from decimal import Decimal
from io import BytesIO, StringIO

import pytest
from openpyxl import load_workbook

from backoffice.customers.models import Customer
from tests.factories.customers import CustomerFactory
from tests.factories.people import AccountManagerFactory
from tests.files_for_people import lines_for_people
from tests.orders.pages import text_of


@pytest.fixture
def shop(session, order):
    """Two managers, two customers, two years; one order is still open."""
    nancy, andrew = (AccountManagerFactory(name=name) for name in ("Nancy", "Andrew"))
    alfki = CustomerFactory(code="ALFKI", name="Alfreds Futterkiste")
    other = CustomerFactory(code="B=1", name="=HYPERLINK(ALFKI)")
    order("1000.50", "1997-01-31", "1996-12-20", account_manager=nancy, customer=alfki)
    order("200", "1997-02-01", account_manager=andrew, customer=alfki)
    order("40", "1997-02-28", account_manager=nancy, customer=other)
    order("7.25", "1996-02-29", account_manager=nancy, customer=other)
    order("9999", None, "1997-02-03", account_manager=nancy, customer=alfki)
    session.commit()
    return {"nancy": nancy, "andrew": andrew}


def links_with_amounts(html):
    """Every link to the list of orders, with the amount that is its text."""
    found = re.findall(r'<a[^>]*href="(/orders[^"]*)"[^>]*>\s*(?:Rp\s)?([\d.,]+)\s*</a>', html)
    return [(href.replace("&amp;", "&"), amount) for href, amount in found]


@pytest.mark.parametrize("basis", ["closing", "order"])
def test_every_amount_leads_to_orders_that_come_to_it(sign_in, shop, basis):
    browser = sign_in("finance")
    page = browser.get(f"/reports?year=1997&basis={basis}")
    links = [(href, amount) for href, amount in links_with_amounts(page.text) if "." in amount]
    assert len(links) >= 12
    for href, amount in links:
        orders = text_of(browser.get(href).text)
        assert re.search(rf"orders? · Rp .*\b{re.escape(amount)} ", orders), (href, amount)


def test_the_report_says_by_what_it_counts(sign_in, shop):
    browser = sign_in("finance")
    assert "Closed orders, each on the day on which it was closed." in browser.get("/reports").text
    page = browser.get("/reports?basis=order&year=1997").text
    assert "All orders, open ones too" in page
    assert "10,239.00" in page


def test_without_a_period_it_is_the_last_year_with_orders(sign_in, shop):
    page = text_of(sign_in("finance").get("/reports").text)
    assert "Revenue Rp 1,240.50 Orders 3 A year earlier 7.25 Change +1,233.25" in page


def test_an_empty_book_says_so(sign_in):
    page = sign_in("finance").get("/reports")
    assert "No revenue yet" in page.text


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("since=1997-02-01&until=1997-01-01", "The first day is after the last one."),
        ("since=1900-01-01&until=1997-12-31", "A report covers at most 10 years"),
        ("customer=nobody", "No customer is called that."),
        ("customer=e", "Several customers fit that."),
        ("since=x&until=&year=12&basis=sideways&manager=abc", "1,240.50"),
        ("year=1997&manager=abc", "There is no such account manager: all of them are shown."),
        ("year=1997&manager=9999", "There is no such account manager: all of them are shown."),
        ("year=1997&manager=-1", "There is no such account manager: all of them are shown."),
        ("since=1997-02-30&until=1997-12-31", "1997-02-30 is not a day from 1900 to 2199."),
        ("since=1997-01-01&until=0097-12-31", "0097-12-31 is not a day from 1900 to 2199."),
        ("year=2200", "2200 is not a year from 1900 to 2199."),
    ],
)
def test_what_makes_no_sense_is_answered_with_a_sentence(sign_in, shop, query, said):
    page = sign_in("finance").get(f"/reports?{query}")
    assert page.status_code == 200
    assert said in page.text


def test_a_part_of_a_year_is_compared_with_the_same_part(sign_in, shop):
    page = text_of(sign_in("finance").get("/reports?since=1997-02-01&until=1997-02-28").text)
    assert "Revenue Rp 240.00 Orders 2 A year earlier 7.25" in page


def test_a_customers_code_means_that_customer_alone(sign_in, shop):
    browser = sign_in("finance")
    page = browser.get("/reports?year=1997&customer=ALFKI")
    assert "Revenue Rp 1,200.50 Orders 2" in text_of(page.text)
    href = next(href for href, amount in links_with_amounts(page.text) if amount == "1,200.50")
    assert "2 orders · Rp" in text_of(browser.get(href).text)


def test_an_account_manager_sees_their_own(sign_in, shop):
    page = text_of(sign_in(shop["nancy"]).get("/reports?year=1997").text)
    assert "Revenue Rp 1,040.50 Orders 2" in page
    assert "Andrew" not in page


def test_all_lines_of_a_dimension_have_a_page_each(sign_in, shop):
    browser = sign_in("finance")
    for dimension, expected in (
        ("month", "February 1997"),
        ("manager", "Andrew"),
        ("customer", "ALFKI"),
    ):
        page = browser.get(f"/reports/{dimension}?year=1997&page=9")
        assert page.status_code == 200
        assert expected in page.text
    assert browser.get("/reports/colour").status_code == 404
    assert browser.get("/reports/colour/export.csv").status_code == 404
    assert browser.get("/reports/month/export.pdf").status_code == 404


def test_htmx_gets_the_report_alone(sign_in, shop):
    page = sign_in("finance").get("/reports?year=1997", headers={"HX-Request": "true"})
    assert "<html" not in page.text
    assert "1,240.50" in page.text


def test_a_csv_file_holds_every_line_and_the_totals_of_the_screen(sign_in, shop):
    answer = sign_in("finance").get("/reports/customer/export.csv?year=1997")
    assert answer.data.startswith(b"\xef\xbb\xbf")
    assert b"\r\n" in answer.data
    head, *lines = csv.reader(StringIO(answer.data.decode("utf-8-sig")))
    assert head == ["Code", "Customer", "Orders", "Revenue", "Share", "A year earlier"]
    assert lines[0] == ["ALFKI", "Alfreds Futterkiste", "2", "1200.50", "96.8", "0"]
    assert lines[1] == ["B=1", "'=HYPERLINK(ALFKI)", "1", "40.00", "3.2", "7.25"]
    assert len(lines) == 2
    lines = lines_for_people(sign_in("finance"), "/reports/customer/export.csv?year=1997")[1:]
    assert lines[2] == ["Total", "", "3", "1240.50", "", "7.25"]
    assert lines[3][1] == "Counted by: Closing date · From: 1 Jan 1997 · to: 31 Dec 1997"


def test_a_file_of_months_has_those_without_revenue_too(sign_in, shop):
    answer = sign_in("finance").get("/reports/month/export.csv-id?year=1997")
    lines = list(csv.reader(StringIO(answer.data.decode("utf-8-sig")), delimiter=";"))
    assert lines[1][:3] == ["1997-01", "1", "1000,50"]
    assert [line[0] for line in lines[1:13]] == [f"1997-{number:02}" for number in range(1, 13)]
    assert lines[13][2] == "1240,50"


def test_a_workbook_holds_numbers(sign_in, shop):
    answer = sign_in("finance").get("/reports/manager/export.xlsx?year=1997")
    sheet = load_workbook(BytesIO(answer.data)).active
    rows = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert rows[1][:3] == ["Nancy", 2, 1040.5]
    assert Decimal(str(rows[3][2])) == Decimal("1240.5")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("customer=l", "Several customers fit that."),
        ("customer=nobody", "No customer is called that."),
        ("manager=abc", "There is no such account manager: all of them are shown."),
        ("since=1997-05-01&until=1997-04-01", "The first day is after the last one."),
        ("since=1997-02-30&until=1997-12-31", "1997-02-30 is not a day"),
        ("since=1997-01-01&until=x", "x is not a day"),
        ("year=1899", "1899 is not a year"),
    ],
)
def test_what_makes_no_sense_is_no_file(sign_in, shop, asked, said):
    answer = sign_in("finance").get(f"/reports/customer/export.csv?{asked}")
    assert answer.status_code == 422
    assert said in answer.text


@pytest.mark.parametrize(("year", "leads_on"), [(1900, 1901), (2199, 2198)])
def test_the_first_and_the_last_year_lead_to_years_that_there_are(sign_in, shop, year, leads_on):
    page = sign_in("finance").get(f"/reports?year={year}").text
    assert re.findall(r'rel="(?:prev|next)"\s+href="([^"]*)"', page) == [
        f"/reports?year={leads_on}"
    ]


def test_the_report_and_its_file_say_whom_a_part_of_a_name_means(sign_in, shop, session):
    alfki = session.query(Customer).filter_by(code="ALFKI").one()
    session.add(Customer(code="OLD", name="Duplicate", merged_into_id=alfki.id))
    session.commit()
    browser = sign_in("finance")
    for typed in ("futter", "OLD", "ALFKI"):
        asked = f"year=1997&customer={typed}"
        assert "ALFKI · Alfreds Futterkiste" in text_of(browser.get(f"/reports?{asked}").text)
        lines = lines_for_people(browser, f"/reports/month/export.csv?{asked}")
        [said] = [line[1] for line in lines if line[:1] == ["Filter"]]
        assert said.endswith("Customer: ALFKI · Alfreds Futterkiste")
