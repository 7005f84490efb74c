"""A small chart of accounts."""

from typing import Any

import pytest

from backoffice.ledger.models import Account
from tests.factories.ledger import AccountFactory

CHART = {
    "Cash": "asset", "Receivables": "asset", "Prepaid": "asset", "Equipment": "asset",
    "Depreciation": "asset", "Payables": "liability", "Capital": "equity", "Sales": "revenue",
    "Rent": "expense", "Wear": "expense",
}  # fmt: skip


@pytest.fixture
def chart(session: Any) -> dict[str, Account]:
    """Its accounts by their codes, committed."""
    made = {code: AccountFactory(code=code, type=kind) for code, kind in CHART.items()}
    session.commit()
    return made
