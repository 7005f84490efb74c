"""What happened to an order, in words: every save with who, when and what, and every correction."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from itertools import count, groupby
from typing import Any

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from .. import figures
from ..audit.histories import Change, Event
from ..audit.models import AuditEvent
from ..audit.queries import history as audit_history
from ..audit.tables import Recorded
from ..audit.telling import difference_of
from ..base import N_
from ..drift.histories import corrected, corrections_of, who_made
from ..figures.models import Correction
from ..web.additions import notes_of
from .figures import ORDER_FIGURES, line_amount
from .models import COMPONENT_OF_KIND, Order, OrderLine
from .wording import LABELS, Wording

SHOWN = 500
"""Events of one order that its history shows; the audit screen has them all."""

RECORDED = (
    Recorded(
        N_("Order"), Order, name=Order.number,
        endpoint="orders.record", argument="number", labels=LABELS,
    ),
    Recorded(N_("Order line"), OrderLine, part_of=OrderLine.order_id, labels=LABELS),
)  # fmt: skip

_UNTOLD = {"id", "order_id", "position", "created_at", "itemised"}
"""Recorded columns that mean nothing to a reader; that a component is itemised shows in its amount."""


def events_of(session: Session, order: Order) -> list[Event]:
    """The order's history, newest first."""
    recorded = recorded_events(session, order.id)
    corrections = corrections_of(session, ORDER_FIGURES, order.id, limit=SHOWN)
    wording = wording_of(session, recorded, map(who_made, corrections))
    lines = _line_names(recorded, order)
    notes = notes_of(session, order)
    totals = totals_by_save(session, order, recorded)
    saved = [
        _saved(list(group), wording, lines, notes.get(transaction, ""), totals[transaction])
        for transaction, group in groupby(recorded, key=lambda event: event.xid)
    ]
    found = [event for event in saved if event.changes]
    found += [corrected(one, wording, _line_of(one, lines)) for one in corrections]
    return sorted(found, key=lambda event: event.at, reverse=True)


def recorded_events(session: Session, order_id: int) -> Sequence[AuditEvent]:
    """The audit trail of an order and its lines, newest first."""
    return audit_history(session, "orders", order_id, parts=[OrderLine.order_id], limit=SHOWN)


def wording_of(
    session: Session, recorded: Iterable[AuditEvent], actors: Iterable[str] = ()
) -> Wording:
    """The words for what is recorded in these events."""
    documents = [d for event in recorded for d in (event.before, event.after) if d]
    return Wording(
        session,
        customers=[d.get("customer_id") for d in documents],
        people=[d.get("account_manager_id") for d in documents],
        products=[d.get("product_id") for d in documents],
        actors=[*(event.actor for event in recorded), *actors],
    )


def _line_names(recorded: Iterable[AuditEvent], order: Order) -> dict[str, str]:
    """What each line is called, those that are gone too."""
    names = {str(line.id): line.description for line in order.lines}
    for event in recorded:
        if event.table_name == OrderLine.__tablename__ and event.row_id:
            told = event.after or event.before or {}
            if told.get("description"):
                names.setdefault(event.row_id, str(told["description"]))
    return {row_id: name or f"#{row_id}" for row_id, name in names.items()}


def _saved(
    group: list[AuditEvent],
    wording: Wording,
    lines: dict[str, str],
    note: str,
    totals: tuple[Decimal | None, Decimal],
) -> Event:
    """Everything that one transaction did to the order, as one event; its last line is the grand total."""
    newest = group[0]
    own = [event for event in group if event.table_name == Order.__tablename__]
    kinds = {"INSERT": "created", "DELETE": "deleted"}
    kind = next((kinds[event.action] for event in own if event.action in kinds), "changed")
    changes: list[Change] = []
    for event in sorted(group, key=lambda event: (event.table_name != "orders", event.id)):
        if event.table_name == Order.__tablename__:
            changes += _columns(event, wording, "")
        else:
            changes += _line(event, wording, lines)
    before, after = totals
    if changes and before != after and kind != "deleted":
        name, told = "grand_total", wording.value
        old = "" if before is None else told(name, before)
        apart = difference_of(Order.__tablename__, name, before, after)
        changes.append(Change(wording.label(name), old, told(name, after), apart))
    return Event(newest.at, wording.actor(newest.actor), kind, tuple(changes), note)


def _columns(event: AuditEvent, wording: Wording, where: str) -> Iterator[Change]:
    before, after = event.before or {}, event.after or {}
    for column in wording.in_order({**before, **after}):
        if column in _UNTOLD or (event.action == "INSERT" and _says_nothing(column, after[column])):
            continue
        old = wording.value(column, before[column]) if column in before else ""
        new = wording.value(column, after[column]) if column in after else ""
        if (
            event.action == "UPDATE"
        ):  # only an amount that lines make up is recorded on one side only
            old, new = old or _("from its lines"), new or _("from its lines")
        apart = difference_of(event.table_name, column, before.get(column), after.get(column))
        yield Change(where + wording.label(column), old, new, apart)


def _says_nothing(column: str, value: Any) -> bool:
    """Whether a new order's value is only what every new order has."""
    return value in (None, "") or (column in COMPONENT_OF_KIND.values() and not Decimal(str(value)))


def _line(event: AuditEvent, wording: Wording, lines: dict[str, str]) -> Iterator[Change]:
    name = lines.get(event.row_id or "", f"#{event.row_id}")
    if event.action == "UPDATE":
        yield from _columns(event, wording, _("Line “%(name)s”", name=name) + " · ")
    else:
        before, after = line_text(event.before, wording), line_text(event.after, wording)
        kind = (event.after or event.before or {}).get("kind", "")
        yield Change(_("Line of %(kind)s", kind=wording.value("kind", kind)), before, after)


def line_text(line: dict[str, Any] | None, wording: Wording) -> str:
    """A line in a few words: product, description, quantity × unit price. Empty where there is none."""
    if line is None:
        return ""
    amounts = "{} × {}".format(
        wording.value("quantity", line.get("quantity")),
        wording.value("unit_price", line.get("unit_price")),
    )
    product = wording.value("product_id", line["product_id"]) if line.get("product_id") else ""
    return " · ".join(filter(None, (product, line.get("description"), amounts)))


def _line_of(correction: Correction, lines: dict[str, str]) -> str:
    """Which line a correction is of; nothing where it is of the order itself."""
    if correction.figure != line_amount.name:
        return ""
    line_id = str(correction.key.get("id", ""))
    return _("Line “%(name)s”", name=lines.get(line_id, f"#{line_id}")) + " · "


# The grand total before and after each save. Figures are not in the audit trail. The facts are, so each save is taken
# back from what stands now, the newest first, and the one declaration is computed over every state that this gives:
# the preview's computation, in one statement.

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
