"""Applying a new price: the price list and the chosen orders change together. Nothing here commits."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from .. import figures
from ..base import N_
from ..base.refusals import Refusal
from ..orders.models import Order, OrderLine
from ..products import actions as products
from ..products.queries import price_on
from .effects import Effect, NewPrice, Visible, effects_of, price_before
from .models import PriceChange, PriceChangeOrder


class NothingToApply(Refusal):
    """The price is already in the list, and no order is chosen."""

    sentence = N_(
        "This price is in the list already, and no order is selected: there is nothing to do."
    )


def apply(
    session: Session, visible: Visible, new: NewPrice, chosen: Mapping[int, int]
) -> PriceChange:
    """Store the price, and write it into the product's lines of the `chosen` orders: id → version as previewed.

    The orders are locked in id order and read again. An order that was saved, closed or deleted since, or
    has totals that could not be stored, is left unchanged, and the record states the reason.

    Raises RecordGone, NothingToApply.
    """
    product = products.locked(session, new.product_id)
    before = price_before(session, new)
    if not chosen and price_on(session, product.id, new.effective_from) == new.unit_price:
        raise NothingToApply()
    products.set_price(session, product, new.effective_from, new.unit_price)
    change = PriceChange(
        product_id=product.id,
        effective_from=new.effective_from,
        unit_price=new.unit_price,
        previous_price=before,
    )
    session.add(change)
    session.flush()
    if chosen:
        _change_orders(session, visible, new, chosen, change.id)
    return change


def _change_orders(
    session: Session, visible: Visible, new: NewPrice, chosen: Mapping[int, int], change_id: int
) -> None:
    stored = _locked(session, visible, chosen)
    effects = {row.order_id: row for row in effects_of(session, visible, new, only=chosen).rows}
    outcomes = {
        order_id: _outcome(stored.get(order_id), version, effects.get(order_id))
        for order_id, version in chosen.items()
    }
    applied = sorted(order_id for order_id, outcome in outcomes.items() if outcome == "applied")
    _reprice(session, new, applied)
    figures.settle(session)
    rows = session.execute(select(Order.id, Order.grand_total).where(Order.id == func.any(applied)))
    totals = {row.id: row.grand_total for row in rows}
    session.execute(
        insert(PriceChangeOrder),
        [
            {
                "price_change_id": change_id,
                "order_id": order_id,
                "number": stored[order_id].number if order_id in stored else "",
                "outcome": outcome,
                "before": effects[order_id].now if order_id in totals else None,
                "after": totals.get(order_id),
            }
            for order_id, outcome in outcomes.items()
        ],
    )


def _locked(session: Session, visible: Visible, chosen: Mapping[int, int]) -> dict[int, Any]:
    """The chosen orders that the user may see, locked in id order against other writers."""
    rows = session.execute(
        select(Order.id, Order.number, Order.version, Order.closing_date)
        .where(Order.id == func.any(sorted(chosen)), visible)
        .order_by(Order.id)
        .with_for_update(key_share=True, of=Order)
    )
    return {row.id: row for row in rows}


def _outcome(stored: Any, version: int, effect: Effect | None) -> str:
    """The outcome for a chosen order."""
    if stored is None:
        return "gone"
    if stored.closing_date is not None:
        return "closed"
    if stored.version != version or effect is None:
        return "changed"
    return "applied" if effect.is_possible else "impossible"


def _reprice(session: Session, new: NewPrice, order_ids: list[int]) -> None:
    """Write the price into the product's lines, and increment the orders' versions."""
    session.execute(
        update(OrderLine)
        .where(
            OrderLine.order_id == func.any(order_ids),
            OrderLine.product_id == new.product_id,
            OrderLine.unit_price != new.unit_price,
        )
        .values(unit_price=new.unit_price)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(Order)
        .where(Order.id == func.any(order_ids))
        .values(version=Order.version + 1, updated_at=func.now())
        .execution_options(synchronize_session=False)
    )
