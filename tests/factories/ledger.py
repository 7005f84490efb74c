"""Accounts, saved in the app's session, and journal entries, posted by the ledger's actions."""

from datetime import date
from decimal import Decimal
from typing import Any

import factory

from backoffice.app.extensions import db
from backoffice.ledger import actions
from backoffice.ledger.entries import LineEntry
from backoffice.ledger.models import Account, JournalEntry


class AccountFactory(factory.alchemy.SQLAlchemyModelFactory):
    """An account without postings."""

    class Meta:
        model = Account
        sqlalchemy_session = db.session
        sqlalchemy_session_persistence = "flush"

    code = factory.Sequence(lambda n: f"{n + 1000}")
    name = factory.LazyAttribute(lambda account: f"Account {account.code}")
    type = "asset"


ROLES = {
    "cash": "asset", "receivables": "asset", "orders": "asset", "gas_deposits": "liability", "wallets": "liability",
    "meter_revenue": "revenue", "order_revenue": "revenue", "gas_revenue": "revenue", "wallet_revenue": "revenue",
    "retained_earnings": "equity",
}  # fmt: skip
"""Roles of accounts, with their types."""


def accounts_of_roles() -> dict[str, Account]:
    """An account for every role of the posting rules, by role; not committed."""
    return {role: AccountFactory(code=role, type=kind, role=role) for role, kind in ROLES.items()}


def of(account: Account, amount: Any, memo: str = "") -> LineEntry:
    """A line: a debit of a positive amount, a credit of a negative one."""
    amount = Decimal(amount)
    return LineEntry(account.id, max(amount, Decimal(0)), max(-amount, Decimal(0)), memo)


def draft(
    *lines: LineEntry, day: date = date(2026, 3, 2), number: str = "", **reported: Any
) -> JournalEntry:
    """A draft entry with these lines, not committed."""
    session = db.session()
    values = {"entry_date": day, "memo": "", "source": "", **reported, "lines": lines}
    return actions.create(
        session, {**values, "number": number or actions.number_for(session, values)}
    )


def posted(*lines: LineEntry, day: date = date(2026, 3, 2), **reported: Any) -> JournalEntry:
    """A posted entry with these lines, not committed."""
    return actions.enter(db.session(), day, lines, **reported).row


def moved(amount: Any = 100, **reported: Any) -> JournalEntry:
    """A posted entry that debits an asset and credits a liability, both new."""
    debited, credited = AccountFactory(), AccountFactory(type="liability")
    return posted(of(debited, amount), of(credited, -Decimal(amount)), **reported)
