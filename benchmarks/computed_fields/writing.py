"""How a Django program writes an order, an edit and a bulk change, so that computed fields are updated."""

from collections.abc import Iterable
from functools import partial

from computedfields.models import update_dependent
from django.db import transaction
from django.db.models import F

from ..orders import LINES, REDUCTIONS, new_order
from ..timing import Side, timed
from .models import Order, OrderLine


def save() -> float:
    """The fastest documented way: the order, its lines by `bulk_create`, then an update of the dependent fields."""
    order, lines = _typed()
    return timed(partial(_save, order, lines))


def save_each() -> float:
    """As a formset saves: the order, then line by line, each followed by an update of the order's totals."""
    order, lines = _typed()
    return timed(partial(_save_each, order, lines))


def _typed() -> tuple[Order, list[OrderLine]]:
    typed = new_order()
    order = Order(
        number=typed.number,
        customer_id=typed.customer_id,
        account_manager_id=typed.account_manager_id,
        order_date=typed.order_date,
        itemised=typed.itemised,
        reductions=REDUCTIONS,
    )
    lines = [
        OrderLine(
            order=order,
            position=position,
            kind=line.kind,
            description="Item",
            quantity=line.quantity,
            unit_price=line.unit_price,
        )
        for position, line in enumerate(LINES)
    ]
    return order, lines


@transaction.atomic
def _save(order: Order, lines: list[OrderLine]) -> None:
    order.save()
    made = OrderLine.objects.bulk_create(lines)
    update_dependent(OrderLine.objects.filter(pk__in=[line.pk for line in made]))


@transaction.atomic
def _save_each(order: Order, lines: list[OrderLine]) -> None:
    order.save()
    for line in lines:
        line.order = order
        line.save()


def edits() -> Side:
    """Add one to the quantity of the third line of a saved order, a different order each time."""
    orders: Iterable[int] = Order.objects.filter(number__startswith="BENCH-").order_by("-id")
    ids = iter(list(orders.values_list("pk", flat=True)))

    def side() -> float:
        line = OrderLine.objects.get(order_id=next(ids), position=2)
        line.quantity += 1
        return timed(partial(_saved, line))

    return side


@transaction.atomic
def _saved(line: OrderLine) -> None:
    line.save(update_fields=["quantity"])


def bulk(ids: list[int]) -> float:
    """Add one to the quantity of many lines by one UPDATE, then update the dependent fields."""
    return timed(partial(_bulk, ids))


@transaction.atomic
def _bulk(ids: list[int]) -> None:
    OrderLine.objects.filter(pk__in=ids).update(quantity=F("quantity") + 1)
    update_dependent(OrderLine.objects.filter(pk__in=ids), update_fields=["quantity"])
