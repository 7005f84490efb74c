"""The posted journal in beancount's format, with the balance of each account as an assertion for its checker.

An account with a code that is a valid beancount name keeps it (Assets:US:Bank:Checking); any other is named Code- and
its code, each byte that is no letter or digit written as - and two hexadecimal digits. `code_of` reads both.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

from ...base import money
from ..rules import ASSET, EQUITY, EXPENSE, LIABILITY, REVENUE, net_of

ROOTS = {
    ASSET: "Assets", LIABILITY: "Liabilities", EQUITY: "Equity", REVENUE: "Income", EXPENSE: "Expenses",
}  # fmt: skip
HEAD = "Code-"

_NAME = re.compile(r"(\w+)((?::[A-Z0-9][A-Za-z0-9-]*)+)", re.ASCII)
_ESCAPED = re.compile(rb"-([0-9A-F]{2})")


def name_of(account_type: str, code: str) -> str:
    """The beancount name of the account of that type and code."""
    root, native = ROOTS[account_type], _NAME.fullmatch(code)
    if native and native[1] == root and not native[2].startswith(f":{HEAD}"):
        return code
    written = (
        chr(byte) if chr(byte).isalnum() and byte < 128 else f"-{byte:02X}"
        for byte in code.encode()
    )
    return f"{root}:{HEAD}{''.join(written)}"


def code_of(name: str) -> str:
    """The code of the account with that beancount name."""
    _root, mark, written = name.partition(f":{HEAD}")
    if not mark:
        return name
    return _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), written.encode()).decode()


def written(
    accounts: Iterable[Any], lines: Iterable[Any], begun: date | None, ended: date | None
) -> Iterator[str]:
    """The file, piece by piece: options, accounts from the day on which the journal begins, entries, balances."""
    currency, held = money.currency(), list(accounts)
    names = {account.id: name_of(account.type, account.code) for account in held}
    yield f'option "operating_currency" "{currency}"\n'
    yield 'option "tolerance_multiplier" "0"\n\n'  # else its checker accepts a difference of a cent
    if begun is None or ended is None:
        return
    for account in held:
        yield f"{begun} open {names[account.id]} {currency}\n"
        yield f"  code: {_text(account.code)}\n  title: {_text(account.name)}\n"
    for number, of_entry in groupby(lines, key=lambda line: line.number):
        entry = list(of_entry)
        yield f"\n{entry[0].entry_date} * {_text(entry[0].memo)}\n  number: {_text(number)}\n"
        for line in entry:
            yield f"  {names[line.account_id]}  {_written(net_of(line.debit, line.credit))} {currency}\n"
    yield "\n"
    nets = {names[one.id]: net_of(one.debits, one.credits) for one in held}
    for name, amount in _with_beneath(nets).items():
        yield f"{ended + timedelta(days=1)} balance {name}  {_written(amount)} {currency}\n"


def _with_beneath(nets: Mapping[str, Decimal]) -> Mapping[str, Decimal]:
    """The balance of each account including its sub-accounts by name, as beancount asserts it."""
    sums = dict.fromkeys(nets, Decimal(0))
    for name, amount in nets.items():
        parts = name.split(":")
        for above in (":".join(parts[:count]) for count in range(2, len(parts) + 1)):
            if above in sums:
                sums[above] += amount
    return sums


def _written(amount: Decimal) -> str:
    """Positive for a debit, negative for a credit, with the currency's decimals."""
    return f"{amount:.{money.minor_unit()}f}"


def _text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
