"""The declaration of orders and their lines."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import joinedload, selectinload

from ..audit.tables import Recorded
from ..base import N_
from ..records import Deletion, Record
from ..records.lines import shown_lines
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


LINES = shown_lines(
    _lines_as_sent, LINE_FIELDS, named="kind", required=("quantity",), has_id=True, computed=("amount",),
    must_be=N_(
        "Send a list of lines, each an object with kind, product, description, quantity and unit_price."
    ),
)  # fmt: skip

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
