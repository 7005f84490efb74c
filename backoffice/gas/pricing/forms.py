"""The form of a price, with a live preview of every month that it would change."""

from collections.abc import Mapping
from typing import Any

from flask import request

from ...app.extensions import db
from ...base.periods import read_day
from ...customers import queries as customers
from ...records.forms import OfRecord
from ...web.forms import Stamp
from ...web.paging import PAGE_SIZE
from ..fields import PRICE_FIELDS
from ..models import PRICE_PARTS, GasPrice
from ..queries import price_on
from .effects import NewPrice, PriceEffect, effect_of


class PriceForm(OfRecord):
    """A customer's price and factor from a day on."""

    inputs_page = "gas/price_inputs.html"
    outputs = "gas/price_outputs.html"
    classes = "order-form"

    @classmethod
    def suggested(cls) -> dict[str, Any]:
        """The price of the customer and day that the address names, else the price in force today."""
        usual = super().suggested()
        customer = customers.by_code(db.session(), request.args.get("customer", ""))
        today = usual["effective_from"]
        day = read_day(request.args.get("effective_from", "")) or today
        prices = (price_on(db.session(), customer.id, each) for each in (day, today) if customer)
        price = next(filter(None, prices), None)
        held = {name: getattr(price, name) for name in PRICE_PARTS} if price else {}
        return {**usual, **held, "effective_from": day}

    def live(self) -> Mapping[str, Any]:
        """The live preview."""
        return {"effect": self.effect(), "taken": self.taken(), "SHOWN": PAGE_SIZE}

    def new_price(self) -> NewPrice | None:
        """The typed price once it is complete and can be stored: a preview of any other would fail or mislead."""
        values = {field.name: self[field.name].data for field in PRICE_FIELDS}
        edited, customer = self.edited(), self.customer_id()
        if customer is None or None in values.values():
            return None
        if not all(law.holds(values[field.name]) for field in PRICE_FIELDS for law in field.laws):
            return None
        return NewPrice(customer, **values, price_id=edited.id if edited else None)

    def edited(self) -> GasPrice | None:
        """The stored price that is edited; a preview finds it by the form's stamp."""
        if self.row is not None or not self.version.data:
            return self.row
        return db.session.get(GasPrice, Stamp.read(self.version.data).record_id)

    def customer_id(self) -> int | None:
        """The customer of the price; that of an edited price never changes."""
        edited = self.edited()
        customer: int | None = self["customer"].data if edited is None else edited.customer_id
        return customer

    def taken(self) -> GasPrice | None:
        """Another price of the customer from the same day, because of which saving would be refused."""
        customer, day, edited = self.customer_id(), self["effective_from"].data, self.edited()
        price = price_on(db.session(), customer, day) if customer and day else None
        is_other = price is not None and price.effective_from == day and price is not edited
        return price if is_other else None

    def effect(self) -> PriceEffect | None:
        """What saving it changes; None while it is incomplete or would be refused."""
        new = self.new_price()
        return effect_of(db.session(), new) if new and not self.taken() else None
