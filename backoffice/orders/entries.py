"""What a user enters about an order, as plain values; and how the entries of two users are merged.

Forms produce an `OrderEntry`, actions take one, and a stored order can be read back as one, so that
editing, saving and conflicts all deal with the same facts.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any

from ..web.conflicts import Difference, differences
from .models import COMPONENT_OF_KIND, KINDS, Order, OrderLine

HEADER = ("number", "customer_id", "account_manager_id", "order_date", "closing_date")
"""The entered columns of an order without its breakdown."""

ITEMISED = "itemised"
"""The value of a component's fact where the component is made of lines."""

LINE = ("kind", "product_id", "description", "quantity", "unit_price")
"""The entered columns of a line."""


@dataclass(frozen=True)
class LineEntry:
    """One line as entered; `id` is that of the stored line. With an id that the order does not have it is a new line.

    `product_id` is the product of the price list, if there is one; description and price may differ from its own.
    """

    kind: str
    description: str
    quantity: Decimal
    unit_price: Decimal
    id: int | None = None
    product_id: int | None = None

    @classmethod
    def of(cls, line: OrderLine) -> "LineEntry":
        """The stored line, as a user would enter it."""
        return cls(id=line.id, **{name: getattr(line, name) for name in LINE})

    @property
    def fact(self) -> str:
        """Everything entered in the line as one text; equal lines give equal texts."""
        reported = {
            **vars(self),
            "quantity": plain(self.quantity),
            "unit_price": plain(self.unit_price),
        }
        return json.dumps([reported[name] for name in LINE])


@dataclass(frozen=True)
class Breakdown:
    """What an order's totals are computed from: entered amounts by component, and lines of itemised kinds."""

    amounts: Mapping[str, Decimal] = field(default_factory=dict)
    itemised: frozenset[str] = frozenset()
    lines: tuple[LineEntry, ...] = ()

    @property
    def kinds(self) -> list[str]:
        """The kinds that are the sum of lines: those marked as itemised, and any that has a line."""
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
    """An order as entered, without derived values."""

    number: str
    customer_id: int
    account_manager_id: int
    order_date: date
    closing_date: date | None
    breakdown: Breakdown

    @classmethod
    def of(cls, order: Order) -> "OrderEntry":
        """The stored order, as a user would enter it."""
        breakdown = Breakdown(
            amounts={name: getattr(order, name) for name in COMPONENT_OF_KIND.values()},
            itemised=frozenset(order.itemised),
            lines=tuple(map(LineEntry.of, order.lines)),
        )
        return cls(breakdown=breakdown, **{name: getattr(order, name) for name in HEADER})

    @classmethod
    def entered(cls, values: Mapping[str, Any]) -> "OrderEntry":
        """The order as the record's fields were entered, with its lines."""
        amounts = {name: values[name] or Decimal(0) for name in COMPONENT_OF_KIND.values()}
        return cls(
            number=values["number"],
            customer_id=values["customer"],
            account_manager_id=values["account_manager"],
            order_date=values["order_date"],
            closing_date=values["closing_date"],
            breakdown=Breakdown(
                amounts, frozenset(values.get("itemised", ())), tuple(values.get("lines", ()))
            ),
        )

    def facts(self) -> dict[str, str]:
        """Every entered fact by its column; a stored line is one fact, named by its id."""
        found = {name: str(getattr(self, name) or "") for name in HEADER}
        kinds = self.breakdown.kinds
        for kind, component in COMPONENT_OF_KIND.items():
            amount = self.breakdown.amounts.get(component, Decimal(0))
            found[component] = ITEMISED if kind in kinds else plain(amount)
        return found | {name: line.fact for name, line in self._lines()}

    def _lines(self) -> Iterator[tuple[str, LineEntry]]:
        for position, line in enumerate(self.breakdown.lines):
            yield (f"line:{line.id}" if line.id else f"new:{position}"), line


def merge(
    base: Mapping[str, str] | None, mine: OrderEntry, theirs: OrderEntry
) -> tuple[OrderEntry, list[Difference[str]]]:
    """This user's entry merged over the saved one, and the facts that both changed differently."""
    found = differences(base, theirs.facts(), mine.facts(), none="")
    return _taking(mine, theirs, {d.name for d in found if d.taken}), found


def _taking(mine: OrderEntry, theirs: OrderEntry, taken: set[str]) -> OrderEntry:
    """`mine`, with the facts named in `taken` replaced by those of `theirs`."""
    header = {name: getattr(theirs, name) for name in HEADER if name in taken}
    return replace(mine, **header, breakdown=_merged_breakdown(mine, theirs, taken))


def _merged_breakdown(mine: OrderEntry, theirs: OrderEntry, taken: set[str]) -> Breakdown:
    def side(component: str) -> Breakdown:
        return (theirs if component in taken else mine).breakdown

    components = COMPONENT_OF_KIND.items()
    amounts = {name: side(name).amounts.get(name, Decimal(0)) for _kind, name in components}
    itemised = frozenset(kind for kind, name in components if kind in side(name).kinds)
    stored = {f"line:{line.id}": line for line in theirs.breakdown.lines}
    lines = [stored.get(name) if name in taken else line for name, line in mine._lines()]
    here = {name for name, _ in mine._lines()}
    lines += [line for name, line in stored.items() if name in taken and name not in here]
    return Breakdown(amounts, itemised, tuple(line for line in lines if line is not None))


def plain(value: Decimal) -> str:
    """`value` without trailing zeros, so that 5 and 5.00 are one fact."""
    return f"{value.normalize():f}" if value else "0"
