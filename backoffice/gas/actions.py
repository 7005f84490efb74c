"""Actions of gas other than saving records. Nothing here commits."""

from collections.abc import Sequence

from sqlalchemy import select, union
from sqlalchemy.orm import Session

from ..base import N_
from ..base.periods import Month
from ..base.refusals import Refusal
from ..customers.models import Customer
from ..records.actions import bump_version, locked
from .adjusting.actions import proposal_of
from .models import (
    AcceptedMonth,
    Deposit,
    MonthlyCustomerBalance,
    Reading,
    TransactionCalculation,
)


class ClosedMonthWrong(Refusal):
    """Switching off stored rows while a closed month is wrong, which would rewrite it without a user's decision."""

    sentence = N_(
        "A closed month of this customer is stored otherwise than its facts come to. Accept the adjustment that is "
        "proposed, or reopen the month, first."
    )
    status = 409


def switch(session: Session, customer_id: int, *, is_stored: bool) -> Customer:
    """Switch a customer to stored rows, kept up to date, or to rows computed on read.

    The stored rows are created or deleted with it. Raises RecordGone, ClosedMonthWrong.
    """
    if not is_stored and proposal_of(session, customer_id) is not None:
        raise ClosedMonthWrong()
    customer: Customer = locked(session, Customer, [customer_id], key_share=True)[customer_id]
    customer.use_realtime_calculation = is_stored
    bump_version(session, customer)
    session.flush()
    return customer


def concerned_since(session: Session, month: Month) -> Sequence[int]:
    """The customers with anything entered, accepted or stored in that month or later."""
    days = (Reading.customer_id, Reading.read_on), (Deposit.customer_id, Deposit.deposited_on)
    named = (TransactionCalculation, MonthlyCustomerBalance, AcceptedMonth)
    found = (
        *(select(owner).where(day >= month.first) for owner, day in days),
        *(select(model.customer_id).where(model.year_month >= str(month)) for model in named),
    )
    return sorted(session.scalars(union(*found)))
