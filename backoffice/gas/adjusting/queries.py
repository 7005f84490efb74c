"""Whose closed months verification has found to be stored otherwise than their facts come to."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Text, cast, select, true, union
from sqlalchemy.orm import Session

from ...drift.models import DriftFinding
from ..figures import calculation, is_closed, monthly
from ..models import MonthlyCustomerBalance, TransactionCalculation


def _found(figure: Any, model: Any, key: str) -> Any:
    """The customers of closed rows of whom a finding is open."""
    is_it = (DriftFinding.owner == model.customer_id) & (
        DriftFinding.key[key].astext == cast(getattr(model, key), Text)
    )
    is_open = DriftFinding.figure == figure.name, DriftFinding.healed_at.is_(None)
    found = select(model.customer_id).join(DriftFinding, is_it)
    return found.where(*is_open, is_closed(model.__table__))


_WRONG = union(
    _found(monthly, MonthlyCustomerBalance, "year_month"),
    _found(calculation, TransactionCalculation, "reading_id"),
).subquery()


def wrong_when_closed(session: Session, customer_id: int | None = None) -> Sequence[int]:
    """The customers, or that one, of whom a closed month or what stands behind it is found to be wrong."""
    mine = true() if customer_id is None else _WRONG.c.customer_id == customer_id
    return session.scalars(select(_WRONG.c.customer_id).where(mine)).all()
