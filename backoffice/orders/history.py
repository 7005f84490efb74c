"""Rendering of the history of an order's lines, and of the grand total before and after each save."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from itertools import count, groupby
from typing import Any

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from .. import figures
from ..audit.histories import Change
from ..audit.models import AuditEvent
from ..audit.rendering import difference_of
from ..records import Field, Rendered, Rendering
from ..records.writing import written
from ..web.formats import money_filter
from .fields import KIND, LINE_FIELDS, PRODUCT, QUANTITY, UNIT_PRICE
from .figures import ORDER_FIGURES
from .models import COMPONENT_OF_KIND, Order, OrderLine


def lines_rendered(session: Session, order: Order, recorded: Sequence[AuditEvent]) -> Rendering:
    """What each save changed in lines and in the grand total; `recorded` are the order's events, newest first."""
    names, totals = _line_names(recorded, order), totals_by_save(session, order, recorded)
    sold = _products(session, recorded)

    def called(line_id: Any) -> str:
        return _("Line “%(name)s”", name=names.get(str(line_id), f"#{line_id}")) + " · "

    def tell(save: Sequence[AuditEvent]) -> Rendered:
        of_lines = [event for event in save if event.table_name == OrderLine.__tablename__]
        changes = [c for event in of_lines for c in _line(event, called(event.row_id), sold)]
        before, after = totals[save[0].xid]
        if before != after:
            apart = difference_of(Order.__tablename__, "grand_total", before, after)
            reported = "" if before is None else money_filter(before)
            changes.append(Change(_("Grand total"), reported, money_filter(after), apart))
        return "", changes

    return Rendering(tell, lambda key: called(key.get("id", "")))


def _line_names(recorded: Iterable[AuditEvent], order: Order) -> dict[str, str]:
    """The name of each line, including deleted ones."""
    names = {str(line.id): line.description for line in order.lines}
    for event in recorded:
        if event.table_name == OrderLine.__tablename__ and event.row_id:
            reported = event.after or event.before or {}
            if reported.get("description"):
                names.setdefault(event.row_id, str(reported["description"]))
    return {row_id: name or f"#{row_id}" for row_id, name in names.items()}


def _products(session: Session, recorded: Iterable[AuditEvent]) -> Mapping[str, str]:
    """The codes of the products in the events, by product id, read in one statement."""
    sides = (side for event in recorded for side in (event.before, event.after) if side)
    ids = {side["product_id"] for side in sides if side.get("product_id")}
    return {str(key): code for key, code in PRODUCT.of.names(session, ids).items()}


def _line(event: AuditEvent, where: str, sold: Mapping[str, str]) -> Iterator[Change]:
    before, after = event.before or {}, event.after or {}
    if event.action != "UPDATE":
        kind = written(KIND, {**before, **after}.get("kind", ""))
        label = _("Line of %(kind)s", kind=kind)
        yield Change(label, line_text(before, sold), line_text(after, sold))
        return
    for field in LINE_FIELDS:
        if field.key in after or field.key in before:
            sides = before.get(field.key), after.get(field.key)
            apart = difference_of(event.table_name, field.key, *sides)
            old, new = (_value(field, side, sold) or "–" for side in sides)
            yield Change(where + _(field.label), old, new, apart)


def line_text(line: Mapping[str, Any], sold: Mapping[str, str]) -> str:
    """A recorded line in a few words: product, description, quantity × unit price. Empty where there is none."""
    if not line:
        return ""
    product, quantity, price = (
        _value(field, line.get(field.key), sold) for field in (PRODUCT, QUANTITY, UNIT_PRICE)
    )
    return " · ".join(filter(None, (product, line.get("description"), f"{quantity} × {price}")))


def _value(field: Field, recorded: Any, sold: Mapping[str, str]) -> str:
    fact = field.fact(recorded)
    return sold.get(fact, fact and f"#{fact}") if field is PRODUCT else written(field, fact)


# The grand total before and after each save. Figures are not in the audit trail, but the facts are: each save is undone
# from the present state backwards, newest first, and the declared figure is computed over all resulting states in one
# statement, as for a preview.

_FACTS = ("itemised", *COMPONENT_OF_KIND.values())
_LINE = ("kind", "quantity", "unit_price")


@dataclass
class _State:
    """The facts of an order at one moment: its own, and those of its lines by their ids."""

    own: dict[str, Any]
    lines: dict[str, dict[str, Any]]
    is_there: bool = True

    def take_back(self, event: AuditEvent) -> None:
        """Restore the state before the event."""
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
    """The grand total of each state, computed as if each were a separate unsaved order."""
    orders: list[Mapping[str, Any]] = []
    lines: list[Mapping[str, Any]] = []
    ids = count(-1, -1)
    for number, state in enumerate(states, 1):
        entered = {name: value for name, value in state.own.items() if value is not None}
        orders.append({"id": -number, "customer_id": order.customer_id, **entered})
        lines += ({"id": next(ids), "order_id": -number, **line} for line in state.lines.values())
    found = figures.preview(session, ORDER_FIGURES, {Order: orders, OrderLine: lines})
    return [found.row(Order, -number)["grand_total"] for number in range(1, len(states) + 1)]
