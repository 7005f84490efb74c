"""The preview of new prices: every month that they change, before and after.

`now` is what every screen shows; `then` is computed by the figures' own definitions over the stored prices with the
new one laid over them. Nothing is written and no lock is taken, also for customers with months computed on read.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ... import figures
from ...base.periods import Month
from ...customers.models import Customer
from ..figures import monthly
from ..models import GasPrice, MonthlyCustomerBalance
from ..queries import MONTHS

ZERO = Decimal(0)


@dataclass(frozen=True)
class NewPrice:
    """A customer's new price per standard cubic metre and correction factor from a day on.

    `price_id` is the stored price that it replaces; without it the one of that day, if there is one. With `is_gone`
    that price is deleted.
    """

    customer_id: int
    effective_from: date
    price_per_sm3: Decimal
    correction_factor: Decimal
    price_id: int | None = None
    is_gone: bool = False

    @classmethod
    def gone(cls, price: GasPrice) -> "NewPrice":
        """The deletion of a stored price."""
        amounts = price.price_per_sm3, price.correction_factor
        return cls(price.customer_id, price.effective_from, *amounts, price.id, is_gone=True)

    @property
    def as_json(self) -> list[Any]:
        """The JSON for the scope of a run; `of_json` parses it."""
        amounts = str(self.price_per_sm3), str(self.correction_factor)
        stored = self.price_id, self.is_gone
        return [self.customer_id, self.effective_from.isoformat(), *amounts, *stored]

    @classmethod
    def of_json(cls, reported: Sequence[Any]) -> "NewPrice":
        """Parse what `as_json` wrote."""
        customer_id, day, price, factor, *stored = reported
        return cls(customer_id, date.fromisoformat(day), Decimal(price), Decimal(factor), *stored)


@dataclass(frozen=True)
class MonthAmounts:
    """The amounts of one or more months. `unpriced` counts the readings that are in none of them."""

    volume: Decimal = ZERO
    purchases: Decimal = ZERO
    closing: Decimal = ZERO
    unpriced: int = 0


@dataclass(frozen=True)
class MonthEffect:
    """A month that the new price changes, before (`now`) and after (`then`)."""

    year_month: str
    now: MonthAmounts
    then: MonthAmounts

    @property
    def month(self) -> date:
        """Its first day."""
        return Month.parse(self.year_month).first

    @property
    def difference(self) -> Decimal:
        """The change of its closing balance."""
        return self.then.closing - self.now.closing

    @property
    def lost(self) -> int:
        """How many of its readings lose their price."""
        return max(self.then.unpriced - self.now.unpriced, 0)


@dataclass(frozen=True)
class PriceEffect:
    """What a new price changes for a customer.

    `before` and `after` are the prices in force on its day before and after the change. `total` is the effect over all
    changed months: their total volumes and purchases, and the balance after the last of them.
    """

    new: NewPrice
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    months: Sequence[MonthEffect]
    total: MonthEffect

    @property
    def is_same(self) -> bool:
        """Whether this price is stored already."""
        names = ("effective_from", "price_per_sm3", "correction_factor")
        before = self.before
        return before is not None and all(before[n] == getattr(self.new, n) for n in names)

    @property
    def becoming(self) -> Sequence[MonthEffect]:
        """Months that become incomplete: readings in them lose their price."""
        return [month for month in self.months if month.then.unpriced and not month.now.unpriced]

    @property
    def staying(self) -> Sequence[MonthEffect]:
        """Months that stay incomplete: readings in them still have no price."""
        return [month for month in self.months if month.then.unpriced and month.now.unpriced]


def effect_of(session: Session, new: NewPrice) -> PriceEffect:
    """What a new price changes for its customer."""
    return effects_of(session, [new])[0]


def effects_of(session: Session, wanted: Sequence[NewPrice]) -> list[PriceEffect]:
    """What each of these prices changes; at most one per customer."""
    owners = sorted({new.customer_id for new in wanted})
    stored = _stored(session, owners)
    now = _months_now(session, owners)
    laid = {new.customer_id: _with(stored[new.customer_id], new) for new in wanted}
    then = _months(session, owners, [row for rows in laid.values() for row in rows])
    return [
        _effect(
            new, (stored[new.customer_id], laid[new.customer_id]), now[new.customer_id], then[new.customer_id]
        )
        for new in wanted
    ]  # fmt: skip


def _effect(
    new: NewPrice,
    prices: Iterable[Iterable[Mapping[str, Any]]],
    now: Mapping[str, MonthAmounts],
    then: Mapping[str, MonthAmounts],
) -> PriceEffect:
    every = sorted({*now, *then})
    none = MonthAmounts()
    rows = [MonthEffect(month, now.get(month, none), then.get(month, none)) for month in every]
    changed = [row for row in rows if row.now != row.then]
    total = MonthEffect(
        "", _summed(row.now for row in changed), _summed(row.then for row in changed)
    )
    before, after = (in_force(side, new.effective_from) for side in prices)
    return PriceEffect(new, before, after, changed, total)


def _summed(amounts: Iterable[MonthAmounts]) -> MonthAmounts:
    """The total volumes and purchases, and the balance after the last month."""
    each = list(amounts)
    if not each:
        return MonthAmounts()
    return MonthAmounts(
        sum((a.volume for a in each), ZERO),
        sum((a.purchases for a in each), ZERO),
        each[-1].closing,
        sum(a.unpriced for a in each),
    )


def in_force(prices: Iterable[Mapping[str, Any]], day: date) -> Mapping[str, Any] | None:
    """The one of a customer's prices that is in force on a day; None before the first."""
    begun = [price for price in prices if price["effective_from"] <= day]
    return max(begun, key=lambda price: price["effective_from"], default=None)


