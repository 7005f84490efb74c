"""The prices of customers: which holds on a day."""

from collections.abc import Collection
from datetime import date

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from ..models import GasPrice


def prices_on(session: Session, customer_ids: Collection[int], day: date) -> dict[int, GasPrice]:
    """Of each of these customers the price that holds on a day; before the first there is none."""
    begun = select(GasPrice).where(
        GasPrice.customer_id == func.any(list(customer_ids)), GasPrice.effective_from <= day
    )
    newest = begun.order_by(GasPrice.customer_id, GasPrice.effective_from.desc())
    found = session.scalars(newest.ext(distinct_on(GasPrice.customer_id)))
    return {price.customer_id: price for price in found}


def price_on(session: Session, customer_id: int, day: date) -> GasPrice | None:
    """The price that holds for a customer on a day; None before the first."""
    return prices_on(session, [customer_id], day).get(customer_id)
