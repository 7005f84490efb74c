"""Receipts with parts of several customers: pages, search, exports and API."""

import csv
import io
from decimal import Decimal

import pytest

from tests.factories.billing import PaymentFactory
from tests.factories.customers import CustomerFactory
from tests.orders.pages import text_of

LIST = "/billing/payments"


@pytest.fixture
def finance(sign_in, session):
    """A finance user's browser; R-2 is of Wanjiru and of Budi & Sons, R-1 of Wanjiru alone."""
    wanjiru = CustomerFactory(code="C-1", name="Wanjiru, Ltd")
    budi = CustomerFactory(code="C-2", name="Budi & Sons")
    PaymentFactory(reference="R-1", customer=wanjiru, amount=Decimal(10))
    PaymentFactory(reference="R-1", part=2, customer=wanjiru, amount=Decimal(20))
    PaymentFactory(reference="R-2", customer=wanjiru, amount=Decimal(40))
    PaymentFactory(reference="R-2", part=2, customer=budi, amount=Decimal(80))
    session.commit()
    return sign_in("finance")


def test_the_list_says_that_there_is_another(finance):
    page = text_of(finance.get(LIST).text)
    assert "Wanjiru, Ltd +1" in page
    assert page.count("Wanjiru, Ltd") == 2


@pytest.mark.parametrize("text", ["budi", "C-2", "R-2"])
def test_the_search_finds_it_by_either(finance, text):
    page = text_of(finance.get(f"{LIST}?q={text}").text)
    assert "R-2" in page
    assert "R-1" not in page
    assert "120.00" in page
    both = text_of(finance.get(f"{LIST}?q=wanjiru").text)
    assert "R-1" in both
    assert "R-2" in both


def test_the_file_names_both(finance):
    file = finance.get(f"{LIST}/export.csv?columns=reference,customer,customer_code&sort=reference")
    rows = list(csv.reader(io.StringIO(file.data.decode("utf-8-sig"))))
    parts = [
        *[["R-1", "Wanjiru, Ltd", "C-1"]] * 2,
        ["R-2", "Wanjiru, Ltd", "C-1"],
        ["R-2", "Budi & Sons", "C-2"],
    ]
    assert rows[1:] == parts, "a row for each part, as the import reads them"


def test_the_list_can_be_sorted_by_customer(finance):
    page = text_of(finance.get(f"{LIST}?sort=customer").text)
    assert page.index("R-1") < page.index("R-2")


def test_the_record_names_the_customer_of_each_part(finance):
    page = finance.get(f"{LIST}/R-2").text
    assert 'href="/customers/C-1"' in page
    assert 'href="/customers/C-2"' in page
    assert "Budi & Sons 80.00" in text_of(page)
    alone = text_of(finance.get(f"{LIST}/R-1").text)
    assert alone.count("Wanjiru, Ltd") >= 1
    assert "Wanjiru, Ltd 20.00" not in alone


def test_it_is_void_as_a_whole_and_cannot_be_recorded_anew_on_one_form(finance):
    void = text_of(finance.get(f"{LIST}/R-2/void").text)
    assert "Customer C-1 · Wanjiru, Ltd Customer C-2 · Budi & Sons" in void
    assert "Void and record anew" not in finance.get(f"{LIST}/R-2").text
    refused = finance.get(f"{LIST}/R-2/replace")
    assert refused.status_code == 409
    assert "several customers" in refused.text


def test_a_part_is_moved_as_its_own_customers(finance):
    page = text_of(finance.get(f"{LIST}/R-2/move?part=2").text)
    assert "C-2 · Budi & Sons" in page
    assert "Wanjiru" not in page
