"""Recorded values of orders as people read them: names for ids, amounts in the user's format."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..base import N_
from ..base.identifiers import whole_number
from ..customers.models import Customer
from ..customers.queries import label as customer_label
from ..drift.wording import cause_of_correction
from ..people.actors import Actors
from ..people.models import User
from ..products.models import Product
from ..products.rules import SOLD_AS
from ..web.formats import (
    money_filter,
    quantity_filter,
    recorded_day,
    unit_price_filter,
)
from .models import COMPONENT_OF_KIND

LABELS = {
    "number": N_("Order number"),
    "customer_id": N_("Customer"),
    "account_manager_id": N_("Account manager"),
    "order_date": N_("Order date"),
    "closing_date": N_("Closing date"),
    "itemised": N_("Entered as lines"),
    **{COMPONENT_OF_KIND[kind]: name for kind, name in SOLD_AS.items()},
    "grand_total": N_("Grand total"),
    "kind": N_("Component"),
    "product_id": N_("Product"),
    "description": N_("Description"),
    "quantity": N_("Quantity"),
    "unit_price": N_("Unit price"),
    "amount": N_("Line amount"),
}
"""Column of an order or a line → its name on screen."""


class Wording(Actors):
    """Says recorded values in words; the names that it needs are read at once."""

    def __init__(
        self,
        session: Session,
        *,
        customers: Iterable[Any] = (),
        people: Iterable[Any] = (),
        products: Iterable[Any] = (),
        actors: Iterable[str] = (),
    ) -> None:
        super().__init__(session, actors)
        self._customers = {c.id: customer_label(c) for c in _rows(session, Customer, customers)}
        self._people: dict[int, str] = {p.id: p.name for p in _rows(session, User, people)}
        self._products: dict[int, str] = {p.id: p.code for p in _rows(session, Product, products)}
        self._words: dict[str, Callable[[Any], str]] = {
            **_WORDS,
            "customer_id": lambda value: self._customers.get(whole_number(str(value)), f"#{value}"),
            "account_manager_id": self.person,
            "product_id": lambda value: self._products.get(whole_number(str(value)), f"#{value}"),
        }

    def label(self, column: str) -> str:
        """The name of `column` on screen."""
        return str(_(LABELS.get(column, column)))

    def person(self, user_id: Any) -> str:
        """The user's name; the id of one who has been deleted."""
        return self._people.get(whole_number(str(user_id)), f"#{user_id}")

    def cause(self, cause: str) -> str:
        """Why a total was corrected."""
        return cause_of_correction(cause)

    def in_order(self, columns: Iterable[str]) -> list[str]:
        """The columns in the order of the screens; those without a name there come last."""
        places = list(LABELS)
        return sorted(columns, key=lambda c: places.index(c) if c in LABELS else len(places))

    def value(self, column: str, value: Any) -> str:
        """A recorded value of `column`; a dash where there is none."""
        if value is None or value in ("", []):
            return "–"
        return self._words.get(column, str)(value)


def _kind(value: Any) -> str:
    return str(_(SOLD_AS.get(value, value)))


def _money(value: Any) -> str:
    return money_filter(Decimal(str(value)))


_WORDS: dict[str, Callable[[Any], str]] = {
    "order_date": recorded_day,
    "closing_date": recorded_day,
    "itemised": lambda kinds: ", ".join(map(_kind, kinds)),
    "kind": _kind,
    "quantity": lambda value: quantity_filter(Decimal(str(value))),
    "unit_price": lambda value: unit_price_filter(Decimal(str(value))),
    **dict.fromkeys((*COMPONENT_OF_KIND.values(), "grand_total", "amount"), _money),
}
"""Column → how its recorded values are written."""


def _rows(session: Session, model: Any, ids: Iterable[Any]) -> Iterable[Any]:
    wanted = {whole_number(str(key)) for key in ids}
    return session.scalars(select(model).where(model.id.in_(wanted))) if wanted else ()
