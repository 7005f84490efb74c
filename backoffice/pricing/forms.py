"""The form of the pricing screen."""

import re
from collections.abc import Mapping
from decimal import Decimal

from flask import request
from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import HiddenField, StringField, ValidationError

from ..app.extensions import db
from ..base import money, periods
from ..base.periods import read_day
from ..base.refusals import Refusal
from ..products import choosing
from ..products import queries as products
from ..products.models import Product
from ..web.formats import in_words
from ..web.forms import Required
from ..web.idempotency import new_key
from ..web.typed_fields import DayField, UnitPriceField
from .effects import Effect, NewPrice

_TOKEN = re.compile(r"([0-9]{1,18}):([0-9]{1,9})", re.ASCII)


class PricingForm(FlaskForm):
    """A product, its new price and the day from which it is in force, and the chosen orders among those shown.

    `previewed` is the signature of the price that was previewed, `shown` the orders that could be chosen.
    """

    product = StringField(
        _l("Product"),
        filters=[lambda text: (text or "").strip()],
        validators=[Required(_l("Choose a product."))],
    )
    effective_from = DayField(
        _l("In force from"),
        validators=[Required(_l("Enter the day from which the price is in force."))],
    )
    unit_price = UnitPriceField(
        _l("New unit price"), validators=[Required(_l("Enter the new price."))]
    )
    previewed = HiddenField()
    shown = HiddenField()
    idempotency_key = HiddenField()

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.form_errors: list[str] = []
        self.found_product: Product | None = None

    @classmethod
    def asked(cls, arguments: Mapping[str, str]) -> "PricingForm":
        """The form filled from an address; invalid arguments are ignored."""
        product = products.by_code(db.session(), arguments.get("product", ""))
        data = {
            "product": products.label(product) if product else "",
            "effective_from": read_day(arguments.get("effective_from", "")) or periods.today(),
            "unit_price": _price(arguments.get("unit_price", "")),
            "idempotency_key": new_key(),
        }
        form = cls(formdata=None, data=data)
        form.found_product = product
        return form

    def find_product(self) -> str:
        """Look up the typed product; returns an error message, empty if the product was found."""
        text = self.product.data or ""
        found = choosing.named(db.session(), [text])[text]
        if isinstance(found, Refusal):
            return in_words(found)
        self.found_product = found
        return ""

    def validate_product(self, _field: StringField) -> None:
        """The text must name exactly one product; an inactive one is allowed, as open orders may have it."""
        if problem := self.find_product():
            raise ValidationError(problem)

    def new_price(self) -> NewPrice | None:
        """The new price, once product, price and day are entered and can be read."""
        day, price = self.effective_from.data, self.unit_price.data
        if self.found_product is None or day is None or price is None:
            return None
        return NewPrice(self.found_product.id, day, price)

    def is_as_previewed(self) -> bool:
        """Whether the orders were previewed for the price that is typed now."""
        new = self.new_price()
        return new is not None and self.previewed.data == new.signature

    def chosen(self) -> dict[int, int]:
        """The chosen orders: id → version as shown."""
        tokens = map(_TOKEN.fullmatch, request.form.getlist("order"))
        return {int(token[1]): int(token[2]) for token in tokens if token}

    def is_chosen(self, effect: Effect) -> bool:
        """Whether an order is chosen: by the user if it was shown before, else by default."""
        if not effect.is_possible:
            return False
        product = (self.previewed.data or "").partition(" ")[0]
        is_same = self.found_product is not None and product == str(self.found_product.id)
        if is_same and str(effect.order_id) in (self.shown.data or "").split():
            return effect.order_id in self.chosen()
        return effect.is_default


def _price(text: str) -> Decimal | None:
    try:
        return money.parse_unit_price(text) if text else None
    except money.AmountError:
        return None
