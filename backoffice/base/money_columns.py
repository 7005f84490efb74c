"""Which columns hold money: recognized by their decimals, unlike quantities, prices per unit and counts."""

from typing import Any

from sqlalchemy import Column, Numeric

MONEY_DECIMALS = 2


def is_money(column: Column[Any]) -> bool:
    """Whether a column holds an amount of money."""
    return isinstance(column.type, Numeric) and column.type.scale == MONEY_DECIMALS
