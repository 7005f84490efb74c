"""The figures of gas: the price of each reading at the price of its day, and the running monthly balance of deposits.

A customer without real-time calculation has no stored rows: `queries` runs the same SELECTs on read. After a change,
readings are recomputed from its day on, and months from its month on.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    Date,
    Integer,
    Numeric,
    Select,
    Text,
    cast,
    func,
    literal,
    null,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB

from ..base import N_
from ..base.money import rounded
from ..book.queries import LAST_LOCKED
from ..customers.models import Customer
from ..figures import Last, figure, total
from .models import (
    AcceptedMonth,
    Deposit,
    GasPrice,
    MonthlyCustomerBalance,
    Reading,
    TransactionCalculation,
)
from .rules import month_of

A, C, M = AcceptedMonth, TransactionCalculation, MonthlyCustomerBalance


def _object(**parts: Any) -> Any:
    """A JSON object; amounts are passed as text."""
    pairs = [part for name, value in parts.items() for part in (cast(name, Text), value)]
    return func.jsonb_build_object(*pairs, type_=JSONB)


def _is_stored(rows: Any) -> Any:
    """Whether the customer of a row has stored rows: none of a customer without real-time calculation, of any month."""
    return rows.c.customer_id.in_(select(Customer.id).where(Customer.use_realtime_calculation))


def _is_unaccepted(rows: Any) -> Any:
    """Whether a row is of a closed month without accepted differences."""
    is_accepted = (A.customer_id == rows.c.customer_id) & (A.year_month == rows.c.year_month)
    return is_closed(rows) & ~select(A.id).where(is_accepted).exists()


def is_closed(rows: Any) -> Any:
    """Of a month of which every day is locked."""
    first_open = month_of(cast(LAST_LOCKED, Date) + literal(1, Integer))
    return (rows.c.year_month < first_open) & _is_stored(rows)


@figure(
    name="transaction_calculations.total_price",
    title=N_("Price of a reading"),
    columns=(
        C.year_month, C.transaction_date, C.metered_volume, C.correction_factor, C.volume_sm3,
        C.price_per_sm3, C.total_price, C.pricing_used,
    ),
    row_per=(C.customer_id, C.reading_id),
    owner=C.customer_id,
    along=C.transaction_date,
    since={Reading: Reading.read_on},
    looked_up={GasPrice: GasPrice.effective_from},
    locked=_is_unaccepted,
    formula=N_("The metered volume at the correction factor and the price in force on its day"),
    formulas={
        C.volume_sm3: N_("Metered volume × Correction factor, rounded half away from zero to three decimals"),
        C.total_price: N_(
            "Volume Sm³ × Price per Sm³, rounded half away from zero to the currency's smallest unit"
        ),
    },
    behind={
        C.volume_sm3: func.round(C.metered_volume * C.correction_factor, 3),
        C.total_price: rounded(C.volume_sm3 * C.price_per_sm3),
    },
)  # fmt: skip
def calculation(
    readings: Any = Reading, prices: Any = GasPrice, customers: Any = Customer
) -> Select[Any]:
    """Each reading at the price in force on its day; readings before the first price are left out."""
    until = func.lead(prices.c.effective_from).over(
        partition_by=prices.c.customer_id, order_by=prices.c.effective_from
    )
    period = select(*prices.c, until.label("until")).subquery()
    volume = func.round(
        readings.c.metered_volume * period.c.correction_factor, 3, type_=Numeric(15, 3)
    )
    is_of_the_day = (
        (period.c.customer_id == readings.c.customer_id)
        & (period.c.effective_from <= readings.c.read_on)
        & (period.c.until.is_(None) | (readings.c.read_on < period.c.until))
    )
    used = _object(
        effective_from=period.c.effective_from,
        price_per_sm3=cast(period.c.price_per_sm3, Text),
        correction_factor=cast(period.c.correction_factor, Text),
    )
    return (
        select(
            readings.c.customer_id,
            readings.c.id.label("reading_id"),
            month_of(readings.c.read_on).label("year_month"),
            readings.c.read_on.label("transaction_date"),
            readings.c.metered_volume,
            period.c.correction_factor,
            volume.label("volume_sm3"),
            period.c.price_per_sm3,
            rounded(volume * period.c.price_per_sm3).label("total_price"),
            used.label("pricing_used"),
        )
        .join_from(readings, period, is_of_the_day)
        .join(customers, customers.c.id == readings.c.customer_id)
        .where(customers.c.use_realtime_calculation)
    )


def _deposited(when: Callable[[Any], Any]) -> Any:
    """The deposits of the months selected by `when`."""
    where = when(month_of(Deposit.deposited_on))
    return total(Deposit.amount, by=Deposit.customer_id, where=where, title=N_("Deposits"))


def _drawn(column: Any, title: str, when: Callable[[Any], Any]) -> Any:
    return total(column, by=C.customer_id, where=when(C.year_month), title=title)


def _is_same(month: Any) -> Any:
    return month == M.year_month


_NONE, _NOTHING = literal(0, Integer), literal(0, Numeric(15, 3))
_PARTS = {
    "deposit": _NOTHING, "purchase": _NOTHING, "volume": _NOTHING,
    "deposits": _NONE, "read": _NONE, "priced": _NONE, "apart": _NOTHING, "opening": _NOTHING,
}  # fmt: skip
"""The parts of a month's sums: amounts, counts of rows by kind, and accepted differences of its balances."""


def _accepted_difference(of: Any) -> Any:
    """The accepted difference of a closing balance that its deposits and purchases do not explain."""
    return of.closing_balance - of.total_deposits + of.total_purchases


