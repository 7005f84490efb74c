"""The dry run of every kind of file reports exactly the stored totals that the import changes."""

import json
import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from backoffice.app.extensions import db
from backoffice.audit.facts import facts_by_table
from backoffice.customers.models import Customer
from backoffice.figures import registry
from backoffice.imports.kinds import KINDS
from backoffice.imports.wording import Values, label
from backoffice.runs.models import Run
from backoffice.runs.working import perform
from backoffice.wallets.actions import recharge
from tests.billing.books_of_meters import digest
from tests.drift.books import text_of
from tests.drift.every_figure import changes, reported, stored
from tests.factories.billing import PaymentFactory
from tests.factories.gas import GasPriceFactory, ReadingFactory
from tests.factories.ledger import AccountFactory
from tests.factories.orders import OrderFactory, OrderLineFactory
from tests.factories.people import AccountManagerFactory
from tests.factories.wallets import WalletFactory
from tests.imports.desk import LINES, ORDERS, Desk
from tests.imports.documents import DAYS, INVOICES, PAYMENTS, book, invoice

FILES: dict[str, list[str]] = {
    "invoices": [INVOICES, f"INV-1,A,M-1,{DAYS},1700", f"INV-2,A,M-2,{DAYS},250.50"],
    "payments": [PAYMENTS, "P-1,A,M-1,INV-1,2026-03-15,400", "P-2,A,M-2,,2026-03-16,99.95"],
    "meters": ["meter_number,customer_code,is_active", "M-1,A,no", "M-1,B,yes"],
    "orders": [ORDERS, "N-1,A,ana@example.com,2026-01-05,2026-03-10"],
    "order-lines": [LINES, "N-1,package,Desk,3,100", "N-1,promo,Spring,1,20"],
    "customers": ["code,name", "A,Ada Anew"],
    "products": ["code,name", "D-1,Desk"],
    "account-managers": ["email,name", "ana@example.com,Ana"],
    "wallet-charges": ["wallet_id,amount,idempotency_key", "W-1,25,a", "W-1,30.50,b"],
    "prices": [
        "customer_code,effective_from,price_per_sm3,correction_factor",
        "A,2026-01-15,9000,1.5",
    ],
    "readings": ["customer_code,read_on,metered_volume_m3", "A,2026-01-20,80", "A,2026-02-20,90"],
    "deposits": ["customer_code,deposited_on,amount", "A,2026-01-02,250.50"],
    "accounts": ["code,name,type", "1100,Bank anew,asset", "9000,Other,expense"],
    "journal": [
        "entry_number,date,memo,account_code,debit,credit",
        "J-1,2026-01-02,Capital,1100,250.50,",
        "J-1,2026-01-02,Capital,3000,,250.50",
    ],
}
MOVES = {
    "invoices", "payments", "meters", "orders", "order-lines", "wallet-charges", "prices", "readings",
    "deposits", "journal",
}  # fmt: skip


class Moved:
    """The items of a report as items of a run, to be compared with the book."""

    def __init__(self, item: dict[str, Any]) -> None:
        self.__dict__.update(item)


@pytest.fixture
def a_book(session: Any) -> None:
    """Customers with meters and an invoice, and an order of a manager that counts in February."""
    book(session)
    manager = AccountManagerFactory(email="ana@example.com")
    plain = dict.fromkeys(("additions", "promo", "reductions"), 0)
    order = OrderFactory(number="N-1", account_manager=manager, closing_date="2026-02-10", **plain)
    OrderLineFactory(order=order)
    recharge(session, WalletFactory(number="W-1").id, Decimal(100))
    customer = session.scalars(select(Customer).where(Customer.code == "A")).one()
    GasPriceFactory(customer=customer)
    for month in (1, 2):
        ReadingFactory(customer=customer, read_on=date(2026, month, 20))
    AccountFactory(code="1100")
    AccountFactory(code="3000", type="equity")
    session.commit()


def file_of(kind: str, folder: Path) -> Path:
    path = folder / f"{kind}.csv"
    path.write_text("\n".join(FILES[kind]) + "\n")
    return path


def moved(before: Any, after: Any) -> dict[Any, Any]:
    """The totals that are otherwise, of records that were there before; not the amounts that the file enters itself."""
    differences = changes(before, after)
    differences.pop(("invoices.amount", (("id", "1"),)), None)
    own = {f.name for f in registry.figures if not f.derived_rows}
    return {
        row: reported
        for row, reported in differences.items()
        if reported[0] is not None or row[0] not in own
    }


def test_every_kind_of_file_is_tried() -> None:
    assert set(FILES) == set(KINDS)


