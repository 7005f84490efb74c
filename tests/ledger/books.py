"""What is stored of accounts, and what Python makes of entries."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from backoffice.ledger.models import Account

D = Decimal
Sums = tuple[Decimal, Decimal, Decimal]
"""Debits, credits and balance of an account."""

DEBIT_SIDE = {"asset", "expense"}


def stored(session: Any) -> dict[str, Sums]:
    """What is stored of every account, by its code."""
    session.rollback()
    a = Account
    rows = session.execute(select(a.code, a.debits, a.credits, a.balance))
    return {code: (debits, credited, balance) for code, debits, credited, balance in rows}


def computed_by_python(
    types: Mapping[str, str], lines: Iterable[tuple[str, Decimal]]
) -> dict[str, Sums]:
    """What accounts of these types come to by lines: a debit is above zero, a credit below it."""
    sides: dict[str, list[Decimal]] = defaultdict(lambda: [D(0), D(0)])
    for code, amount in lines:
        sides[code][amount < 0] += abs(amount)
    reported = {}
    for code, kind in types.items():
        debits, credited = sides[code]
        net = debits - credited
        reported[code] = (debits, credited, net if kind in DEBIT_SIDE else -net)
    return reported


def balances(session: Any) -> dict[str, Decimal]:
    """The stored balances that are not nothing, by the accounts' codes."""
    return {code: sums[2] for code, sums in stored(session).items() if sums[2]}
