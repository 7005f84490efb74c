"""The effect of a new price: every open order that it affects, with its grand total before and after.

The amounts are computed by the figures' own definitions, over the orders' rows with the new price in
place. The preview on screen and the check under lock are the same function.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, true
from sqlalchemy.orm import Session

from .. import figures
from ..base import money
from ..base.refusals import Refusal
from ..customers.models import Customer
from ..orders.actions import Totals
from ..orders.figures import ORDER_FIGURES
from ..orders.models import COMPONENT_OF_KIND, Order, OrderLine
from ..people.models import User
from ..products import queries as products
from ..products.models import ProductPrice
from .models import PriceChange

CHUNK = 200
"""How many orders are previewed in one statement."""

MOST = 2_000
"""The most orders of one price change; where there are more, it has to be made in steps by date."""

DISCOUNTS = ("promo", "reductions")
"""The components that may have been calculated as a percentage of the package price."""

STEP = Decimal("0.5")
"""A percentage counts as round if it is a multiple of this."""

Visible = ColumnElement[bool]
"""The condition for orders that the user may see; others are treated as not existing."""

NEGOTIATED = "negotiated"
LATER = "later"


@dataclass(frozen=True)
class NewPrice:
    """A new unit price of a product from a day on."""

    product_id: int
    effective_from: date
    unit_price: Decimal

    @property
    def signature(self) -> str:
        """A text that identifies the product, the price and the day."""
        return f"{self.product_id} {self.effective_from.isoformat()} {self.unit_price}"


@dataclass(frozen=True)
class Discount:
    """A promo or a reduction that is a round percentage of the package price; its amount does not follow a new price.

    It is entered as an amount; that it was meant as a percentage is only inferred from the amounts.
    """

    component: str
    percent: Decimal
    amount: Decimal


@dataclass(frozen=True)
class Effect:
    """One order that a new price affects; `quantity` and `prices` are those of the lines that it changes.

    `remark`: why it is not chosen by default: its price is not in the list (`negotiated`), or the list has
    a later price for its day (`later`). `then`: its grand total at the new price; `problem`: the reason
    why that cannot be stored, so that the order is left unchanged.
    """

    order_id: int
    number: str
    version: int
    customer: str
    manager: str
    order_date: date
    quantity: Decimal
    prices: tuple[Decimal, ...]
    now: Decimal
    then: Decimal
    remark: str
    problem: Refusal | None
    discounts: tuple[Discount, ...] = ()

    @property
    def after(self) -> Decimal:
        """The grand total after the price change; the present one where the order cannot be changed."""
        return self.then if self.is_possible else self.now

    @property
    def difference(self) -> Decimal:
        """By how much the grand total changes."""
        return self.after - self.now

    @property
    def is_possible(self) -> bool:
        """Whether the order can be changed."""
        return self.problem is None

    @property
    def is_default(self) -> bool:
        """Whether it is chosen by default."""
        return self.is_possible and not self.remark


@dataclass(frozen=True)
class Sum:
    """The sum of some orders' grand totals before and after a price change."""

    count: int
    now: Decimal
    after: Decimal

    @classmethod
    def of(cls, amounts: Iterable[tuple[Decimal, Decimal]]) -> "Sum":
        """The sum over pairs of amounts, before and after."""
        pairs = list(amounts)
        zero = Decimal(0)
        return cls(
            len(pairs),
            sum((now for now, _ in pairs), zero),
            sum((after for _, after in pairs), zero),
        )

    @classmethod
    def of_effects(cls, effects: Iterable["Effect"]) -> "Sum":
        """The sums over these orders."""
        return cls.of((effect.now, effect.after) for effect in effects)

    @property
    def difference(self) -> Decimal:
        """By how much the sum changes."""
        return self.after - self.now


@dataclass(frozen=True)
class Effects:
    """All orders that a new price affects, those chosen by default first.

    `before` is the present price on that day, `later` the next price in the list.
    `are_too_many`: there are more than `MOST` orders, so none is shown.
    """

    before: Decimal | None
    later: ProductPrice | None
    rows: tuple[Effect, ...]
    are_too_many: bool = False


def effects_of(
    session: Session, visible: Visible, new: NewPrice, only: Collection[int] | None = None
) -> Effects:
    """The visible open orders that `new` would change, limited to the ids in `only`. Writes nothing."""
    before = price_before(session, new)
    later = products.later_price(session, new.product_id, new.effective_from)
    orders = session.execute(_affected(visible, new, only)).all()
    if len(orders) > MOST:
        return Effects(before, later, (), are_too_many=True)
    until = later.effective_from if later else date.max
    rows = [
        effect
        for start in range(0, len(orders), CHUNK)
        for effect in _previewed(session, new, orders[start : start + CHUNK], before, until)
    ]
    rows.sort(key=_place)
    return Effects(before, later, tuple(rows))


def count_affected(session: Session, visible: Visible, new: NewPrice) -> int:
    """The number of visible open orders with the product at another price; `MOST` + 1 at most."""
    found = _affected(visible, new, None).with_only_columns(Order.id).order_by(None).subquery()
    return session.scalars(select(func.count()).select_from(found)).one()


def first_open_day(session: Session, visible: Visible, product_id: int) -> date | None:
    """The date of the oldest visible open order with the product."""
    return session.scalar(
        select(func.min(Order.order_date))
        .join(OrderLine, OrderLine.order_id == Order.id)
        .where(OrderLine.product_id == product_id, Order.closing_date.is_(None), visible)
    )


