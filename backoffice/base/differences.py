"""The signed difference, after minus before, of values that are recorded as text."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Numeric, String, case, cast, func, literal

NUMBER = r"^-?[0-9]+(\.[0-9]+)?$"
"""Matches a number among recorded texts, in Python and PostgreSQL alike."""


def difference(before: object, after: object) -> Decimal | None:
    """The signed difference of two recorded values, after minus before; a missing one counts as 0.

    None where either of them is not a number.
    """
    texts = ["0" if side is None or side == "" else str(side) for side in (before, after)]
    if not all(re.search(NUMBER, text) for text in texts):
        return None
    old, new = map(Decimal, texts)
    return new - old


def number_in_sql(text: ColumnElement[str]) -> ColumnElement[Any]:
    """The number in a recorded text, 0 for an empty one; NULL where it is not a number."""
    return case(
        (func.coalesce(text, "") == "", literal(0, Numeric)),
        (text.regexp_match(NUMBER), cast(text, Numeric)),
    )


def signed_in_sql(before: ColumnElement[str], after: ColumnElement[str]) -> ColumnElement[Any]:
    """`difference` in SQL, as text with its sign, in parentheses after a space; NULL where that is None."""
    amount = number_in_sql(after) - number_in_sql(before)
    sign = case((amount > 0, literal("+")), else_=literal(""))
    return literal(" (") + sign + cast(amount, String) + literal(")")


def differences(
    before: Mapping[str, object] | None, after: Mapping[str, object] | None
) -> dict[str, str]:
    """The signed difference of each named value that is a number on both sides, for JSON."""
    amounts = {
        name: difference((before or {}).get(name), (after or {}).get(name))
        for name in {**(before or {}), **(after or {})}
    }
    return {name: str(amount) for name, amount in amounts.items() if amount is not None}
