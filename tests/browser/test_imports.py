"""Importing files in a real browser: correcting a file with mistakes, and every screen in every look."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from backoffice.billing.models import Meter, MeterAssignment
from backoffice.customers.models import Customer
from backoffice.orders.models import Order
from tests.browser.looks import LANGUAGES
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory

METERS = Path(__file__).parent.parent / "data" / "parents-with-children" / "meters.csv"

ORDERS = """Nomor Pesanan;Pelanggan;Manajer;Tanggal;Ditutup;Paket awal;Promo;Catatan
SO-1;ALFKI;nancy@northwind.example;31/03/2026;;12.500.000,00;;
SO-2;ALFKI;nancy@northwind.example;31/02/2026;;1.000.000,50;;tidak ada hari itu
SO-3;TUJUH;nancy@northwind.example;01/04/2026;;7.000.000,00;500.000;
SO-9;ALFKI;nancy@northwind.example;02/04/2026;05/04/2026;3.000.000,00;;
"""


def office(session):
    """The users and records that the file names."""
    CustomerFactory(code="ALFKI", name="Alfreds Futterkiste")
    AccountManagerFactory(email="nancy@northwind.example", name="Nancy Davolio")
    OrderFactory(number="SO-9", total_price=2_000_000, promo=0, reductions=0, additions=0)
    session.commit()


def choose_file(page, name, text):
    page.locator("input[type=file]").set_input_files(
        {"name": name, "mimeType": "text/csv", "buffer": text.encode()}
    )


def numbers(session):
    session.rollback()
    return set(session.scalars(select(Order.number)))


def test_a_file_with_mistakes_is_corrected_and_imported(session, browse, axe, tmp_path):
    office(session)
    page = browse("finance")
    page.goto("/imports")
    page.get_by_role("link", name="Upload files").first.click()
    page.get_by_label("What is in the files?").select_option("orders")
    choose_file(page, "pesanan.csv", ORDERS)
    page.get_by_role("button", name="Upload", exact=True).click()

    expect(page.get_by_role("heading", name="What the columns mean")).to_be_visible()
    expect(page.get_by_label("Nomor Pesanan")).to_have_value("number")
    expect(page.get_by_label("Dates")).to_have_value("dmy")
    expect(page.get_by_label("Numbers", exact=True)).to_have_value("id")
    page.get_by_role("button", name="Dry run").click()
    expect(page.get_by_role("alert")).to_contain_text("Say what this column is, or ignore it.")
    axe(page)
    page.get_by_label("Catatan").select_option("")
    page.get_by_role("button", name="Dry run").click()

    expect(page.get_by_role("heading", name="What would happen")).to_be_visible()
    problems = page.locator(".import-problems tbody tr")
    expect(problems).to_have_count(2)
    expect(problems.nth(0)).to_contain_text("There is no such day.")
    expect(problems.nth(1)).to_contain_text("There is no customer TUJUH.")
    page.locator(".import-sentences a").first.click()
    expect(problems).to_have_count(1)
    assert numbers(session) == {"SO-9"}

    page.get_by_role("button", name="Import only the 2 good lines").click()
    expect(page.get_by_role("heading", name="What was imported")).to_be_visible()
    assert numbers(session) == {"SO-1", "SO-9"}

    with page.expect_download() as download:
        page.get_by_role("link", name="Download the bad rows").click()
    saved = tmp_path / "failed.csv"
    download.value.save_as(saved)
    text = saved.read_text(encoding="utf-8-sig")
    assert text.count("\n") == 3
    corrected = text.replace("31/02/2026", "28/02/2026").replace("TUJUH", "ALFKI")

    page.get_by_role("link", name="Upload files").first.click()
    expect(page.get_by_label("What is in the files?")).to_have_value("orders")
    choose_file(page, "corrected.csv", corrected)
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.get_by_label("Catatan")).to_have_value("")
    page.get_by_role("button", name="Dry run").click()
    expect(page.get_by_role("heading", name="What would happen")).to_be_visible()
    expect(page.locator(".import-problems")).to_have_count(0)
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("heading", name="What was imported")).to_be_visible()
    assert numbers(session) == {"SO-1", "SO-2", "SO-3", "SO-9"}
    page.locator(".import-changes").get_by_role("link", name="SO-3").click()
    expect(page).to_have_url(re.compile(r"/orders/SO-3$"))
    expect(page.get_by_role("heading", name="SO-3")).to_be_visible()


def test_a_new_meter_is_imported_with_its_customer(session, browse):
    """The file creates a row and another one that refers to it."""
    CustomerFactory(code="ZK1")
    session.commit()
    page = browse("finance")
    page.goto("/imports/new?kind=meters")
    page.locator("input[type=file]").set_input_files(METERS)
    page.get_by_role("button", name="Upload", exact=True).click()
    page.get_by_role("button", name="Dry run").click()
    expect(page.get_by_role("heading", name="What would happen")).to_be_visible()
    session.rollback()
    assert session.scalars(select(Meter)).all() == []
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("heading", name="What was imported")).to_be_visible()
    expect(page.get_by_text("meters.csv: imported.")).to_be_visible()
    session.rollback()
    assigned = select(Meter.number, Customer.code).select_from(MeterAssignment)
    assigned = assigned.join(Meter).join(Customer)
    assert [tuple(row) for row in session.execute(assigned)] == [("FB-1", "ZK1")]


def test_the_same_way_without_javascript(session, browse):
    page = browse("finance", java_script_enabled=False)
    page.goto("/imports/new?kind=customers")
    choose_file(page, "customers.csv", "code,name\nA,Anton\nB,\n")
    page.get_by_role("button", name="Upload", exact=True).click()
    page.get_by_role("button", name="Dry run").click()
    expect(page.locator(".import-problems tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Import only the 1 good line").click()
    expect(page.get_by_role("heading", name="What was imported")).to_be_visible()
    session.rollback()
    assert session.scalars(select(Customer.code)).all() == ["A"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_import_screen_is_sound_in_every_look(language, session, browse, is_sound):
    office(session)
    page = browse("finance", language=language)
    page.goto("/imports")
    expect(page.locator(".empty-state")).to_be_visible()
    is_sound(page, "imports-none")
    page.goto("/imports/new")
    is_sound(page, "imports-upload")
    page.locator("form.panel button[type=submit]").click()
    expect(page.locator("[data-error-summary]")).to_be_visible()
    choose_file(page, "pesanan-maret.csv", ORDERS)
    page.locator("[name=kind]").select_option("orders")
    page.locator("form.panel button[type=submit]").click()
    expect(page.locator(".import-meanings")).to_be_visible()
    is_sound(page, "imports-columns")
    page.locator("button[value=check]").click()
    expect(page.locator("[data-error-summary]")).to_be_visible()
    is_sound(page, "imports-columns-refused")
    page.locator("[name=column-7]").select_option("")
    page.locator("button[value=check]").click()
    expect(page.locator(".import-problems")).to_be_visible()
    is_sound(page, "imports-dry-run")
    page.locator("form[action$=apply] button").click()
    expect(page.locator(".notice-success")).to_be_visible()
    is_sound(page, "imports-imported")
    page.goto("/imports")
    expect(page.locator("table .row-link")).to_have_count(1)
    is_sound(page, "imports-list")


def test_while_files_are_imported_the_screen_says_so_and_sends_once(session, browse):
    page = browse("finance")
    page.goto("/imports/new?kind=customers")
    choose_file(page, "customers.csv", "code,name\nA,Anton\n")
    page.get_by_role("button", name="Upload", exact=True).click()
    page.get_by_role("button", name="Dry run").click()
    expect(page.get_by_role("heading", name="What would happen")).to_be_visible()
    page.evaluate(
        """() => {
            window.sent = 0;
            document.addEventListener("submit", event => {
                if (!event.defaultPrevented) window.sent += 1;
                event.preventDefault();  // so that the page stays while it is looked at
            });
        }"""
    )
    button = page.get_by_role("button", name="Import", exact=True)
    expect(page.get_by_text("The files are being imported.")).to_be_hidden()
    button.click()
    expect(page.get_by_text("The files are being imported.")).to_be_visible()
    expect(button).to_have_css("pointer-events", "none")
    button.dispatch_event("click")
    assert page.evaluate("window.sent") == 1
