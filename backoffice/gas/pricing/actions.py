"""Actions on prices: computing a bulk change, storing and deleting. Nothing here commits."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from ...base import N_, money
from ...base.refusals import Refusal, refused_if_locked
from ...records import actions as records
from ..models import GasPrice
from ..queries import prices_on
from ..rules import MAX_FACTOR, MAX_PRICE
from .effects import NewPrice

MOST = 20_000
"""Customers that one run may change."""


class TooManyCustomers(Refusal):
    """A bulk change of more customers than one run may change."""

    sentence = N_("At most %(most)s customers get a new price at once. Narrow the filter.")


class NoPriceToRaise(Refusal):
    """None of the customers has a price on the day."""

    sentence = N_("None of these customers has a price in force on that day.")


class OutOfRange(Refusal):
    """A price that cannot be stored."""

    sentence = N_("A price is from 0 to %(most)s.")


@dataclass(frozen=True)
class PriceChange:
    """A bulk change of prices: by `percent`, or to another price, or to another factor."""

    percent: Decimal | None = None
    price: Decimal | None = None
    factor: Decimal | None = None

    def of(self, held: GasPrice | None) -> tuple[Decimal, Decimal] | None:
        """The new price and factor in place of those in force; None where one of them is missing."""
        price, factor = self.price, self.factor
        if held is not None:
            price = self._raised(held.price_per_sm3) if price is None else price
            factor = held.correction_factor if factor is None else factor
        return None if price is None or factor is None else (price, factor)

    def _raised(self, price: Decimal) -> Decimal:
        if self.percent is None:
            return price
        return money.round_amount(price * (100 + self.percent) / 100, money.UNIT_PRICE_DECIMALS)


def changed_prices(
    session: Session, customer_ids: Collection[int], day: date, change: PriceChange
) -> tuple[list[NewPrice], list[int]]:
    """The changed price of each of these customers on `day`, and the ids of customers without a price to change.

    Raises TooManyCustomers, NoPriceToRaise, OutOfRange.
    """
    if len(customer_ids) > MOST:
        raise TooManyCustomers(most=MOST)
    held = prices_on(session, customer_ids, day)
    made = {customer: change.of(held.get(customer)) for customer in sorted(customer_ids)}
    found = [NewPrice(customer, day, *new) for customer, new in made.items() if new is not None]
    if not found:
        raise NoPriceToRaise()
    check(found)
    return found, [customer for customer, new in made.items() if new is None]


def check(prices: Sequence[NewPrice]) -> None:
    """Raises OutOfRange where one of them cannot be stored."""
    for new in prices:
        is_factor = 0 < new.correction_factor <= MAX_FACTOR
        if not (is_factor and 0 <= new.price_per_sm3 <= MAX_PRICE):
            raise OutOfRange(most=money.format_unit_price(MAX_PRICE))


def store(session: Session, new: NewPrice) -> None:
    """Store a price: over the one that it replaces, else over that of its day, else as a new one; or delete it.

    Raises Locked.
    """
    if new.is_gone:
        with refused_if_locked():
            session.execute(delete(GasPrice).where(GasPrice.id == new.price_id))
        return
    is_replaced = or_(GasPrice.id == new.price_id, GasPrice.effective_from == new.effective_from)
    rows = select(GasPrice).where(GasPrice.customer_id == new.customer_id, is_replaced)
    stored = session.scalars(rows.order_by(GasPrice.id != new.price_id).with_for_update()).first()
    if stored is None:
        session.add(GasPrice(customer_id=new.customer_id, **new.values))
    else:
        for name, value in new.values.items():
            setattr(stored, name, value)
        records.bump_version(session, stored)
    with refused_if_locked():
        session.flush()
