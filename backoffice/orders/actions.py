"""Verbs that change an order. Nothing here commits: every verb works in the caller's transaction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from .. import figures
from ..base import N_, money
from ..base.refusals import Refusal
from ..records import actions as records
from .entries import HEADER, LINE, Breakdown, LineEntry, OrderEntry
from .figures import ORDER_FIGURES
from .models import COMPONENT_OF_KIND, KINDS, Order, OrderLine


class NegativeComponent(Refusal):
    """A component is below zero; it is entered as a positive amount, and the formula subtracts it where needed."""

    sentence = N_(
        "This cannot be negative. What lowers the total belongs under Promo or Reductions."
    )


class NegativeGrandTotal(Refusal):
    """Promo and reductions together exceed the package price and the additions."""

    sentence = N_(
        "The grand total cannot be negative. Lower the promo or the reductions, or raise the package price."
    )


class TooLarge(Refusal):
    """A total is larger than the column can hold."""

    sentence = N_("This comes to more than can be stored. Check the quantities and the prices.")


class ClosedOrderKept(Refusal):
    """A closed order counts toward targets, so it must be reopened before it is deleted."""

    sentence = N_(
        "Order %(number)s is closed, so it cannot be deleted. Remove its closing date first."
    )


@dataclass(frozen=True)
class Totals:
    """An order's totals; `lines` holds the amounts in the order of the entered lines."""

    components: dict[str, Decimal]
    grand_total: Decimal
    lines: tuple[Decimal, ...]

    def problems(self) -> dict[str, Refusal]:
        """The reasons why these totals cannot be stored, by field."""
        return dict(self._problems())

    def _problems(self) -> Iterator[tuple[str, Refusal]]:
        for position, amount in enumerate(self.lines):
            if abs(amount) > money.max_amount():
                yield f"lines-{position}", TooLarge()
        for component, amount in self.components.items():
            if amount < 0:
                yield component, NegativeComponent()
            elif amount > money.max_amount():
                yield component, TooLarge()
        if self.grand_total < 0:
            yield "grand_total", NegativeGrandTotal()
        elif self.grand_total > money.max_amount():
            yield "grand_total", TooLarge()


_UNSAVED = -1


def compute(session: Session, breakdown: Breakdown) -> Totals:
    """The totals of an order with this breakdown. Writes nothing and locks nothing."""
    order: dict[str, Any] = {"id": _UNSAVED, "itemised": breakdown.kinds}
    order |= {name: Decimal(0) for name in (*COMPONENT_OF_KIND.values(), "grand_total")}
    lines: list[dict[str, Any]] = [
        {
            "id": _UNSAVED - position,
            "order_id": _UNSAVED,
            "kind": line.kind,
            "quantity": line.quantity,
            "unit_price": line.unit_price,
            "amount": Decimal(0),
        }
        for position, line in enumerate(breakdown.lines)
    ]
    rows = {Order: [order | breakdown.entered], OrderLine: lines}
    preview = figures.preview(session, ORDER_FIGURES, rows)
    expected = preview.row(Order, _UNSAVED)
    return Totals(
        components={name: expected[name] for name in COMPONENT_OF_KIND.values()},
        grand_total=expected["grand_total"],
        lines=tuple(preview.row(OrderLine, line["id"])["amount"] for line in lines),
    )


def create(session: Session, entry: OrderEntry) -> Order:
    """Add an order; its totals are stored with it.

    Raises Impossible: a component, a line or the grand total cannot be stored.
    """
    _refuse_impossible(session, entry)
    order = Order()
    _apply(order, entry)
    session.add(order)
    session.flush()
    return order


def update(session: Session, order_id: int, entry: OrderEntry, version: int) -> Order:
    """Change an order to `entry`, if it is still at `version`; saving what is stored already changes nothing.

    Raises RecordGone; RecordChanged: the order was saved since that version; Impossible as for `create`.
    """
    order: Order = records.locked(session, Order, [order_id], key_share=True)[order_id]
    records.check_version(order, version, order.number)
    session.refresh(order, ["lines"])
    _refuse_impossible(session, entry)
    _apply(order, entry)
    if _is_changed(session, order):
        records.next_version(order)
    session.flush()
    return order


def check_may_go(_session: Session, order: Order) -> None:
    """Raises ClosedOrderKept if the order is closed."""
    if order.closing_date is not None:
        raise ClosedOrderKept(number=order.number)


def _refuse_impossible(session: Session, entry: OrderEntry) -> None:
    problems = compute(session, entry.breakdown).problems()
    if problems:
        raise records.Impossible(problems)


def _apply(order: Order, entry: OrderEntry) -> None:
    """Write the entered values; the figures compute the derived ones."""
    for name in HEADER:
        setattr(order, name, getattr(entry, name))
    order.itemised = entry.breakdown.kinds
    for component, amount in entry.breakdown.entered.items():
        setattr(order, component, amount)
    stored = {line.id: line for line in order.lines}
    order.lines = [
        _applied(stored.pop(line.id, None) if line.id else None, line)
        for line in entry.breakdown.lines
    ]
    _number(order.lines)


def _applied(line: OrderLine | None, entry: LineEntry) -> OrderLine:
    line = line or OrderLine()
    for name in LINE:
        setattr(line, name, getattr(entry, name))
    return line


def _number(lines: Sequence[OrderLine]) -> None:
    """Renumber the lines of each kind that are out of order: a file may have numbered all kinds together."""
    for kind in KINDS:
        own = [(place, line) for place, line in enumerate(lines) if line.kind == kind]
        stored = [(line.position, line.id) for _place, line in own if line.id]
        if len(stored) < len(own) or stored != sorted(stored):
            for place, line in own:
                line.position = place


def _is_changed(session: Session, order: Order) -> bool:
    """Whether saving would change a column of the order or of a line, or the lines themselves."""
    return any(
        not inspect(thing).persistent or session.is_modified(thing)
        for thing in (order, *order.lines)
    )
