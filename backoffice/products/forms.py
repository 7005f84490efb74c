"""What may be typed about a product."""

import re
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    HiddenField,
    SelectChoice,
    SelectField,
    StringField,
    ValidationError,
)
from wtforms.validators import InputRequired, Length

from .. import periods
from ..formats import DayField, UnitPriceField
from ..idempotency import new_key
from .actions import ProductEntry
from .models import Product
from .rules import CODE_LENGTH, NAME_LENGTH, SOLD_AS, UNIT_LENGTH, is_code


def _trimmed(text: str | None) -> str:
    return " ".join((text or "").split())


def _at_most(characters: int) -> Length:
    return Length(max=characters, message=_l("At most %(max)d characters."))


class ProductForm(FlaskForm):
    """A product; its prices are changed on the pricing screen."""

    code = StringField(
        _l("Code"),
        filters=[_trimmed],
        validators=[InputRequired(_l("Enter a code.")), _at_most(CODE_LENGTH)],
    )
    name = StringField(
        _l("Name"),
        filters=[_trimmed],
        validators=[InputRequired(_l("Enter a name.")), _at_most(NAME_LENGTH)],
    )
    kind = SelectField(
        _l("Sold as"),
        choices=[SelectChoice(kind, _l(name)) for kind, name in SOLD_AS.items()],
    )
    unit = StringField(_l("Unit"), filters=[_trimmed], validators=[_at_most(UNIT_LENGTH)])
    is_active = BooleanField(_l("Can be chosen in orders"))
    version = HiddenField()
    idempotency_key = HiddenField()

    @classmethod
    def for_product(cls, product: Product) -> "ProductForm":
        """The stored product for editing."""
        form = cls(formdata=None, obj=product)
        form.idempotency_key.data = new_key()
        return form

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

    def expected_version(self) -> int:
        """The version that was opened; -1, which no product has, for anything that is not a number."""
        text = self.version.data or ""
        return int(text) if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) else -1


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