def price_before(session: Session, new: NewPrice) -> Decimal | None:
    """The product's price on the day without `new`; where `new` is stored already, the price before it."""
    of_day = select(ProductPrice.unit_price).where(
        ProductPrice.product_id == new.product_id,
        ProductPrice.effective_from == new.effective_from,
    )
    if session.scalar(of_day) != new.unit_price:
        return products.price_on(session, new.product_id, new.effective_from)
    recorded = session.scalars(
        select(PriceChange)
        .where(
            PriceChange.product_id == new.product_id,
            PriceChange.effective_from == new.effective_from,
            PriceChange.unit_price == new.unit_price,
        )
        .order_by(PriceChange.id.desc())
        .limit(1)
    ).one_or_none()
    if recorded is not None:
        return recorded.previous_price
    return products.price_on(session, new.product_id, new.effective_from - timedelta(days=1))


def _affected(visible: Visible, new: NewPrice, only: Collection[int] | None) -> Select[Any]:
    reached = select(OrderLine.order_id).where(_is_repriced(new))
    chosen = true() if only is None else Order.id == func.any(list(only))
    return (
        select(
            Order.id,
            Order.number,
            Order.version,
            Order.order_date,
            Order.itemised,
            *(getattr(Order, name) for name in COMPONENT_OF_KIND.values()),
            Order.grand_total,
            Customer.name.label("customer"),
            User.name.label("manager"),
        )
        .join(Order.customer)
        .join(Order.account_manager)
        .where(
            Order.closing_date.is_(None),
            Order.order_date >= new.effective_from,
            Order.id.in_(reached),
            visible,
            chosen,
        )
        .order_by(Order.order_date, Order.id)
        .limit(MOST + 1)
    )


def _is_repriced(new: NewPrice) -> ColumnElement[bool]:
    """The condition for lines that get the new price."""
    is_other = OrderLine.unit_price != new.unit_price
    return (OrderLine.product_id == new.product_id) & is_other


def _previewed(
    session: Session,
    new: NewPrice,
    orders: Sequence[Any],
    before: Decimal | None,
    until: date,
) -> Iterator[Effect]:
    """The effect on each of these orders, with its lines of the product at the new price."""
    lines = session.execute(
        select(
            OrderLine.id,
            OrderLine.order_id,
            OrderLine.kind,
            OrderLine.quantity,
            OrderLine.unit_price,
            _is_repriced(new).label("is_repriced"),
        ).where(OrderLine.order_id == func.any([order.id for order in orders]))
    ).all()
    lines_of: dict[int, list[Any]] = defaultdict(list)
    for line in lines:
        lines_of[line.order_id].append(line)
    preview = _preview(session, new, orders, lines)
    for order in orders:
        changed = [line for line in lines_of[order.id] if line.is_repriced]
        expected = preview.row(Order, order.id)
        totals = Totals(
            components={name: expected[name] for name in COMPONENT_OF_KIND.values()},
            grand_total=expected["grand_total"],
            lines=tuple(preview.row(OrderLine, line.id)["amount"] for line in lines_of[order.id]),
        )
        prices = sorted({line.unit_price for line in changed})
        yield Effect(
            order_id=order.id,
            number=order.number,
            version=order.version,
            customer=order.customer,
            manager=order.manager,
            order_date=order.order_date,
            quantity=sum((line.quantity for line in changed), Decimal(0)),
            prices=tuple(prices),
            now=order.grand_total,
            then=totals.grand_total,
            remark=_remark(order.order_date, prices, before, until),
            problem=next(iter(totals.problems().values()), None),
            discounts=tuple(_left_behind(order, totals)),
        )


def _left_behind(order: Any, totals: Totals) -> Iterator[Discount]:
    """The discounts that look like a percentage of the package price, which changes while they do not."""
    package = order.total_price
    if package <= 0 or totals.components["total_price"] == package:
        return
    for component in DISCOUNTS:
        amount = getattr(order, component)
        percent = (amount * 100 / package).quantize(STEP)
        is_round = percent % STEP == 0 and money.round_amount(package * percent / 100) == amount
        if 0 < percent <= 100 and is_round and totals.components[component] == amount:
            yield Discount(component, percent, amount)


def _preview(
    session: Session, new: NewPrice, orders: Sequence[Any], lines: Sequence[Any]
) -> figures.Preview:
    facts = ("id", "itemised", *COMPONENT_OF_KIND.values())
    rows: dict[Any, list[dict[str, Any]]] = {
        Order: [{name: getattr(order, name) for name in facts} for order in orders],
        OrderLine: [
            {
                "id": line.id,
                "order_id": line.order_id,
                "kind": line.kind,
                "quantity": line.quantity,
                "unit_price": new.unit_price if line.is_repriced else line.unit_price,
            }
            for line in lines
        ],
    }
    return figures.preview(session, ORDER_FIGURES, rows)


def _remark(day: date, prices: Sequence[Decimal], before: Decimal | None, until: date) -> str:
    if day >= until:
        return LATER
    return "" if list(prices) == [before] else NEGOTIATED


def _place(effect: Effect) -> tuple[bool, bool, date, int]:
    """The sort key: orders chosen by default first, those that cannot be changed last; then by day."""
    return not effect.is_possible, bool(effect.remark), effect.order_date, effect.order_id
