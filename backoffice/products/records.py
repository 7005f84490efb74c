"""Declarations of products and their prices."""

from collections.abc import Sequence

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from ..audit.histories import Change
from ..audit.models import AuditEvent
from ..audit.rendering import difference_of
from ..audit.tables import Recorded
from ..base import N_
from ..base.refusals import Refusal
from ..records import Record, Rendering, Values
from ..records.writing import written
from ..web.formats import recorded_day
from . import actions
from .fields import FIELDS, IN_FORCE, PRICE
from .listing import PRODUCTS
from .models import Product, ProductPrice


class PriceWithoutDay(Refusal):
    """A price is given without the day from which it is in force."""

    sentence = N_("Enter the day from which the price is in force.")
    field = "effective_from"


def _with_first_price(session: Session, entered: Values) -> Product:
    product = Product(**{field.key: entered[field.name] for field in FIELDS})
    session.add(product)
    session.flush()
    price, day = entered[PRICE.name], entered[IN_FORCE.name]
    if price is not None:
        if day is None:
            raise PriceWithoutDay()
        actions.set_price(session, product, day, price)
    return product


def _prices_rendered(
    _session: Session, product: Product, events: Sequence[AuditEvent]
) -> Rendering:
    """Rendering of the prices in a save: by how much each changed, and from which day it is in force."""
    days = {str(price.id): price.effective_from.isoformat() for price in product.prices}
    for event in events:
        if day := {**(event.before or {}), **(event.after or {})}.get("effective_from"):
            days.setdefault(str(event.row_id), day)

    def reported(event: AuditEvent) -> Change:
        sides = [(side or {}).get("unit_price") for side in (event.before, event.after)]
        before, after = (written(PRICE, PRICE.fact(side)) for side in sides)
        label = _("Unit price from %(day)s", day=recorded_day(days[str(event.row_id)]))
        apart = difference_of(event.table_name, "unit_price", *sides)
        return Change(label, before, after, apart)

    table = ProductPrice.__tablename__
    return Rendering(lambda save: ("", [reported(e) for e in save if e.table_name == table]))


PRODUCT = Record(
    Product,
    name=Product.code,
    domain="products",
    title=N_("Product"),
    many=N_("Price list"),
    new=N_("New product"),
    saved=N_("Product %(code)s is saved."),
    listing=lambda _user: PRODUCTS,
    reads="products.read",
    writes="products.write",
    fields=FIELDS,
    new_fields=(PRICE, IN_FORCE),
    create=_with_first_price,
    parts=(ProductPrice.product_id,),
    rendering=_prices_rendered,
)  # fmt: skip

RECORDS = (PRODUCT,)
RECORDED = (
    Recorded(
        N_("Price"), ProductPrice, part_of=ProductPrice.product_id,
        labels={field.name: field.label for field in (PRICE, IN_FORCE)},
    ),
)  # fmt: skip
