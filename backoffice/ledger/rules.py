"""Constants and rules of the ledger: statuses, types, roles, limits, and the normal side of an account."""

import re
from typing import Any

from sqlalchemy import case

from ..base import N_
from ..base import identifiers as names

DRAFT, POSTED, REVERSED = "draft", "posted", "reversed"
CLOSED, OPEN = "closed", "open"
ASSET, LIABILITY, EQUITY, REVENUE, EXPENSE = "asset", "liability", "equity", "revenue", "expense"

STATUSES = {DRAFT: N_("Draft"), POSTED: N_("Posted")}
STANDINGS = {**STATUSES, REVERSED: N_("Reversed")}
"""The status on screen: an entry is reversed by another one, and stays posted."""
TONES = {DRAFT: "neutral", POSTED: "good", REVERSED: "warning"}

TYPES = {
    ASSET: N_("Asset"), LIABILITY: N_("Liability"), EQUITY: N_("Equity"),
    REVENUE: N_("Revenue"), EXPENSE: N_("Expense"),
}  # fmt: skip
"""Type of account → its name on screen, in the order of statements."""

DEBIT_TYPES = (ASSET, EXPENSE)
"""The types of accounts with a normal debit balance; the others have a normal credit balance."""

CASH, RETAINED_EARNINGS = "cash", "retained_earnings"
RECEIVABLES, METER_REVENUE = "receivables", "meter_revenue"
ORDERS, ORDER_REVENUE = "orders", "order_revenue"
GAS_DEPOSITS, GAS_REVENUE = "gas_deposits", "gas_revenue"
WALLETS, WALLET_REVENUE = "wallets", "wallet_revenue"

ROLES = {
    "": N_("Nothing in particular"),
    CASH: N_("Cash and bank"),
    RECEIVABLES: N_("Receivables of meters"), METER_REVENUE: N_("Revenue of meters"),
    ORDERS: N_("Receivables of orders"), ORDER_REVENUE: N_("Revenue of orders"),
    GAS_DEPOSITS: N_("Gas deposits of customers"), GAS_REVENUE: N_("Revenue of gas"),
    WALLETS: N_("Wallets of customers"), WALLET_REVENUE: N_("Revenue of wallets"),
    RETAINED_EARNINGS: N_("Retained earnings"),
}  # fmt: skip
"""What posting rules use an account for, and its name on screen."""

NUMBER_LENGTH = 40
CODE_LENGTH = 100
NAME_LENGTH = 200
TEXT_LENGTH = 200

_CODE = re.compile(r"\w[\w .:&+-]*", re.ASCII)
_TAKEN = ("new", "preview", "options")
CODE_SAYS = N_("Use letters, digits, spaces and . : _ - & + and begin with a letter or a digit.")


def is_code(text: str) -> bool:
    """Whether `text` can be the code of an account: 1100, or Assets:US:Bank:Checking."""
    is_page = text in _TAKEN or text.startswith("export.")
    return bool(_CODE.fullmatch(text)) and not is_page


def is_number(text: str) -> bool:
    """Whether `text` can be the number of an entry."""
    return names.is_number(text, ("/calculation/", "/reversals/"))


def balance_of(account_type: Any, debits: Any, credits: Any) -> Any:  # noqa: A002 (the field's word)
    """The balance of an account of that type after these debits and credits; given columns, the SQL expression."""
    debited, credited = net_of(debits, credits), net_of(credits, debits)
    if isinstance(account_type, str):
        return debited if account_type in DEBIT_TYPES else credited
    return case((account_type.in_(DEBIT_TYPES), debited), else_=credited)


def net_of(one: Any, other: Any) -> Any:
    """One side less the other; given columns, the SQL expression."""
    return one - other
