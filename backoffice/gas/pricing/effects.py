"""The preview of new prices: every month that they change, before and after.

`now` is what every screen shows; `then` is computed by the figures' own definitions over the stored prices with the
new one laid over them. Nothing is written and no lock is taken, also for customers with months computed on read.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ... import figures
from ...base import table_of
from ...base.periods import Month
from ...customers.models import Customer
from ..figures import monthly
from ..models import PRICE_PARTS, GasPrice, MonthlyCustomerBalance
from ..queries import MONTHS

ZERO = Decimal(0)

Price = Mapping[str, Any]
"""A stored price, or one laid over it, as a row of a preview."""


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

    @property
    def values(self) -> dict[str, Any]:
        """Its columns of the stored price, beside the customer."""
        return {name: getattr(self, name) for name in PRICE_PARTS}

    @classmethod
    def gone(cls, price: GasPrice) -> "NewPrice":
        """The deletion of a stored price."""
        stored: dict[str, Any] = {name: getattr(price, name) for name in PRICE_PARTS}
        return cls(price.customer_id, **stored, price_id=price.id, is_gone=True)

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
    before: Price | None
    after: Price | None
    months: Sequence[MonthEffect]
    total: MonthEffect

    @property
    def is_same(self) -> bool:
        """Whether this price is stored already."""
        before = self.before
        return before is not None and all(before[n] == v for n, v in self.new.values.items())

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
    laid = {new.customer_id: _with(stored[new.customer_id], new) for new in wanted}
    months = select(MONTHS).where(MONTHS.c.customer_id == func.any(owners))
    now = _by_month(map(dict, session.execute(months).mappings()))
    # Laid over as kept up to date: the months of a customer without stored ones change alike.
    kept = [{"id": owner, "use_realtime_calculation": True} for owner in owners]
    rows: Any = {GasPrice: [row for prices in laid.values() for row in prices], Customer: kept}
    previewed = figures.preview(session, [monthly], rows, owners=owners)
    then = _by_month(
        {"customer_id": customer_id, "year_month": month, **row}
        for (customer_id, month), row in previewed.rows(MonthlyCustomerBalance).items()
    )
    return [
        _effect(new, stored[of], laid[of], now[of], then[of])
        for of, new in ((new.customer_id, new) for new in wanted)
    ]


def _effect(
    new: NewPrice,
    stored: Sequence[Price],
    laid: Sequence[Price],
    now: Mapping[str, MonthAmounts],
    then: Mapping[str, MonthAmounts],
) -> PriceEffect:
    none = MonthAmounts()
    rows = (MonthEffect(m, now.get(m, none), then.get(m, none)) for m in sorted({*now, *then}))
    changed = [row for row in rows if row.now != row.then]
    total = MonthEffect(
        "", _summed([row.now for row in changed]), _summed([row.then for row in changed])
    )
    before, after = (_in_force(prices, new.effective_from) for prices in (stored, laid))
    return PriceEffect(new, before, after, changed, total)


def _summed(amounts: Sequence[MonthAmounts]) -> MonthAmounts:
    """The total volumes and purchases, and the balance after the last month."""
    return MonthAmounts(
        sum((a.volume for a in amounts), ZERO),
        sum((a.purchases for a in amounts), ZERO),
        amounts[-1].closing if amounts else ZERO,
        sum(a.unpriced for a in amounts),
    )


def _in_force(prices: Sequence[Price], day: date) -> Price | None:
    """The one of a customer's prices that is in force on a day; None before the first."""
    begun = (price for price in prices if price["effective_from"] <= day)
    return max(begun, key=lambda price: price["effective_from"], default=None)


def _with(stored: Sequence[Price], new: NewPrice) -> list[Price]:
    """A customer's prices once the new one is stored, or gone."""
    kept = [
        p for p in stored
        if p["id"] != new.price_id and p["effective_from"] != new.effective_from
    ]  # fmt: skip
    if new.is_gone:
        return kept
    replaced = {price["id"] for price in stored} - {price["id"] for price in kept}
    row_id = min(replaced, default=-new.customer_id)
    return [*kept, {"id": row_id, "customer_id": new.customer_id, **new.values}]


def _stored(session: Session, owners: Sequence[int]) -> dict[int, list[Price]]:
    """Every price by customer, as rows for a preview."""
    found: dict[int, list[Price]] = defaultdict(list)
    rows = select(table_of(GasPrice)).where(GasPrice.customer_id == func.any(owners))
    for row in map(dict, session.execute(rows).mappings()):
        found[row["customer_id"]].append(row)
    return found


def _by_month(rows: Iterable[Mapping[str, Any]]) -> dict[int, dict[str, MonthAmounts]]:
    """Customer → month → its amounts."""
    found: dict[int, dict[str, MonthAmounts]] = defaultdict(dict)
    for row in rows:
        found[row["customer_id"]][row["year_month"]] = MonthAmounts(
            row["total_volume_sm3"], row["total_purchases"], row["closing_balance"],
            row["calculation_details"]["unpriced"],
        )  # fmt: skip
    return found
