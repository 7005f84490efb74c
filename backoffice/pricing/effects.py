"""What a new price would change: every open order that it reaches, its grand total now and then.

The amounts come from the core: the orders' own definitions over their rows with the new price laid
over them. The preview on screen and the check under lock are the same function.
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
"""Orders whose totals are previewed in one statement."""

MOST = 2_000
"""Orders that one price change looks at; where there are more, it is made in steps by date."""

DISCOUNTS = ("promo", "reductions")
"""What may have been entered as a percentage of the package price."""

STEP = Decimal("0.5")
"""A round percentage is a multiple of it."""

Visible = ColumnElement[bool]
"""Which orders whoever asks may see; others do not exist for them."""

NEGOTIATED = "negotiated"
LATER = "later"


@dataclass(frozen=True)
class NewPrice:
    """What a unit of a product shall cost from a day on."""

    product_id: int
    effective_from: date
    unit_price: Decimal

    @property
    def signature(self) -> str:
        """A text that is another one for another price, day or product."""
        return f"{self.product_id} {self.effective_from.isoformat()} {self.unit_price}"


@dataclass(frozen=True)
class Discount:
    """A promo or a reduction that is a round percentage of the package price, and stays what it is.

    It is entered as an amount: that it was meant as a percentage is what the amounts look like.
    """

    component: str
    percent: Decimal
    amount: Decimal


@dataclass(frozen=True)
class Effect:
    """One order that a new price reaches: `quantity` and `prices` are those of the lines that it changes.

    `remark`: why it is not chosen by itself: its price is none of the list (`negotiated`), or the list
    has a later price for its day (`later`). `then`: what the new price would make of its grand total;
    `problem`: why that is not possible, and the order is left as it is.
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
        """The grand total once the price is changed: as it is now where the order cannot be changed."""
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
        """Whether it is changed unless a user takes it out."""
        return self.is_possible and not self.remark


@dataclass(frozen=True)
class Sum:
    """What some orders come to together, before a price change and after it."""

    count: int
    now: Decimal
    after: Decimal

    @classmethod
    def of(cls, amounts: Iterable[tuple[Decimal, Decimal]]) -> "Sum":
        """Of each order what it came to before and after."""
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
        """By how much they change together."""
        return self.after - self.now


@dataclass(frozen=True)
class Effects:
    """Everything that a new price reaches, what is changed by default first.

    `before` is the price in force on the day until now, `later` the price that follows it in the list.
    `are_too_many`: there are more than `MOST` orders, and none is shown.
    """

    before: Decimal | None
    later: ProductPrice | None
    rows: tuple[Effect, ...]
    are_too_many: bool = False


def effects_of(
    session: Session, visible: Visible, new: NewPrice, only: Collection[int] | None = None
) -> Effects:
    """The visible open orders that `new` would change; `only` looks at no others. Writes nothing."""
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
    """How many visible open orders have the product at another price; at most one more than `MOST`."""
    found = _affected(visible, new, None).with_only_columns(Order.id).order_by(None).subquery()
    return session.scalars(select(func.count()).select_from(found)).one()


def first_open_day(session: Session, visible: Visible, product_id: int) -> date | None:
    """The day of the oldest visible open order that has the product."""
    return session.scalar(
        select(func.min(Order.order_date))
        .join(OrderLine, OrderLine.order_id == Order.id)
        .where(OrderLine.product_id == product_id, Order.closing_date.is_(None), visible)
    )


def price_before(session: Session, new: NewPrice) -> Decimal | None:
    """What the product costs on the day without `new`; where it is stored already, what it cost before that."""
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
    """The lines that get the new price."""
    is_other = OrderLine.unit_price != new.unit_price
    return (OrderLine.product_id == new.product_id) & is_other


def _previewed(
    session: Session,
    new: NewPrice,
    orders: Sequence[Any],
    before: Decimal | None,
    until: date,
) -> Iterator[Effect]:
    """Each of these orders with its lines of the product at the new price."""
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
    """What looks like a percentage of the package price, which is another one then, and stays."""
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
    """What is changed by default first, what cannot be changed last; then by day."""
    return not effect.is_possible, bool(effect.remark), effect.order_date, effect.order_id
