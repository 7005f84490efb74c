"""The source of an entry: the record of the book that it was written from, shown and led to; or words."""

import re
from datetime import date
from typing import Any

import pytest
from flask import url_for
from sqlalchemy import Column, select, text
from werkzeug.routing import BuildError

from backoffice.app.domain import declared
from backoffice.ledger import source_links
from backoffice.ledger.models import Account, JournalEntry
from backoffice.ledger.posting.actions import reconcile
from backoffice.ledger.posting.queries import EVERYTHING
from tests.drift.whole_book import write_everything
from tests.factories.ledger import accounts_of_roles, of, posted
from tests.factories.orders import OrderFactory
from tests.orders.pages import text_of
from tests.records.test_api import Program

from .test_screens import newest, typed

NOWHERE = "There is no record at this address."


def source_of(browser: Any, entry: JournalEntry) -> tuple[str, str]:
    """What stands as the source on the page of an entry, and where that leads."""
    page = browser.get(f"/ledger/entries/{entry.number}").text
    held = re.search(r"<dt>Source</dt>\s*<dd>(.*?)</dd>", page, re.DOTALL)
    if held is None:
        return "", ""
    way = re.search(r'href="([^"]*)"', held[1])
    return text_of(held[1]), way[1] if way else ""


def test_what_rules_have_posted_leads_to_its_document(session: Any, sign_in: Any) -> None:
    write_everything()
    accounts_of_roles()
    session.commit()
    reconcile(session, EVERYTHING)
    session.commit()
    browser, entries = sign_in("viewer"), session.scalars(select(JournalEntry)).all()
    found = {
        entry.document.partition("/")[0]: source_of(browser, entry)
        for entry in entries
        if entry.document
    }
    session.rollback()
    shown = {
        "orders": "Order", "invoices": "Invoice", "payments": "Payment", "adjustments": "Adjustment",
        "deposits": "Deposit", "wallet_recharges": "Wallet", "gas_purchases": "",
    }  # fmt: skip
    assert {name: words.partition(" ")[0] for name, (words, _way) in found.items()} == shown
    for name, (words, way) in found.items():
        assert bool(way) == (name != "gas_purchases")
        if way:
            page = browser.get(way)
            assert (page.status_code, words.split()[-1].lstrip("#") in page.text) == (200, True)


def test_an_address_of_a_record_is_a_way_to_it_and_any_other_is_refused(
    session: Any, chart: dict[str, Account], sign_in: Any
) -> None:
    number = OrderFactory(number="NW 1/7").number
    session.commit()
    browser = sign_in("finance")
    lines = (("Cash", "5", ""), ("Sales", "", "5"))

    def saved(source: str) -> Any:
        form = typed(browser.get("/ledger/entries/new").text, *lines, source=source)
        return browser.post("/ledger/entries/new", data=form)

    for address in ("/orders/NW%201/7", "http://localhost/orders/NW%201/7?page=2#lines"):
        assert saved(address).status_code == 303
        entry = newest(session)
        assert entry.source == "/orders/NW%201/7"
        assert source_of(browser, entry) == (f"Order {number}", "/orders/NW%201/7")
    for nothing in (
        "/orders/NW-2", "/orders", "/", "/nowhere", "//evil.example/orders/x", "/users/none",
        "http://localhost/orders/NW-2", "/orders/NW%201/7/edit", "/customers/%00",
    ):  # fmt: skip
        refused = saved(nothing)
        assert (refused.status_code, NOWHERE in text_of(refused.text)) == (422, True), nothing
    for words in ("Lease of 2026", "https://bank.example/statement/7", "NW 1/7"):
        assert saved(words).status_code == 303
        assert source_of(browser, newest(session)) == (words, "")
    listed = text_of(browser.get("/ledger/entries?q=orders/NW%25201").text)
    assert listed.count("/orders/NW%201/7") == 2
    assert "Lease of 2026" not in listed


def test_every_record_is_looked_up_by_its_address_in_an_index(app: Any, session: Any) -> None:
    """Except records with names made of several columns."""
    session.execute(text("SET LOCAL enable_seqscan = off"))
    looked_up = set()
    for table, known in declared().recorded.items():
        if known.name is None or not isinstance(known.name.property.columns[0], Column):
            continue
        with app.test_request_context():
            try:
                address = url_for(known.endpoint, **known.address_of(7, "7"))
            except BuildError:
                continue
            meant = source_links._at(address)
        if meant is None:
            continue
        asked = select(source_links._key(meant[0])).where(meant[1])
        query = asked.compile(session.bind, compile_kwargs={"literal_binds": True})
        plan = "\n".join(session.scalars(text(f"EXPLAIN {query}")))
        assert "Index Cond" in plan, (table, plan)
        looked_up.add(table)
    session.rollback()
    assert looked_up >= {"orders", "customers", "invoices", "payments", "deposits", "readings"}


@pytest.mark.parametrize("key", ["07", "1" * 30, "+7", "x"])
def test_what_is_not_the_id_of_a_record_is_no_address_of_one(
    app: Any, session: Any, chart: dict[str, Account], key: str
) -> None:
    with app.test_request_context():
        assert not source_links.is_record(session, f"/gas/readings/{key}")
        assert not source_links.is_record(session, f"/imports/{key}")


def test_a_program_is_refused_the_same(app: Any, session: Any, chart: dict[str, Account]) -> None:
    program = Program(app, session, "entries:write")
    sent = {"entry_date": "2026-03-02", "memo": "Sold", "lines": [], "source": "/orders/none"}
    answer = program.send("POST", "/api/entries", key="n", json=sent)
    assert (answer.status_code, NOWHERE in answer.text) == (422, True)


@pytest.mark.parametrize(
    "document", ["", "orders", "orders/x", f"orders/{10**30}", "orders/7", "none/1"]
)
def test_a_document_that_no_rule_has_written_is_no_way(
    session: Any, chart: dict[str, Account], sign_in: Any, document: str
) -> None:
    said = {"document": document, "document_date": date(2026, 3, 2), "source": "A voucher"}
    entry = posted(of(chart["Cash"], 5), of(chart["Sales"], -5), **said)
    session.commit()
    assert source_of(sign_in("viewer"), entry) == ("A voucher", "")


@pytest.mark.parametrize("source", ["/orders/gone", "//evil.example/x", "/accounts\x01"])
def test_what_stands_nowhere_any_more_is_words(
    session: Any, chart: dict[str, Account], sign_in: Any, source: str
) -> None:
    entry = posted(of(chart["Cash"], 5), of(chart["Sales"], -5), source=source)
    session.commit()
    assert source_of(sign_in("viewer"), entry) == (source, "")