def _with(stored: Sequence[Mapping[str, Any]], new: NewPrice) -> list[Mapping[str, Any]]:
    """A customer's prices once the new one is stored."""
    names = [field.name for field in fields(new) if field.name not in ("price_id", "is_gone")]
    row = {name: getattr(new, name) for name in names}
    replaced = {price["id"] for price in stored if price["id"] == new.price_id}
    replaced |= {p["id"] for p in stored if p["effective_from"] == new.effective_from}
    kept = [price for price in stored if price["id"] not in replaced]
    if new.is_gone:
        return kept
    return [*kept, {"id": min(replaced, default=-new.customer_id), **row}]


def _stored(session: Session, owners: Collection[int]) -> dict[int, list[Mapping[str, Any]]]:
    """Every price by customer, as rows for a preview."""
    columns = (
        GasPrice.id, GasPrice.customer_id, GasPrice.effective_from,
        GasPrice.price_per_sm3, GasPrice.correction_factor,
    )  # fmt: skip
    found: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    stored = select(*columns).where(GasPrice.customer_id == func.any(list(owners)))
    for row in session.execute(stored.order_by(GasPrice.effective_from)).mappings():
        found[row["customer_id"]].append(dict(row))
    return found


def _months_now(session: Session, owners: Sequence[int]) -> dict[int, dict[str, MonthAmounts]]:
    """Customer → month → its current amounts."""
    rows = select(MONTHS).where(MONTHS.c.customer_id == func.any(list(owners)))
    found: dict[int, dict[str, MonthAmounts]] = defaultdict(dict)
    for row in map(dict, session.execute(rows).mappings()):
        found[row["customer_id"]][row["year_month"]] = _amounts(row)
    return found


def _months(
    session: Session, owners: Sequence[int], prices: Sequence[Mapping[str, Any]]
) -> dict[int, dict[str, MonthAmounts]]:
    """Customer → month → its amounts at these prices, whether the customer's months are stored or not."""
    customers = [{"id": owner, "use_realtime_calculation": True} for owner in owners]
    rows = {GasPrice: prices, Customer: customers}
    previewed = figures.preview(session, [monthly], rows, owners=owners)
    found: dict[int, dict[str, MonthAmounts]] = defaultdict(dict)
    for (customer_id, month), row in previewed.rows(MonthlyCustomerBalance).items():
        found[customer_id][month] = _amounts(row)
    return found


def _amounts(row: Mapping[str, Any]) -> MonthAmounts:
    return MonthAmounts(
        row["total_volume_sm3"],
        row["total_purchases"],
        row["closing_balance"],
        row["calculation_details"]["unpriced"],
    )
