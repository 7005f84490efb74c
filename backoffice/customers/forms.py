"""Reading a customer from a typed text, and the form that names two customers to merge."""

from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import StringField, ValidationError

from ..app.extensions import db
from ..web.forms import tidy
from . import queries
from .models import Customer


def customer_named(text: str) -> Customer:
    """The one customer that a typed text names. Raises ValidationError with the reason if there is not exactly one."""
    found = queries.meant_by(db.session(), text)
    if not found:
        raise ValidationError(_("No customer is called that. Type a code or a part of the name."))
    if len(found) > 1:
        raise ValidationError(_("Several customers fit that. Choose one from the list."))
    return found[0]


class PairForm(FlaskForm):
    """Two customers by code or name: the survivor, and the duplicate to merge into it. Filled from the address."""

    class Meta:
        """The form changes nothing, so it needs no CSRF token."""

        csrf = False

    survivor = StringField(_l("Keep"), filters=[tidy])
    duplicate = StringField(_l("Merge into it"), filters=[tidy])

    def __init__(self, **options: Any) -> None:
        """A form that has not looked up its customers yet."""
        super().__init__(**options)
        self.found: dict[str, Customer] = {}

    @property
    def is_filled(self) -> bool:
        """Whether both customers are named."""
        return bool(self.survivor.data and self.duplicate.data)

    def validate_survivor(self, field: StringField) -> None:
        """The text names exactly one customer."""
        self._find(field)

    def validate_duplicate(self, field: StringField) -> None:
        """The text names exactly one customer."""
        self._find(field)

    def _find(self, field: StringField) -> None:
        if not field.data:
            raise ValidationError(_("Choose a customer."))
        self.found[field.short_name] = customer_named(field.data)
