"""What may be typed about a product."""

import json
from dataclasses import asdict
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import (
    BooleanField,
    SelectChoice,
    SelectField,
    StringField,
    ValidationError,
)

from ..base import periods
from ..web.formats import DayField, UnitPriceField
from ..web.forms import RecordForm, Required, Stamp, at_most, tidy
from ..web.idempotency import new_key
from .actions import ProductEntry
from .models import Product
from .rules import CODE_LENGTH, NAME_LENGTH, SOLD_AS, UNIT_LENGTH, is_code


class ProductForm(RecordForm):
    """A product; its prices are changed on the pricing screen."""

    code = StringField(
        _l("Code"),
        filters=[tidy],
        validators=[Required(_l("Enter a code.")), at_most(CODE_LENGTH)],
    )
    name = StringField(
        _l("Name"),
        filters=[tidy],
        validators=[Required(_l("Enter a name.")), at_most(NAME_LENGTH)],
    )
    kind = SelectField(
        _l("Sold as"),
        choices=[SelectChoice(kind, _l(name)) for kind, name in SOLD_AS.items()],
    )
    unit = StringField(_l("Unit"), filters=[tidy], validators=[at_most(UNIT_LENGTH)])
    is_active = BooleanField(_l("Can be chosen in orders"))

    @classmethod
    def for_product(cls, product: Product, entry: ProductEntry | None = None) -> "ProductForm":
        """The stored product for editing; with `entry` instead of what is stored."""
        stored = ProductEntry.of(product)
        data = {
            **asdict(entry or stored),
            "version": str(Stamp(product.id, product.version)),
            "base": json.dumps(stored.facts()),
            "idempotency_key": new_key(),
        }
        return cls(formdata=None, data=data)

    def validate_code(self, field: StringField) -> None:
        """A product's code is part of its address."""
        if not is_code(field.data):
            raise ValidationError(
                _("This cannot be part of a web address. Write a code like CHAI or P-001.")
            )

    def entry(self) -> ProductEntry:
        """The product as entered; call it on a valid form only."""
        return ProductEntry(
            code=self.code.data or "",
            name=self.name.data or "",
            kind=self.kind.data,
            unit=self.unit.data or "",
            is_active=bool(self.is_active.data),
        )


class NewProductForm(ProductForm):
    """A new product, with its first price if there is one already."""

    unit_price = UnitPriceField(_l("Unit price"))
    effective_from = DayField(_l("In force from"))

    @classmethod
    def empty(cls) -> "NewProductForm":
        """An empty form with what can be suggested."""
        suggested: dict[str, Any] = {
            "kind": "package",
            "is_active": True,
            "effective_from": periods.today(),
            "idempotency_key": new_key(),
        }
        return cls(formdata=None, data=suggested)

    def validate_effective_from(self, field: DayField) -> None:
        """A price is in force from some day on."""
        if self.unit_price.data is not None and field.data is None:
            raise ValidationError(_("Enter the day from which the price is in force."))
