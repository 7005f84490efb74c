"""What somebody enters about an order, as plain values; and how two people's entries are merged.

Forms produce an `OrderEntry`, actions take one, and a stored order can be read back as one, so that
what is shown for editing, what is saved and what two editors disagree about is the same thing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from ..web.conflicts import Difference, differences
from .models import COMPONENT_OF_KIND, KINDS, Order, OrderLine

HEADER = ("number", "customer_id", "account_manager_id", "order_date", "closing_date")
"""What is entered about an order beside its breakdown."""

Fact = tuple[str, ...]
"""One entered fact in a comparable form: equal facts are equal texts."""


@dataclass(frozen=True)
class LineEntry:
    """One line as entered; `id` is that of the stored line. One that the order does not have is new.

    `product_id`: what is sold, where it is in the price list; description and price may differ from it.
    """

    kind: str
    description: str
    quantity: Decimal
    unit_price: Decimal
    id: int | None = None
    product_id: int | None = None

    @classmethod
    def of(cls, line: OrderLine) -> "LineEntry":
        """The stored line, as somebody would enter it."""
        return cls(
            kind=line.kind,
            description=line.description,
            quantity=line.quantity,
            unit_price=line.unit_price,
            id=line.id,
            product_id=line.product_id,
        )


@dataclass(frozen=True)
class Breakdown:
    """What the order's totals are made of: entered amounts by component, and lines of itemised kinds."""

    amounts: Mapping[str, Decimal] = field(default_factory=dict)
    itemised: frozenset[str] = frozenset()
    lines: tuple[LineEntry, ...] = ()

    @property
    def kinds(self) -> list[str]:
        """The kinds that lines make up: those said to be itemised, and any that has a line."""
        found = self.itemised | {line.kind for line in self.lines}
        return [kind for kind in KINDS if kind in found]

    @property
    def entered(self) -> dict[str, Decimal]:
        """The amounts of the components that are not itemised."""
        kinds = self.kinds
        return {
            component: self.amounts.get(component, Decimal(0))
            for kind, component in COMPONENT_OF_KIND.items()
            if kind not in kinds
        }


@dataclass(frozen=True)
class OrderEntry:
    """An order as entered. Whatever is derived is no part of it."""

    number: str
    customer_id: int
    account_manager_id: int
    order_date: date
    closing_date: date | None
    breakdown: Breakdown

    @classmethod
    def of(cls, order: Order) -> "OrderEntry":
        """The stored order, as somebody would enter it."""
        return cls(
            number=order.number,
            customer_id=order.customer_id,
            account_manager_id=order.account_manager_id,
            order_date=order.order_date,
            closing_date=order.closing_date,
            breakdown=Breakdown(
                amounts={name: getattr(order, name) for name in COMPONENT_OF_KIND.values()},
                itemised=frozenset(order.itemised),
                lines=tuple(map(LineEntry.of, order.lines)),
            ),
        )

    def facts(self) -> dict[str, Fact]:
        """Every entered fact by name; a stored line is one fact, named by its id."""
        closing = self.closing_date.isoformat() if self.closing_date else ""
        found: dict[str, Fact] = {
            "number": (self.number,),
            "customer_id": (str(self.customer_id),),
            "account_manager_id": (str(self.account_manager_id),),
            "order_date": (self.order_date.isoformat(),),
            "closing_date": (closing,),
        }
        kinds = self.breakdown.kinds
        for kind, component in COMPONENT_OF_KIND.items():
            amount = self.breakdown.amounts.get(component, Decimal(0))
            found[component] = ("itemised",) if kind in kinds else (_plain(amount),)
        return found | {name: _line_fact(line) for name, line in self._lines()}

    def _lines(self) -> Iterator[tuple[str, LineEntry]]:
        for position, line in enumerate(self.breakdown.lines):
            yield (f"line:{line.id}" if line.id else f"new:{position}"), line


def merge(
    base: Mapping[str, Fact] | None, mine: OrderEntry, theirs: OrderEntry
) -> tuple[OrderEntry, list[Difference[Fact]]]:
    """My entry over their saved one, and where they had changed what I see differently."""
    found = differences(base, theirs.facts(), mine.facts(), none=())
    return _taking(mine, theirs, {d.name for d in found if d.taken}), found


def _taking(mine: OrderEntry, theirs: OrderEntry, taken: set[str]) -> OrderEntry:
    """`mine` with the facts named in `taken` as they stand in `theirs`."""
    header = {name: getattr(theirs, name) for name in HEADER if name in taken}
    return replace(mine, **header, breakdown=_merged_breakdown(mine, theirs, taken))


def _merged_breakdown(mine: OrderEntry, theirs: OrderEntry, taken: set[str]) -> Breakdown:
    amounts = {
        component: (theirs if component in taken else mine).breakdown.amounts.get(
            component, Decimal(0)
        )
        for component in COMPONENT_OF_KIND.values()
    }
    itemised = frozenset(
        kind
        for kind, component in COMPONENT_OF_KIND.items()
        if kind in (theirs if component in taken else mine).breakdown.kinds
    )
    stored = {f"line:{line.id}": line for line in theirs.breakdown.lines}
    lines = [stored.get(name) if name in taken else line for name, line in mine._lines()]
    here = {name for name, _ in mine._lines()}
    lines += [line for name, line in stored.items() if name in taken and name not in here]
    return Breakdown(amounts, itemised, tuple(line for line in lines if line is not None))


def _line_fact(line: LineEntry) -> Fact:
    """Kind, description, quantity, unit price; and the product, where there is one."""
    fact = (line.kind, line.description, _plain(line.quantity), _plain(line.unit_price))
    return fact if line.product_id is None else (*fact, str(line.product_id))


def _plain(value: Decimal) -> str:
    """`value` without trailing zeros, so that 5 and 5.00 are one fact."""
    return f"{value.normalize():f}" if value else "0"
