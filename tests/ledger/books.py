"""Stored balances of accounts, and the balances that Python computes from entries."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from beancount import loader
from beancount.core import data, realization
from beancount.ops.validation import HARDCORE_VALIDATIONS
from sqlalchemy import select

from backoffice.base import money
from backoffice.ledger.models import Account
from backoffice.ledger.queries import held_on
from backoffice.ledger.reports.beancount import code_of
from backoffice.ledger.reports.files import beancount_file

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
    """The net of these account types by their lines: debits positive, credits negative."""
    sides: dict[str, list[Decimal]] = defaultdict(lambda: [D(0), D(0)])
    for code, amount in lines:
        sides[code][amount < 0] += abs(amount)
    reported = {}
    for code, kind in types.items():
        debits, credited = sides[code]
        net = debits - credited
        reported[code] = (debits, credited, net if kind in DEBIT_SIDE else -net)
    return reported


def trial_balance(session: Any, day: date) -> list[Any]:
    """`code, type, debit, credit` of the accounts with a balance at the end of the day, by code."""
    held = held_on(day)
    rows = select(Account.code, Account.type, held.c.debit, held.c.credit)
    rows = rows.join(held, held.c.account_id == Account.id).order_by(Account.code)
    return [*session.execute(rows.where(held.c.debit + held.c.credit != 0))]


def balances(session: Any) -> dict[str, Decimal]:
    """The stored balances that are not zero, by the accounts' codes."""
    return {code: sums[2] for code, sums in stored(session).items() if sums[2]}


def found_by_beancount(file: str) -> tuple[dict[str, Decimal], list[str]]:
    """The balances that beancount computes (debits positive), by account code, and the errors of `bean-check`."""
    entries, errors, _options = loader.load_string(file, extra_validations=HARDCORE_VALIDATIONS)
    held = realization.realize(entries)
    sums = {}
    for opened in (entry for entry in entries if isinstance(entry, data.Open)):
        code = opened.meta["code"]
        assert code_of(opened.account) == code
        own = realization.get(held, opened.account).balance
        sums[code] = own.get_currency_units(money.currency()).number
    return sums, [error.message for error in errors]


def prove_by_beancount(session: Any) -> None:
    """The export passes bean-check, and every account has the same balance there."""
    file = b"".join(beancount_file(session)).decode()
    nets = {code: debits - credited for code, (debits, credited, _net) in stored(session).items()}
    assert found_by_beancount(file) == (nets, [])
