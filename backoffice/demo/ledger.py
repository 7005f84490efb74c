"""The demo company's ledger: a small chart of accounts, and a year of rent, wages, interest and wear."""

from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..base import periods
from ..base.periods import Month
from ..ledger import actions
from ..ledger.entries import LineEntry
from ..ledger.models import Account
from ..ledger.periods.queries import next_to_close
from .fitting import fit

MONTHS = 12

ACCOUNTS = {
    "1100": ("Bank", "asset", "cash"), "1500": ("Prepaid rent", "asset"), "1700": ("Warehouse equipment", "asset"),
    "1790": ("Accumulated depreciation", "asset"), "2100": ("Bank loan", "liability"),
    "3000": ("Owner's capital", "equity"), "4000": ("Consulting fees", "revenue"),
    "1200": ("Receivables of meters", "asset", "receivables"), "1250": ("Receivables of orders", "asset", "orders"),
    "2300": ("Gas deposits of customers", "liability", "gas_deposits"),
    "2400": ("Wallets of customers", "liability", "wallets"),
    "3900": ("Retained earnings", "equity", "retained_earnings"),
    "4100": ("Sales by order", "revenue", "order_revenue"), "4200": ("Sales by meter", "revenue", "meter_revenue"),
    "4300": ("Sales of gas", "revenue", "gas_revenue"), "4400": ("Sales by wallet", "revenue", "wallet_revenue"),
    "6100": ("Rent", "expense"), "6200": ("Wages", "expense"), "6700": ("Depreciation", "expense"),
    "7100": ("Interest", "expense"),
}  # fmt: skip
"""Code → name, type and, for some, the role."""

OPENING = {
    "Owner's capital": ("1100", "3000", "60000.00"), "Loan of the bank": ("1100", "2100", "20000.00"),
    "Forklift and shelves": ("1700", "1100", "24000.00"), "Rent of a year": ("1500", "1100", "12000.00"),
}  # fmt: skip
"""Memo → debited account, credited account, dollars."""

EVERY_MONTH = {
    "Rent": ("6100", "1500", "1000.00"), "Wages": ("6200", "1100", "3200.00"),
    "Depreciation": ("6700", "1790", "400.00"), "Interest": ("7100", "1100", "85.00"),
    "Consulting": ("1100", "4000", "4100.00"),
}  # fmt: skip


def load(session: Session) -> None:
    """Open the accounts, and post the last months; one entry is reversed. Never commits."""
    ids = {}
    for code, (name, kind, *role) in ACCOUNTS.items():
        account = Account(code=code, name=name, type=kind, role="".join(role))
        session.add(account)
        session.flush()
        ids[code] = account.id
    today = periods.today()
    months = list((Month.of(today) - MONTHS).through(Month.of(today) - 1))
    for memo, reported in OPENING.items():
        actions.enter(session, months[0].first, _lines(ids, *reported), memo=memo)
    for month in months:
        for memo, reported in EVERY_MONTH.items():
            actions.enter(session, month.last, _lines(ids, *reported), memo=memo)
    _mistaken(session, ids, months[-1].last)


def leave_drafts(session: Session) -> None:
    """Leave two drafts: one of today, and one that keeps the first month from being closed. Never commits."""
    ids = {code: number for number, code in session.execute(select(Account.id, Account.code))}
    truck = {"entry_date": periods.today(), "memo": "A pallet truck", "source": "INV-2231"}
    _draft(session, truck, _lines(ids, "1700", "1100", "1450.00"))
    rent = {
        "entry_date": next_to_close(session).last,
        "memo": "Rent deposit, paid by the owner",
        "source": "",
    }
    _draft(session, rent, _lines(ids, "1500", "3000", "500.00"))


def _lines(ids: dict[str, int], debited: str, credited: str, dollars: str) -> list[LineEntry]:
    amount = fit().price(Decimal(dollars))
    return [LineEntry(ids[debited], debit=amount), LineEntry(ids[credited], credit=amount)]


def _mistaken(session: Session, ids: dict[str, int], day: date) -> None:
    """Wages that were posted twice, and reversed."""
    twice = actions.enter(session, day, _lines(ids, *EVERY_MONTH["Wages"]), memo="Wages").row
    actions.reverse(session, twice.id, {"entry_date": day, "memo": "Posted twice"})


def _draft(session: Session, reported: dict[str, Any], lines: list[LineEntry]) -> None:
    number = actions.number_for(session, reported)
    actions.create(session, {**reported, "number": number, "lines": lines})
