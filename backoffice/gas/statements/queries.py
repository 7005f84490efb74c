"""The readings and deposits behind a month of a customer, and what is not in it for want of a price."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from ...base.periods import Month
from ...customers.models import Customer
from ..models import Deposit, GasPrice, Reading
from ..queries import calculations_for, is_unpriced, statement_of
from ..rules import month_of


@dataclass(frozen=True)
class Line:
    """A reading of a month and its calculation, stored or computed; None: no price was in force on its day."""

    reading: Reading
    calculation: Any

    @property
    def total_price(self) -> Decimal | None:
        """What it comes to; None without a price."""
        return None if self.calculation is None else self.calculation.total_price


def month_row(session: Session, customer: Customer, month: Month) -> Any:
    """A month of the customer's statement; None before the first and after the last."""
    rows = statement_of(customer.id)
    return session.execute(select(rows).where(rows.c.year_month == str(month))).one_or_none()


def lines_of(session: Session, customer: Customer, month: Month) -> list[Line]:
    """The readings of a month with what each comes to, by day."""
    mine = Reading.customer_id == customer.id, month_of(Reading.read_on) == str(month)
    readings = session.scalars(select(Reading).where(*mine).order_by(Reading.read_on)).all()
    priced = {row.reading_id: row for row in calculations_for(session, customer.id, month)}
    return [Line(reading, priced.get(reading.id)) for reading in readings]


def deposits_of(session: Session, customer: Customer, month: Month) -> Sequence[Deposit]:
    """The deposits of a month, by day."""
    mine = Deposit.customer_id == customer.id, month_of(Deposit.deposited_on) == str(month)
    of_month = select(Deposit).where(*mine).order_by(Deposit.deposited_on, Deposit.id)
    return session.scalars(of_month).all()


def prices_of(session: Session, customer: Customer) -> Sequence[GasPrice]:
    """Every price of the customer, the newest first."""
    mine = select(GasPrice).where(GasPrice.customer_id == customer.id)
    return session.scalars(mine.order_by(GasPrice.effective_from.desc())).all()


def has_gas(session: Session, customer: Customer) -> bool:
    """Whether anything of gas is entered for the customer."""
    entered = (
        select(model.id).where(model.customer_id == customer.id).exists()
        for model in (Reading, GasPrice, Deposit)
    )
    return bool(session.scalar(select(or_(*entered))))


def unpriced_of(session: Session, customer: Customer) -> int:
    """How many readings of the customer have no price."""
    mine = select(func.count()).where(Reading.customer_id == customer.id, is_unpriced())
    return session.scalar(mine) or 0
