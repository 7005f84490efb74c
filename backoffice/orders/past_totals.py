"""What an order's grand total was before and after each of its saves.

Figures are not in the audit trail. The facts are, so each save is taken back from what stands now, the newest first,
and the one declaration is computed over every state that this gives: the preview's computation, in one statement.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from itertools import count, groupby
from typing import Any

from sqlalchemy.orm import Session

from .. import figures
from ..audit.models import AuditEvent
from .figures import ORDER_FIGURES
from .models import COMPONENT_OF_KIND, Order, OrderLine

_FACTS = ("itemised", *COMPONENT_OF_KIND.values())
_LINE = ("kind", "quantity", "unit_price")


@dataclass
class _State:
    """The facts of an order at one moment: its own, and those of its lines by their ids."""

    own: dict[str, Any]
    lines: dict[str, dict[str, Any]]
    is_there: bool = True

    def take_back(self, event: AuditEvent) -> None:
        """Make it what it was before the event."""
        before = event.before or {}
        if event.table_name == Order.__tablename__:
            self.is_there = event.action != "INSERT"
            self.own.update({name: before[name] for name in _FACTS if name in before})
        elif event.action == "INSERT":
            self.lines.pop(event.row_id or "", None)
        else:
            line = self.lines.setdefault(event.row_id or "", {})
            line.update({name: before[name] for name in _LINE if name in before})


def totals_by_save(
    session: Session, order: Order, recorded: Sequence[AuditEvent]
) -> Mapping[int, tuple[Decimal | None, Decimal]]:
    """Transaction → the grand total before it (None: there was no order) and after it, in the order's currency.

    `recorded` are the order's events, newest first.
    """
    states, saves, state = [], [], _present(order)
    states.append(deepcopy(state))
    for transaction, group in groupby(recorded, key=lambda event: event.xid):
        for event in group:
            state.take_back(event)
        states.append(deepcopy(state))
        saves.append(transaction)
    totals = _totals(session, order, states)
    return {
        save: (totals[i + 1] if states[i + 1].is_there else None, totals[i])
        for i, save in enumerate(saves)
    }


def _present(order: Order) -> _State:
    own = {name: getattr(order, name) for name in _FACTS}
    lines = {str(ln.id): {name: getattr(ln, name) for name in _LINE} for ln in order.lines}
    return _State(own, lines)


def _totals(session: Session, order: Order, states: Sequence[_State]) -> list[Decimal]:
    """The grand total of each state, as if each were an order of its own that nobody has saved."""
    orders: list[Mapping[str, Any]] = []
    lines: list[Mapping[str, Any]] = []
    ids = count(-1, -1)
    for number, state in enumerate(states, 1):
        entered = {name: value for name, value in state.own.items() if value is not None}
        orders.append({"id": -number, "customer_id": order.customer_id, **entered})
        lines += ({"id": next(ids), "order_id": -number, **line} for line in state.lines.values())
    found = figures.preview(session, ORDER_FIGURES, {Order: orders, OrderLine: lines})
    return [found.row(Order, -number)["grand_total"] for number in range(1, len(states) + 1)]
