"""A model of orders in plain Python: the facts, and the expected value of every stored total.

Written from the specification and on purpose without any code of the product: the tests compare the
product's figures with it. Rounding is Python's own, half away from zero.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Context, Decimal
from hashlib import sha256
from typing import Any

import psycopg
from psycopg import sql

CENT = Decimal("0.01")
ZERO = Decimal("0.00")
COMPONENT = {
    "package": "total_price",
    "addition": "additions",
    "promo": "promo",
    "reduction": "reductions",
}
SIGN = {"total_price": 1, "additions": 1, "promo": -1, "reductions": -1}

Totals = Mapping[tuple[str, int], Mapping[str, Decimal]]
"""Every stored figure by table and row."""

_WIDE = Context(prec=60)


@dataclass
class OrderFacts:
    """What a user entered about an order; `entered` counts where the kind is not itemised."""

    itemised: set[str] = field(default_factory=set)
    entered: dict[str, Decimal] = field(default_factory=lambda: dict.fromkeys(SIGN, ZERO))


@dataclass
class LineFacts:
    """What a user entered about a line."""

    order_id: int
    kind: str
    quantity: Decimal
    unit_price: Decimal

    @property
    def amount(self) -> Decimal:
        """Quantity × unit price, rounded to the cent, half away from zero."""
        exact = _WIDE.multiply(self.quantity, self.unit_price)
        return exact.quantize(CENT, ROUND_HALF_UP, _WIDE)


@dataclass
class Book:
    """Every order and line by primary key."""

    orders: dict[int, OrderFacts] = field(default_factory=dict)
    lines: dict[int, LineFacts] = field(default_factory=dict)

    @classmethod
    def read(cls, connection: psycopg.Connection[Any]) -> "Book":
        """The model of what is stored in the database; only facts are read, no figures."""
        book = cls()
        lines = "SELECT id, order_id, kind, quantity, unit_price FROM order_lines"
        for key, *facts in connection.execute(lines):
            book.lines[key] = LineFacts(*facts)
        orders = "SELECT id, itemised, total_price, additions, promo, reductions FROM orders"
        for key, itemised, *amounts in connection.execute(orders):
            entered = dict(zip(COMPONENT.values(), amounts, strict=True))
            book.orders[key] = OrderFacts(set(itemised), entered)
        return book

    def copy(self) -> "Book":
        """An independent copy with the same contents."""
        return deepcopy(self)

    def put(self, line_id: int, line: LineFacts) -> None:
        """Add or change a line; its kind then becomes itemised in its order."""
        self.lines[line_id] = line
        self.orders[line.order_id].itemised.add(line.kind)

    def change(self, line_id: int, **facts: Any) -> None:
        """Change some of a line's facts."""
        self.put(line_id, LineFacts(**{**vars(self.lines[line_id]), **facts}))

    def drop(self, order_id: int) -> None:
        """Delete an order with its lines."""
        del self.orders[order_id]
        self.lines = {k: line for k, line in self.lines.items() if line.order_id != order_id}

    def lines_of(self, order_id: int, kind: str | None = None) -> dict[int, LineFacts]:
        """The lines of an order, or those of one kind."""
        return {
            k: line
            for k, line in self.lines.items()
            if line.order_id == order_id and kind in (None, line.kind)
        }

    def facts(self) -> tuple[object, object]:
        """Everything that a user entered, in a comparable form; an amount only where it counts."""
        orders = {
            key: (
                order.itemised,
                {c: order.entered[c] for k, c in COMPONENT.items() if k not in order.itemised},
            )
            for key, order in self.orders.items()
        }
        return orders, self.lines

    def components(self, order_id: int) -> dict[str, Decimal]:
        """The four components that the order must have stored."""
        order = self.orders[order_id]
        found: dict[str, Decimal] = {}
        for kind, component in COMPONENT.items():
            lines = self.lines_of(order_id, kind)
            if lines or kind in order.itemised:
                found[component] = sum((line.amount for line in lines.values()), ZERO)
            else:
                found[component] = order.entered[component]
        return found

    def totals(self) -> Totals:
        """Every figure that must be stored."""
        found: dict[tuple[str, int], Mapping[str, Decimal]] = {
            ("order_lines", key): {"amount": line.amount} for key, line in self.lines.items()
        }
        for key in self.orders:
            components = self.components(key)
            grand_total = sum((SIGN[c] * amount for c, amount in components.items()), ZERO)
            found["orders", key] = {**components, "grand_total": grand_total}
        return found


def stored(connection: psycopg.Connection[Any]) -> Totals:
    """Every stored figure, as another program reads it."""
    found: dict[tuple[str, int], Mapping[str, Decimal]] = {}
    for key, amount in connection.execute("SELECT id, amount FROM order_lines"):
        found["order_lines", key] = {"amount": amount}
    names = (*COMPONENT.values(), "grand_total")
    columns = sql.SQL(", ").join(map(sql.Identifier, ("id", *names)))
    for key, *amounts in connection.execute(sql.SQL("SELECT {} FROM orders").format(columns)):
        found["orders", key] = dict(zip(names, amounts, strict=True))
    return found


def digest(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """A digest of every row of every table, by table; equal digests are equal states. A number may be taken in vain."""
    tables = connection.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'number_series'"
        " ORDER BY tablename"
    ).fetchall()
    return {name: _digest(connection, name) for (name,) in tables}


def _digest(connection: psycopg.Connection[Any], table: str) -> str:
    query = sql.SQL("SELECT t::text FROM {} AS t ORDER BY 1").format(sql.Identifier(table))
    return sha256("\n".join(row for (row,) in connection.execute(query)).encode()).hexdigest()
