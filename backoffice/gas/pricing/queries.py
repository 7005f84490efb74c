"""The prices of customers: which holds on a day."""

from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..models import GasPrice


def price_on(session: Session, customer_id: int, day: date) -> GasPrice | None:
    """The price that holds for a customer on a day; None before the first."""
    begun = select(GasPrice).where(
        GasPrice.customer_id == customer_id, GasPrice.effective_from <= day
    )
    return session.scalars(begun.order_by(GasPrice.effective_from.desc()).limit(1)).one_or_none()
