"""A preview shows amounts that the company data has: of a month its closing balance, of an entry its balances."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from backoffice.customers.models import Customer
from tests.factories.ledger import AccountFactory
from tests.imports.desk import Desk

GIVEN = {
    "customers": ["code,name", "GASB,Gas by deposit"],
    "prices": [
        "customer_code,effective_from,price_per_sm3,correction_factor",
        "GASB,2024-02-01,1000,1", "GASB,2024-02-29,1500,1.1", "GASB,2024-03-15,2000,0.95555",
    ],
    "deposits": ["customer_code,deposited_on,amount", "GASB,2024-02-01,92400"],
    "readings": [
        "customer_code,read_on,metered_volume_m3",
        "GASB,2024-02-28,10", "GASB,2024-02-29,10", "GASB,2024-03-14,10.5", "GASB,2024-03-15,10.333",
    ],
}  # fmt: skip
FEBRUARY, MARCH = ("65900.00", "66900.00"), ("28827.00", "29827.00")
MORE = "customer_code,deposited_on,amount\nGASB,2024-02-10,1000\n"


@pytest.fixture
def gas_book(session: Any, import_: Any, tmp_path: Path) -> None:
    """A customer whose gas is drawn from deposits, with a price that changes within a month."""
    for kind, lines in GIVEN.items():
        path = tmp_path / f"{kind}.csv"
        path.write_text("\n".join(lines) + "\n")
        import_(kind, path)
        if kind == "customers":
            session.query(Customer).update({"use_realtime_calculation": True})
            session.commit()


def test_a_deposit_moves_the_closings_of_its_months(
    gas_book: None, import_: Any, tmp_path: Path
) -> None:
    path = tmp_path / "more.csv"
    path.write_text(MORE)
    totals = import_("deposits", path, dry_run=True)["totals"]
    found = {i["key"]["year_month"]: i for i in totals["items"] if "closing" in i["subject"]}
    for month, (before, after) in (("2024-02", FEBRUARY), ("2024-03", MARCH)):
        item = found[month]
        assert (item["amount_before"], item["net"], item["amount_after"], item["gross"]) == (
            before, "1000.00", after, "1000.00",
        )  # fmt: skip
    assert (totals["net"], totals["gross"]) == ("2000.00", "2000.00")


def test_the_page_shows_the_same(gas_book: None, sign_in: Any) -> None:
    desk = Desk(sign_in("finance"))
    page = desk.page(desk.checked("deposits", MORE))
    for amount in ("65,900.00", "66,900.00", "28,827.00", "29,827.00", "net Rp 2,000.00"):
        assert amount in page, amount
    assert "158,300" not in page
    assert "4,000" not in page


def test_a_reading_alone_lowers_the_closing(gas_book: None, import_: Any, tmp_path: Path) -> None:
    path = tmp_path / "reading.csv"
    path.write_text("customer_code,read_on,metered_volume_m3\nGASB,2024-02-20,26.5\n")
    totals = import_("readings", path, dry_run=True)["totals"]
    [month] = [i for i in totals["items"] if i["key"].get("year_month") == "2024-02"
               and "closing" in i["subject"]]  # fmt: skip
    assert (month["amount_before"], month["net"], month["amount_after"], month["gross"]) == (
        "65900.00", "-26500.00", "39400.00", "26500.00",
    )  # fmt: skip


def test_an_entry_moves_the_balances_of_its_accounts_and_nothing_twice(
    session: Any, tmp_path: Path, run_command: Callable[..., Any]
) -> None:
    AccountFactory(code="1100", type="asset")
    AccountFactory(code="3000", type="equity")
    session.commit()
    path = tmp_path / "journal.csv"
    path.write_text(
        "entry_number,date,memo,account_code,debit,credit\n"
        "J-1,2026-01-02,Capital,1100,127200000,\nJ-1,2026-01-02,Capital,3000,,127200000\n"
    )
    answer = run_command("import", "journal", str(path), "--dry-run", "--json")
    totals = json.loads(answer.stdout)["totals"]
    balances = [i for i in totals["items"] if i["subject"] == "accounts.balance"]
    assert [i["net"] for i in balances] == ["127200000.00"] * 2
    assert Decimal(totals["gross"]) == 2 * 127_200_000, "debits and balance are not added up"