def _accepted(amount: Any, when: Callable[[Any], Any]) -> Any:
    """The accepted amounts of the months selected by `when`."""
    found = total(
        amount, by=A.customer_id, where=when(A.year_month), title=N_("Accepted differences")
    )
    return func.coalesce(found, 0)


def _moved_in(customer: Any, month: Any, said: Any = None, **amounts: Any) -> Select[Any]:
    """The sums of one source by customer and month, aggregated before the union so that it stays small."""
    given = {"said": cast(null() if said is None else said, Text), **amounts}
    rows = select(
        customer, month.label("year_month"), *(value.label(name) for name, value in given.items())
    ).subquery()
    parts: dict[str, Any] = {**_PARTS, **{name: func.sum(rows.c[name]) for name in amounts}}
    parts["said"] = func.max(rows.c.said)
    key = rows.c.customer_id, rows.c.year_month
    return select(*key, *(value.label(name) for name, value in parts.items())).group_by(*key)


def _moves(calculations: Any, deposits: Any, readings: Any, accepted: Any) -> Any:
    """All movements by customer and month, with their parts."""
    one = literal(1, Integer)
    return union_all(
        _moved_in(
            calculations.c.customer_id, calculations.c.year_month,
            purchase=calculations.c.total_price, volume=calculations.c.volume_sm3, priced=one,
        ),
        _moved_in(
            deposits.c.customer_id, month_of(deposits.c.deposited_on),
            deposit=deposits.c.amount, deposits=one,
        ),
        _moved_in(readings.c.customer_id, month_of(readings.c.read_on), read=one),
        _moved_in(
            accepted.c.customer_id, accepted.c.year_month, accepted.c.calculation_details,
            deposit=accepted.c.total_deposits, purchase=accepted.c.total_purchases,
            volume=accepted.c.total_volume_sm3, apart=_accepted_difference(accepted.c),
            opening=accepted.c.opening_balance,
        ),
    ).subquery()  # fmt: skip


@figure(
    name="monthly_customer_balances.closing_balance",
    title=N_("Monthly balance"),
    columns=(
        M.opening_balance, M.total_deposits, M.total_purchases, M.closing_balance,
        M.total_volume_sm3, M.calculation_details,
    ),
    leading=M.closing_balance,
    row_per=(M.customer_id, M.year_month),
    owner=M.customer_id,
    along=M.year_month,
    since={
        C: C.year_month,
        Deposit: month_of(Deposit.deposited_on),
        Reading: month_of(Reading.read_on),
        A: A.year_month,
    },
    locked=is_closed,
    formula=N_("Opening balance + Deposits − Purchases"),
    formulas={
        M.opening_balance: N_("The closing balance of the month before"),
        M.total_deposits: N_("The deposits of the month"),
        M.total_purchases: N_("The priced readings of the month"),
        M.total_volume_sm3: N_("The volumes of the priced readings of the month"),
    },
    continues={M.opening_balance: M.closing_balance},
    behind={
        M.opening_balance: _accepted(A.opening_balance, _is_same),
        M.total_deposits: func.coalesce(_deposited(_is_same), 0) + _accepted(A.total_deposits, _is_same),
        M.total_purchases: func.coalesce(_drawn(C.total_price, N_("Purchases"), _is_same), 0)
        + _accepted(A.total_purchases, _is_same),
        M.closing_balance: M.opening_balance + M.total_deposits - M.total_purchases
        + _accepted(_accepted_difference(A) - A.opening_balance, _is_same),
        M.total_volume_sm3: func.coalesce(_drawn(C.volume_sm3, N_("Volume Sm³"), _is_same), 0)
        + _accepted(A.total_volume_sm3, _is_same),
    },
)  # fmt: skip
def monthly(
    calculations: Any = C,
    deposits: Any = Deposit,
    readings: Any = Reading,
    customers: Any = Customer,
    accepted: Any = A,
    last: Any = Last(M),
) -> Select[Any]:
    """The deposits and purchases of each month with a movement, and the balance running from the month before."""
    moves = _moves(calculations, deposits, readings, accepted)
    key = (moves.c.customer_id, moves.c.year_month)
    said = func.max(moves.c.said).label("said")
    sums = (
        select(*key, *(func.sum(moves.c[name]).label(name) for name in _PARTS), said)
        .join_from(moves, customers, customers.c.id == moves.c.customer_id)
        .where(customers.c.use_realtime_calculation)
        .group_by(*key)
        .subquery()
    )
    change = sums.c.deposit - sums.c.purchase + sums.c.apart
    until = func.sum(change).over(partition_by=sums.c.customer_id, order_by=sums.c.year_month)
    closing = func.coalesce(last.c.closing_balance, 0) + until
    details = _object(
        readings=sums.c.read, unpriced=sums.c.read - sums.c.priced, deposits=sums.c.deposits
    )
    return select(
        sums.c.customer_id,
        sums.c.year_month,
        (closing - change + sums.c.opening).label("opening_balance"),
        sums.c.deposit.label("total_deposits"),
        sums.c.purchase.label("total_purchases"),
        closing.label("closing_balance"),
        sums.c.volume.label("total_volume_sm3"),
        func.coalesce(cast(sums.c.said, JSONB), details).label("calculation_details"),
    ).select_from(sums.outerjoin(last, last.c.customer_id == sums.c.customer_id))


GAS_FIGURES = (calculation, monthly)
"""Every derived figure of gas; the last one is the balance of a customer's deposits."""
