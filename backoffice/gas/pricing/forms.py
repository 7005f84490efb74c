"""The form of a price: while it is typed it shows every month that it would change."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from flask import request

from ...app.extensions import db
from ...base import periods
from ...base.periods import read_day
from ...customers import queries as customers
from ...customers.naming import OFFERED
from ...records.forms import OfRecord
from ...web.forms import Stamp
from ...web.paging import PAGE_SIZE
from ..models import GasPrice
from ..queries import price_on
from .effects import Effect, NewPrice, effect_of

NO_CORRECTION = Decimal(1)
"""The factor that is proposed where a customer has no price yet."""


class PriceForm(OfRecord):
    """A customer's price and factor from a day on."""

    inputs_page = "gas/price_inputs.html"
    outputs = "gas/price_outputs.html"
    classes = "order-form"

    @classmethod
    def suggested(cls) -> dict[str, Any]:
        """For the customer and the day that the address names what holds then, else what holds today."""
        customer = customers.by_code(db.session(), request.args.get("customer", ""))
        today = periods.today()
        day = read_day(request.args.get("effective_from", "")) or today
        prices = (price_on(db.session(), customer.id, each) for each in (day, today) if customer)
        price = next(filter(None, prices), None)
        return {
            "customer": customer.id if customer else None,
            "effective_from": day,
            "price_per_sm3": price.price_per_sm3 if price else None,
            "correction_factor": price.correction_factor if price else NO_CORRECTION,
        }

    def live(self) -> Mapping[str, Any]:
        """What would change."""
        return {"effect": self.effect(), "taken": self.taken(), "SHOWN": PAGE_SIZE}

    def beside(self) -> Mapping[str, Any]:
        """Customers to choose from."""
        return {"offered": customers.search(db.session(), "", limit=OFFERED), "OFFERED": OFFERED}

    def new_price(self) -> NewPrice | None:
        """What was typed, once all of it is there and can be read."""
        names = ("effective_from", "price_per_sm3", "correction_factor")
        values = [self[name].data for name in names]
        customer = self.customer_id()
        if customer is None or None in values or not all(self._is_lawful(name) for name in names):
            return None
        day, price, factor = values
        edited = self.edited()
        return NewPrice(customer, day, price, factor, edited.id if edited else None)

    def edited(self) -> GasPrice | None:
        """The stored price that is edited; a preview knows it by the form's stamp alone."""
        if self.row is not None or not self.version.data:
            return self.row
        return db.session.get(GasPrice, Stamp.read(self.version.data).record_id)

    def customer_id(self) -> int | None:
        """Whose price it is: of one that is edited that never changes."""
        edited = self.edited()
        customer: int | None = self["customer"].data if edited is None else edited.customer_id
        return customer

    def taken(self) -> GasPrice | None:
        """Another price that the customer has from that day already: saved it would be refused."""
        customer, day, edited = self.customer_id(), self["effective_from"].data, self.edited()
        price = price_on(db.session(), customer, day) if customer and day else None
        is_it = price is not None and price.effective_from == day and price is not edited
        return price if is_it else None

    def effect(self) -> Effect | None:
        """What saving it changes; None of what is not complete, or would be refused."""
        new = self.new_price()
        return effect_of(db.session(), new) if new and not self.taken() else None

    def _is_lawful(self, name: str) -> bool:
        """Whether the number can be stored: a preview of what cannot would fail, or lie."""
        field = next(f for f in self.fields if f.name == name)
        return all(law.holds(self[name].data) for law in field.laws)
