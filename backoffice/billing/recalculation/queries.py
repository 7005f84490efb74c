"""The customers and meters that a recalculation could not correct, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from ...customers.models import Customer
from ...runs.models import ITEM_FAILED, SKIPPED, RunItem
from ..figures import customer_balance
from ..models import Meter


@dataclass(frozen=True)
class Uncorrected:
    """A customer or a meter that could not be corrected, or was skipped. `code` is the code or number."""

    kind: str
    id: int | None
    code: str
    name: str
    outcome: str
    error: str


def uncorrected_by(session: Session, run_id: int, most: int | None = None) -> Sequence[Uncorrected]:
    """The customers and meters that the run could not correct, in the order of its items."""
    is_customer = RunItem.subject == customer_balance.name

    def reported(of_customer: Any, of_meter: Any) -> Any:
        mine = select(of_customer).where(Customer.id == RunItem.owner).scalar_subquery()
        other = select(of_meter).where(Meter.id == RunItem.owner).scalar_subquery()
        return func.coalesce(case((is_customer, mine), else_=other), "")

    items = select(
        case((is_customer, "customer"), else_="meter"), RunItem.owner,
        reported(Customer.code, Meter.number), reported(Customer.name, Meter.description),
        RunItem.outcome, RunItem.error,
    ).where(RunItem.run_id == run_id, RunItem.outcome.in_((ITEM_FAILED, SKIPPED)))  # fmt: skip
    return [Uncorrected(*row) for row in session.execute(items.order_by(RunItem.id).limit(most))]
