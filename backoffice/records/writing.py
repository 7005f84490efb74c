"""Formats the values of fields for display."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _

from ..app.extensions import db
from ..web.formats import (
    money_filter,
    month_filter,
    quantity_filter,
    recorded_day,
    unit_price_filter,
)
from .fields import (
    Amount,
    CalendarMonth,
    Choice,
    Day,
    Factor,
    Field,
    Flag,
    Named,
    Notes,
    Pick,
    Quantity,
    Text,
    UnitPrice,
)


def label_of(of: Named, row_id: int) -> str:
    """The label of another record; its id where it was deleted."""
    row: Any = db.session.get(of.model, row_id)
    return f"#{row_id}" if row is None else of.label(row)


_WRITTEN: Mapping[type[Field], Callable[[Any, str], str]] = {
    Text: lambda _field, fact: fact,
    Notes: lambda _field, fact: fact,
    Choice: lambda field, fact: _(field.words[fact]) if fact in field.words else fact,
    Flag: lambda _field, fact: _("yes") if fact else _("no"),
    Day: lambda _field, fact: recorded_day(fact) if fact else "",
    CalendarMonth: lambda field, fact: month_filter(field.data(fact)),
    Amount: lambda _field, fact: money_filter(Decimal(fact)) if fact else "",
    Quantity: lambda _field, fact: quantity_filter(Decimal(fact)) if fact else "",
    Factor: lambda _field, fact: quantity_filter(Decimal(fact)) if fact else "",
    UnitPrice: lambda _field, fact: unit_price_filter(Decimal(fact)) if fact else "",
    Pick: lambda field, fact: label_of(field.of, int(fact)) if fact else "",
}


def written(field: Field, fact: str) -> str:
    """A fact of the field, formatted for display."""
    return _WRITTEN[type(field)](field, fact)