@pytest.mark.parametrize("kind", list(FILES))
def test_the_dry_run_of_a_file_lists_the_totals_that_its_import_moves(
    kind: str, session: Any, a_book: None, tmp_path: Path, import_: Any, owner_database_url: str
) -> None:
    before, tables = stored(session), digest(owner_database_url)
    report = import_(kind, file_of(kind, tmp_path), dry_run=True)
    assert digest(owner_database_url) == tables
    listed = reported(Moved(item) for item in report["totals"]["items"])
    assert bool(listed) == (kind in MOVES)
    done = import_(kind, file_of(kind, tmp_path))
    assert moved(before, stored(session)) == listed
    assert done["totals"] == report["totals"], "the import reports what the dry run reported"
    items = report["totals"]["items"]
    assert report["totals"]["rows"] == len(items)
    for total, name in (("net", "net"), ("gross", "gross")):
        assert Decimal(report["totals"][total]) == sum(Decimal(i.get(name) or 0) for i in items)
    for item in items:
        if item.get("amount_before") is not None:
            before_, net, after = (
                Decimal(item[n]) for n in ("amount_before", "net", "amount_after")
            )
            assert before_ + net == after


@pytest.mark.parametrize("kind", sorted(MOVES))
def test_the_page_shows_them_and_imports_nothing_else(
    kind: str, session: Any, a_book: None, sign_in: Any, tmp_path: Path
) -> None:
    desk = Desk(sign_in("finance"))
    before = stored(session)
    upload = desk.checked(kind, "\n".join(FILES[kind]))
    page = text_of(desk.client.get(f"/imports/{upload}").text)
    assert "Stored totals that move with it" in page
    answer = desk.client.post(f"/imports/{upload}/apply", data={"checks": "1"})
    assert answer.status_code in (200, 303)
    for run_id in session.scalars(select(Run.id).where(Run.finished_at.is_(None))).all():
        perform(db.engine, run_id)  # what a worker does with a file that is charged line by line
    differences = moved(before, stored(session))
    assert differences
    for name in {row[0] for row in differences}:
        assert registry.get(name).title in page


def test_an_import_shows_the_totals_as_it_has_changed_them(
    session: Any, a_book: None, sign_in: Any
) -> None:
    """Another user has paid since the dry run: the same documents are imported, over other balances."""
    desk = Desk(sign_in("finance"))
    upload = desk.checked("payments", "\n".join(FILES["payments"]))
    standing = invoice(session)
    PaymentFactory(
        customer=standing.customer, meter=standing.meter, invoice=standing, amount=Decimal("0.05")
    )
    session.commit()
    assert "400.05" not in desk.page(upload)
    desk.client.post(f"/imports/{upload}/apply", data={"checks": "1"})
    assert invoice(session).paid == Decimal("400.05")
    page = desk.page(upload)
    assert "What was imported" in page
    assert "1,099.95" in page, "what is still open of the invoice"


def test_the_command_prints_them(
    a_book: None, tmp_path: Path, run_command: Callable[..., Any]
) -> None:
    said = run_command("import", "payments", str(file_of("payments", tmp_path)), "--dry-run")
    assert said.exit_code == 0
    for words in ("M-1", "Meter balance", "stored totals of records that were there before move"):
        assert words in said.stdout
    quiet = run_command("import", "customers", str(file_of("customers", tmp_path)), "--dry-run")
    assert "stored totals" not in quiet.stdout
    reported_ = json.loads(
        run_command("import", "payments", str(file_of("payments", tmp_path)), "--json").stdout
    )
    assert reported_["totals"]["rows"] == len(reported_["totals"]["items"]) > 0


@pytest.mark.parametrize("kind", list(FILES))
def test_the_changes_are_shown_in_words_and_not_as_a_program_holds_them(
    kind: str, a_book: None, sign_in: Any
) -> None:
    desk = Desk(sign_in("finance"))
    upload = desk.checked(kind, "\n".join(FILES[kind]))
    page = desk.client.get(f"/imports/{upload}").text
    for values in re.findall(r'<td class="import-values">(.*?)</td>', page, re.DOTALL):
        words = text_of(values)
        assert not re.search(r"\b(True|False|None)\b|\b[a-z]+_[a-z_]+:", words), words


def test_every_column_that_an_import_may_change_has_a_label_and_its_values_words() -> None:
    """Also columns that are not shown now: the next one to be shown has a label."""
    for table in {recorded.table for recorded in facts_by_table().values()}:
        for column in table.c:
            assert "_" not in label(column.key, table.name), f"{table.name}.{column.key}"
    assert (Values()("use_realtime_calculation", True), Values()("is_active", False)) == (
        "yes",
        "no",
    )
