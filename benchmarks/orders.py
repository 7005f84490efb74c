"""The order that is saved: as the form passes it, and with every figure computed by the program."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import count

from backoffice.orders.models import Order, OrderLine

_numbers = count(1)


@dataclass(frozen=True)
class Typed:
    """One line as typed, with its amount as computed by the program."""

    kind: str
    quantity: Decimal
    unit_price: Decimal
    amount: Decimal


LINES = (
    Typed("package", Decimal(12), Decimal(3500000), Decimal("42000000.00")),
    Typed("package", Decimal("2.5"), Decimal("1250000.5000"), Decimal("3125001.25")),
    Typed("addition", Decimal(3), Decimal("499999.9900"), Decimal("1499999.97")),
    Typed("promo", Decimal(1), Decimal(2000000), Decimal("2000000.00")),
)
REDUCTIONS = Decimal("50000.00")
"""The one component that is entered as an amount."""

FIGURES = {
    "total_price": Decimal("45125001.25"),
    "additions": Decimal("1499999.97"),
    "promo": Decimal("2000000.00"),
    "grand_total": Decimal("44575001.22"),
}
"""The figures that follow from the lines and the reductions."""

ADDED = Decimal("499999.99")
"""The amount that one more unit of the third line adds to its amount, to the additions and to the grand total."""


def new_order() -> Order:
    """An order with four lines: entered facts, no figure."""
    order = Order(
        number=f"BENCH-{next(_numbers)}",
        customer_id=1,
        account_manager_id=1,
        order_date=date(2026, 3, 2),
        itemised=["package", "addition", "promo"],
        reductions=REDUCTIONS,
    )
    order.lines = [
        OrderLine(
            position=position,
            kind=line.kind,
            description="Item",
            quantity=line.quantity,
            unit_price=line.unit_price,
        )
        for position, line in enumerate(LINES)
    ]
    return order


def complete_order() -> Order:
    """The same with its figures, so that plain inserts write the same columns."""
    order = new_order()
    for name, amount in FIGURES.items():
        setattr(order, name, amount)
    for line, typed in zip(order.lines, LINES, strict=True):
        line.amount = typed.amount
    return order


def add_one(order: Order) -> None:
    """Change a fact: add one to the quantity of the third line."""
    order.lines[2].quantity += 1


def add_one_completely(order: Order) -> None:
    """The same with the figures that follow from it."""
    add_one(order)
    order.lines[2].amount += ADDED
    order.additions += ADDED
    order.grand_total += ADDED
