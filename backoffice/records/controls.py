"""How the fields of records are typed in a form, and how their values are written for people."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, SelectChoice, SelectField, StringField
from wtforms.fields.core import UnboundField

from ..web.formats import DayField, UnitPriceField, recorded_day, unit_price_filter
from ..web.forms import Required, at_most, tidy
from .fields import Choice, Day, Field, Flag, Text, UnitPrice

Laws = list[Any]
"""Validators."""


def _text(field: Text, laws: Laws) -> UnboundField:
    must = [Required(_l(field.required))] if field.required else []
    validators = [*must, at_most(field.longest), *laws]
    return StringField(_l(field.label), filters=[tidy], validators=validators)


def _choice(field: Choice, laws: Laws) -> UnboundField:
    choices = [SelectChoice(value, _l(word)) for value, word in field.words.items()]
    return SelectField(_l(field.label), choices=choices, validators=laws)


_CONTROLS: Mapping[type[Field], Callable[[Any, Laws], UnboundField]] = {
    Text: _text,
    Choice: _choice,
    Flag: lambda field, laws: BooleanField(_l(field.label), validators=laws),
    Day: lambda field, laws: DayField(_l(field.label), validators=laws),
    UnitPrice: lambda field, laws: UnitPriceField(_l(field.label), validators=laws),
}

_WRITTEN: Mapping[type[Field], Callable[[Any, str], str]] = {
    Text: lambda _field, fact: fact,
    Choice: lambda field, fact: _(field.words[fact]) if fact in field.words else fact,
    Flag: lambda _field, fact: _("yes") if fact else _("no"),
    Day: lambda _field, fact: recorded_day(fact) if fact else "",
    UnitPrice: lambda _field, fact: unit_price_filter(Decimal(fact)) if fact else "",
}


def control_of(field: Field, laws: Laws) -> UnboundField:
    """The form's control for a field, with validators for its laws after its own."""
    return _CONTROLS[type(field)](field, laws)


def written(field: Field, fact: str) -> str:
    """A fact of the field as people read it."""
    return _WRITTEN[type(field)](field, fact)
