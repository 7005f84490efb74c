"""What may be typed about a customer, and about two that are one."""

import json
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import StringField, ValidationError

from ..app.extensions import db
from ..base.identifiers import is_visible
from ..web.formats import in_words
from ..web.forms import RecordForm, Required, Stamp, at_most, tidy
from ..web.idempotency import new_key
from . import queries
from .actions import CodeTaken, CustomerEntry
from .listing import LABELS
from .models import Customer
from .rules import CODE_LENGTH, FACTS, TEXT_LENGTH, is_code


def _text(name: str, length: int = TEXT_LENGTH, *validators: Any) -> StringField:
    return StringField(_l(LABELS[name]), filters=[tidy], validators=[*validators, at_most(length)])


def customer_named(text: str) -> Customer:
    """The one customer that a typed text names. Raises ValidationError, which says why there is none."""
    found = queries.meant_by(db.session(), text)
    if not found:
        raise ValidationError(_("No customer is called that. Type a code or a part of the name."))
    if len(found) > 1:
        raise ValidationError(_("Several customers fit that. Choose one from the list."))
    return found[0]


class CustomerForm(RecordForm):
    """A customer: code, name, and how to reach them."""

    code = _text("code", CODE_LENGTH, Required(_l("Enter a code.")))
    name = _text("name", TEXT_LENGTH, Required(_l("Enter a name.")))
    contact_name = _text("contact_name")
    phone = _text("phone")
    city = _text("city")
    country = _text("country")

    def __init__(self, customer: Customer | None, **options: Any) -> None:
        """A form for `customer`; None: a new one."""
        super().__init__(**options)
        self.customer = customer

    @classmethod
    def for_new(cls) -> "CustomerForm":
        """An empty form."""
        return cls(None, formdata=None, data={"idempotency_key": new_key()})

    @classmethod
    def for_customer(cls, customer: Customer, entry: CustomerEntry | None = None) -> "CustomerForm":
        """The stored customer for editing; with `entry` instead of what is stored."""
        stored = CustomerEntry.of(customer).facts()
        data = {
            **(entry.facts() if entry else stored),
            "version": str(Stamp(customer.id, customer.version)),
            "base": json.dumps(stored),
            "idempotency_key": new_key(),
        }
        return cls(customer, formdata=None, data=data)

    def entry(self) -> CustomerEntry:
        """The customer as entered."""
        return CustomerEntry(**{name: self[name].data or "" for name in FACTS})

    def validate_code(self, field: StringField) -> None:
        """A code is part of an address, and no two customers have the same one."""
        is_kept = self.customer is not None and field.data == self.customer.code
        if not is_kept and not is_code(field.data):
            raise ValidationError(
                _("This cannot be part of a web address. Write a code like ALFKI, C-001 or PT/001.")
            )
        other = queries.by_code(db.session(), field.data)
        if other is not None and (self.customer is None or other.id != self.customer.id):
            raise ValidationError(in_words(CodeTaken(code=field.data)))

    def validate_name(self, field: StringField) -> None:
        """A name is something to read."""
        if field.data and not is_visible(field.data):
            raise ValidationError(_("Write a name with a letter or a digit that one can see."))


class PairForm(FlaskForm):
    """Two customers by code or name: who stays, and who is merged into them. An address holds it."""

    class Meta:
        """It changes nothing, so it needs no token."""

        csrf = False

    survivor = StringField(_l("Keep"), filters=[tidy])
    duplicate = StringField(_l("Merge into it"), filters=[tidy])

    def __init__(self, **options: Any) -> None:
        """A form that has found nobody yet."""
        super().__init__(**options)
        self.found: dict[str, Customer] = {}

    @property
    def is_filled(self) -> bool:
        """Whether both are named."""
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
