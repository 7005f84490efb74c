"""The equation of the balance sheet, by what is stored: it holds at every moment, so it is asked and never recorded."""

from sqlalchemy import select

from ...base import N_
from ...figures import amounts, check
from ...figures.declaring.checks import Side
from ..models import Account
from ..rules import ASSET, EQUITY, EXPENSE, LIABILITY, REVENUE


def _held_by(title: str, of_type: str) -> Side:
    """What the accounts of a type hold, as it is stored."""
    return amounts(title, select(Account.balance).where(Account.type == of_type))


balance_sheet = check(
    "accounts.equation",
    _held_by(N_("Assets"), ASSET),
    _held_by(N_("Liabilities"), LIABILITY)
    + _held_by(N_("Equity"), EQUITY)
    + _held_by(N_("Revenue"), REVENUE)
    - _held_by(N_("Expenses"), EXPENSE),
    title=N_("Assets are liabilities, equity and current earnings"),
)
