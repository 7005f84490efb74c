"""The signed difference of what was and what is: after minus before, of values that are recorded as texts."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Numeric, String, case, cast, func, literal

NUMBER = r"^-?[0-9]+(\.[0-9]+)?$"
"""What is a number among recorded values, which are texts; for Python and PostgreSQL alike."""


def difference(before: object, after: object) -> Decimal | None:
    """The signed difference of two recorded values, after minus before; what is not there counts as 0.

    None where either of them is no number.
    """
    reported = ["0" if side is None or side == "" else str(side) for side in (before, after)]
    if not all(re.search(NUMBER, text) for text in reported):
        return None
    old, new = map(Decimal, reported)
    return new - old


def number_in_sql(text: ColumnElement[str]) -> ColumnElement[Any]:
    """The number that a recorded text says, 0 where there is none; NULL of what is no number."""
    return case(
        (func.coalesce(text, "") == "", literal(0, Numeric)),
        (text.regexp_match(NUMBER), cast(text, Numeric)),
    )


def signed_in_sql(before: ColumnElement[str], after: ColumnElement[str]) -> ColumnElement[Any]:
    """As `difference`, as a text with its sign, in parentheses after a blank; NULL where that is None."""
    apart = number_in_sql(after) - number_in_sql(before)
    sign = case((apart > 0, literal("+")), else_=literal(""))
    return literal(" (") + sign + cast(apart, String) + literal(")")


def differences(
    before: Mapping[str, object] | None, after: Mapping[str, object] | None
) -> dict[str, str]:
    """The signed difference of each named value that is a number on both sides, for JSON."""
    reported = {
        name: difference((before or {}).get(name), (after or {}).get(name))
        for name in {**(before or {}), **(after or {})}
    }
    return {name: str(apart) for name, apart in reported.items() if apart is not None}
