"""How the fields of records are typed in a form. How their values are written for people: `writing.py`."""

from collections.abc import Callable, Mapping
from typing import Any

from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, SelectChoice, SelectField, StringField
from wtforms.fields.core import UnboundField

from ..web.forms import Required, at_most, tidy
from ..web.typed_fields import DayField, UnitPriceField
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


def control_of(field: Field, laws: Laws) -> UnboundField:
    """The form's control for a field, with validators for its laws after its own."""
    return _CONTROLS[type(field)](field, laws)
