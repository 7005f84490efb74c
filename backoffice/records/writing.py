"""How the values of records are written for people."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _

from ..web.formats import recorded_day, unit_price_filter
from .fields import Choice, Day, Field, Flag, Text, UnitPrice

_WRITTEN: Mapping[type[Field], Callable[[Any, str], str]] = {
    Text: lambda _field, fact: fact,
    Choice: lambda field, fact: _(field.words[fact]) if fact in field.words else fact,
    Flag: lambda _field, fact: _("yes") if fact else _("no"),
    Day: lambda _field, fact: recorded_day(fact) if fact else "",
    UnitPrice: lambda _field, fact: unit_price_filter(Decimal(fact)) if fact else "",
}


def written(field: Field, fact: str) -> str:
    """A fact of the field as people read it."""
    return _WRITTEN[type(field)](field, fact)
