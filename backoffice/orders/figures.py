"""The figures of an order: line amounts, the four components and the grand total."""

from decimal import Decimal
from functools import reduce
from operator import add
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, literal, not_, or_, select

from ..base import N_
from ..base.money import rounded
from ..figures import amounts, check, figure, total
from .models import COMPONENT_OF_KIND, Order, OrderLine


def _itemised(kind: str) -> ColumnElement[bool]:
    """Whether the order marks `kind` as itemised: its component is the sum of lines."""
    return Order.itemised.contains([kind])


def _component(kind: str, entered: ColumnElement[Decimal]) -> ColumnElement[Decimal]:
    """The sum of the kind's lines; without lines, 0 where the kind is itemised, else the entered amount."""
    lines = total(OrderLine.amount, by=OrderLine.order_id, where=OrderLine.kind == kind)
    return func.coalesce(lines, case((_itemised(kind), literal(Decimal(0))), else_=entered))


_COMPONENTS: dict[str, Any] = {
    kind: getattr(Order, name) for kind, name in COMPONENT_OF_KIND.items()
}


def amount_of_line(quantity: Any, unit_price: Any) -> ColumnElement[Decimal]:
    """Quantity × unit price, rounded to the currency's smallest unit."""
    return rounded(quantity * unit_price)


line_amount = figure(
    OrderLine.amount,
    amount_of_line(OrderLine.quantity, OrderLine.unit_price),
    owner=OrderLine.order_id,
    title=N_("Line amount"),
    formula=N_(
        "Quantity × Unit price, rounded half away from zero to the currency's smallest unit"
    ),
)

components = figure(
    {column: _component(kind, column) for kind, column in _COMPONENTS.items()},
    name="orders.components",
    leading=Order.total_price,
    title=N_("Components"),
    entered={column: not_(_itemised(kind)) for kind, column in _COMPONENTS.items()},
)

grand_total = figure(
    Order.grand_total,
    Order.total_price + Order.additions - Order.promo - Order.reductions,
    title=N_("Grand total"),
)

ORDER_FIGURES = (line_amount, components, grand_total)
"""All figures of an order, each after those that it builds on."""


def _title(kind: str) -> str:
    """The title of a kind's component."""
    return str(_COMPONENTS[kind].info["label"])


def _made_of_lines(kind: str) -> Select[Any]:
    """The components that are the sum of their lines instead of an entered amount."""
    has_lines = select(OrderLine.id).where(OrderLine.order_id == Order.id, OrderLine.kind == kind)
    made = or_(_itemised(kind), has_lines.exists())
    return select(literal(_title(kind)), _COMPONENTS[kind]).where(made)


lines_counted = check(
    "orders.lines",
    title=N_("Components of orders, and their lines"),
    left=reduce(add, (amounts(_title(kind), _made_of_lines(kind)) for kind in _COMPONENTS)),
    right=amounts(
        N_("Order lines"),
        select(
            case({kind: literal(_title(kind)) for kind in _COMPONENTS}, value=OrderLine.kind),
            OrderLine.amount,
        ),
    ),
)
