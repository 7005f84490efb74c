"""Orders, as they are entered, listed and told, with their lines."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import joinedload, selectinload

from ..audit.tables import Recorded
from ..base import N_
from ..base.identifiers import is_id
from ..records import Deletion, Record, Shown
from . import actions
from .entries import LINE, OrderEntry
from .fields import FIELDS, LABELS, LINE_FIELDS
from .figures import ORDER_FIGURES
from .history import lines_rendered
from .listing import ORDERS
from .models import Order, OrderLine


def _lines_as_sent(order: Order) -> Sequence[Mapping[str, Any]]:
    return [
        {
            "id": line.id,
            **{name: getattr(line, name) for name in LINE if name != "product_id"},
            "product": line.product.code if line.product else None,
            "amount": line.amount,
        }
        for line in order.lines
    ]


def _are_lines(sent: Any) -> bool:
    """Whether JSON says lines: a list of objects that hold nothing but what can be entered of a line."""
    reads = {field.name: field.reads for field in LINE_FIELDS}

    def is_line(one: Any) -> bool:
        return (
            isinstance(one, dict)
            and isinstance(one.get("kind"), str)
            and all(
                _is_line_id(value) if name == "id" else name in reads and reads[name](value)
                for name, value in one.items()
            )
        )

    return isinstance(sent, list) and all(map(is_line, sent))


def _is_line_id(sent: Any) -> bool:
    return sent is None or (isinstance(sent, int) and is_id(str(sent)))


_LINE = {field.name: {**field.schema(), "title": field.label} for field in LINE_FIELDS}

LINES = Shown(
    "lines",
    N_("Lines"),
    _lines_as_sent,
    schema={
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"id": {"type": "integer"}, **_LINE, "amount": {"type": "string"}},
        },
    },
    entry={
        "type": "array",
        "items": {
            "type": "object",
            "additionalProperties": False,
            "required": ["kind", "quantity"],
            "properties": {"id": {"type": ["integer", "null"], "minimum": 1}, **_LINE},
        },
    },
    reads=_are_lines,
    must_be=N_(
        "Send a list of lines, each an object with kind, product, description, quantity and unit_price."
    ),
)

ORDER = Record(
    Order,
    name=Order.number,
    domain="orders",
    title=N_("Order"),
    many=ORDERS.title,
    new=N_("New order"),
    called=N_("Order %(number)s"),
    saved=N_("Order %(number)s is saved."),
    listing=lambda _user: ORDERS,
    reads="orders.read",
    writes="orders.write",
    has_path=True,
    fields=FIELDS,
    form="backoffice.orders.editing.forms:OrderForm",
    create=lambda session, values: actions.create(session, OrderEntry.entered(values)),
    update=lambda session, order_id, values, version: actions.update(
        session, order_id, OrderEntry.entered(values), version
    ),
    verbs=(
        Deletion(
            done=N_("Order %(number)s is deleted."),
            explains=N_(
                "The order and its lines go for good. The audit trail keeps what they were."
            ),
            refuses=actions.check_may_go,
        ),
    ),
    shown=(LINES,),
    figures=ORDER_FIGURES,
    recalculated="order",
    parts=(OrderLine.order_id,),
    rendering=lines_rendered,
    loads=(
        joinedload(Order.customer),
        joinedload(Order.account_manager),
        selectinload(Order.lines).joinedload(OrderLine.product),
    ),
    labels=LABELS,
)

RECORDS = (ORDER,)
RECORDED = (Recorded(N_("Order line"), OrderLine, part_of=OrderLine.order_id, labels=LABELS),)
