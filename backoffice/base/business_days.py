"""The business day of a timestamp, in SQL."""

from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Text, bindparam, func

from . import periods

_ZONE: BindParameter[str] = bindparam(
    "zone", callable_=lambda: periods.timezone().key, type_=Text, unique=True
)
"""The business time zone, read on execution: it is not configured yet when declarations are imported."""


def business_day(moment: Any) -> ColumnElement[Any]:
    """The business day of a timestamp."""
    return func.date(func.timezone(_ZONE, moment))
