"""The day of a moment where the business is, in SQL."""

from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Text, bindparam, func

from . import periods

_ZONE: BindParameter[str] = bindparam(
    "zone", callable_=lambda: periods.timezone().key, type_=Text, unique=True
)
"""The business time zone, as it is when it is asked: it is not known yet when a declaration is read."""


def business_day(moment: Any) -> ColumnElement[Any]:
    """The business day on which a moment is."""
    return func.date(func.timezone(_ZONE, moment))
