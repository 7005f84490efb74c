"""What a page offers it can do, and a status reads the same in the list and on the page: for every record."""

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from html import unescape
from typing import Any

import psycopg
import pytest
from flask import Flask, url_for

from backoffice.billing.voiding import VOID
from backoffice.ledger import actions as ledger
from backoffice.records import Deletion, Record
from backoffice.records.listing import address_of
from tests.drift.whole_book import write_everything
from tests.factories.billing import (
    InvoiceFactory,
    MeterAdjustmentFactory,
    MeterAssignmentFactory,
    MeterFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory
from tests.factories.gas import DepositFactory, GasPriceFactory, ReadingFactory
from tests.factories.ledger import AccountFactory, accounts_of_roles, draft, of, posted
from tests.factories.orders import OrderFactory
from tests.factories.wallets import WalletFactory
from tests.orders.pages import _read

pytestmark = pytest.mark.slow


@pytest.fixture
def book(session: Any, surgery: psycopg.Connection[Any]) -> None:
    """Rows of every record, in every status; a closed month; a customer who owns nothing."""
    write_everything()
    payer = CustomerFactory(code="PAYER")
    CustomerFactory(code="ALONE")
    OrderFactory(number="OPEN-1", customer=payer, closing_date=None)
    meter = MeterAssignmentFactory(customer=payer, meter__number="M-OWES").meter
    MeterFactory(number="M-ALONE")
    over = MeterAssignmentFactory(customer=payer, meter__number="M-OVERPAID").meter
    PaymentFactory(reference="OVER-1", customer=payer, meter=over)
    for number, paid, due in (
        ("PAID-1", 1500, date(2026, 3, 31)), ("PART-1", 500, date(2026, 3, 31)),
        ("DUE-1", 0, date(2199, 1, 1)), ("OVER-PAID-1", 1800, date(2026, 3, 31)),
    ):  # fmt: skip
        invoice = InvoiceFactory(number=number, customer=payer, meter=meter, due_on=due)
        if paid:
            PaymentFactory(customer=payer, meter=meter, invoice=invoice, amount=Decimal(paid))
    InvoiceFactory(number="VOID-1", customer=payer, meter=meter, status=VOID)
    PaymentFactory(reference="VOID-2", customer=payer, meter=meter, status=VOID)
    PaymentFactory(reference="UNMATCHED-1", customer=payer)
    MeterAdjustmentFactory(number="VOID-3", customer=payer, meter=meter, status=VOID)
    for number, status in (("W-SUSPENDED-1", "suspended"), ("W-CLOSED-1", "closed")):
        WalletFactory(number=number, customer=payer, status=status)
    GasPriceFactory(customer=payer, effective_from=date(2026, 2, 1))
    for day in (date(2025, 12, 5), date(2026, 1, 5), date(2026, 2, 5)):
        ReadingFactory(customer=payer, read_on=day)
        DepositFactory(customer=payer, deposited_on=day)
    accounts_of_roles()
    bank, capital = AccountFactory(code="BANK"), AccountFactory(code="CAPITAL", type="equity")
    draft(of(bank, 1), of(capital, -1))
    entry = posted(of(bank, 2), of(capital, -2))
    ledger.reverse(session, entry.id, {"entry_date": date(2026, 3, 5), "memo": ""})
    session.commit()
    surgery.execute("UPDATE book SET locked_until = DATE '2025-12-31'")
    session.commit()


BADGE = re.compile(r'<span class="badge-tone tone-([a-z]+)">(.*?)</span>', re.DOTALL)


def plain(markup: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", markup)).split())


def badges(markup: str) -> set[tuple[str, str]]:
    """The tone and the words of every badge."""
    return {(tone, plain(words)) for tone, words in BADGE.findall(markup)}


def rows_of(app: Flask, session: Any) -> Iterator[tuple[Record, str, str]]:
    """Every row of every record with pages: the record, its name, and the address of its page."""
    for record in app.declared.records.values():
        if f"{record.domain}.record" not in app.view_functions:
            continue
        for row in session.query(record.model).order_by(record.model.id).all():
            with app.test_request_context():
                yield record, str(record.name_of(row)), address_of(record, row)


def test_what_is_offered_is_possible_and_what_is_not_offered_is_refused(
    app: Flask, session: Any, book: None, sign_in: Any
) -> None:
    client = sign_in("admin")
    tried = {True: 0, False: 0}
    for record, name, address in list(rows_of(app, session)):
        page = client.get(address)
        if page.status_code != 200:
            continue  # deleted with the row before
        for verb in (verb for verb in record.verbs if verb.for_people):
            at = f"{address}/{verb.name}"
            is_offered = f'href="{at}"' in page.text
            answer = client.get(at)
            assert (answer.status_code == 200) == is_offered, (record.domain, name, verb.name)
            tried[is_offered] += 1
            if is_offered and isinstance(verb, Deletion):
                deleted = client.post(at, data=_read(answer.text, f"{verb.name}-form").fields)
                assert deleted.status_code == 303, (record.domain, name, plain(deleted.text))
                break
    assert min(tried.values()) > 5, tried


def test_a_status_reads_the_same_in_the_list_and_on_the_page(
    app: Flask, session: Any, book: None, sign_in: Any
) -> None:
    client = sign_in("admin")
    seen: dict[str, set[str]] = {}
    for record in app.declared.records.values():
        if f"{record.domain}.record" not in app.view_functions:
            continue
        with app.test_request_context():
            index = url_for(f"{record.domain}.index")
        body = client.get(index).text.partition("<tbody")[2].partition("</tbody>")[0]
        for row in re.findall(r"<tr\b.*?</tr>", body, re.DOTALL):
            link = re.search(rf'<a[^>]* href="({index}/(?:\d+/)?[^"/?#]+)[/"?#]', row)
            shown = badges("".join(re.findall(r"<td[^>]*cell-word.*?</td>", row, re.DOTALL)))
            if link is None or not shown:
                continue
            head = (
                client.get(unescape(link[1]))
                .text.partition("<main")[2]
                .partition('class="tabs"')[0]
            )
            assert shown <= badges(head), (record.domain, link[1], shown, badges(head))
            seen.setdefault(record.domain, set()).update(words for _tone, words in shown)
    every = {"adjustments", "entries", "gas_months", "invoices", "meters", "payments", "wallets"}
    assert every <= set(seen)
    assert sum(map(len, seen.values())) > len(every) * 2, seen
