"""A shape modelled on gas: readings are priced by date, and a customer's balance runs from month to month."""

from collections import defaultdict
from collections.abc import Callable
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import (
    BigInteger,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Numeric,
    Select,
    UniqueConstraint,
    cast,
    func,
    literal,
    select,
    union_all,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from backoffice.base import Id
from backoffice.base.money import Money, Quantity, UnitPrice, rounded
from backoffice.figures import Last, Registry, total

from .shapes import Facts, Rendered, Shape

D = Decimal


class Base(DeclarativeBase):
    """Tables of this shape only."""


def _kept() -> Any:
    return mapped_column(server_default="0", default=D(0))


def month_of(day: Any) -> Any:
    """The first of the day's month."""
    return cast(func.date_trunc("month", cast(day, DateTime)), Date)


class Customer(Base):
    """The owner of all rows of this shape."""

    __tablename__ = "shape_customers"
    id: Mapped[Id]
    balance: Mapped[Money] = _kept()


class Reading(Base):
    """A meter's reading on a day, in m³."""

    __tablename__ = "shape_readings"
    __table_args__ = (Index("ix_shape_readings", "customer_id", "read_on"),)
    id: Mapped[Id]
    customer_id: Mapped[int] = mapped_column(ForeignKey(Customer.id))
    read_on: Mapped[date]
    volume: Mapped[Quantity]


class Price(Base):
    """A customer's price from a day on; of two of one day, the later entered applies."""

    __tablename__ = "shape_prices"
    __table_args__ = (Index("ix_shape_prices", "customer_id", "effective_from"),)
    id: Mapped[Id]
    customer_id: Mapped[int] = mapped_column(ForeignKey(Customer.id))
    effective_from: Mapped[date]
    price: Mapped[UnitPrice]
    factor: Mapped[Decimal] = mapped_column(Numeric(15, 6))


class Deposit(Base):
    """A customer's advance payment."""

    __tablename__ = "shape_deposits"
    __table_args__ = (Index("ix_shape_deposits", "customer_id", "deposited_on"),)
    id: Mapped[Id]
    customer_id: Mapped[int] = mapped_column(ForeignKey(Customer.id))
    deposited_on: Mapped[date]
    amount: Mapped[Money]


class Calculation(Base):
    """Derived rows: a reading at the price of its day; none before the first price."""

    __tablename__ = "shape_calculations"
    __table_args__ = (
        UniqueConstraint("customer_id", "reading_id"),
        Index("ix_shape_calculations", "customer_id", "dated"),
    )
    id: Mapped[Id]
    customer_id: Mapped[int] = mapped_column(ForeignKey(Customer.id))
    reading_id: Mapped[int] = mapped_column(ForeignKey(Reading.id, ondelete="CASCADE"), index=True)
    dated: Mapped[date]
    price_id: Mapped[int] = mapped_column(BigInteger)
    volume_sm3: Mapped[Quantity]
    total: Mapped[Money]


class Month(Base):
    """Derived rows: a month with movements; its opening balance is the closing balance of the one before."""

    __tablename__ = "shape_months"
    __table_args__ = (UniqueConstraint("customer_id", "month"),)
    id: Mapped[Id]
    customer_id: Mapped[int] = mapped_column(ForeignKey(Customer.id))
    month: Mapped[date]
    opening: Mapped[Money]
    deposits: Mapped[Money]
    purchases: Mapped[Money]
    closing: Mapped[Money]


# Months run by month, so a continuation looks up the rows of a month and later.
Index("ix_shape_calculations_month", Calculation.customer_id, month_of(Calculation.dated))
Index("ix_shape_deposits_month", Deposit.customer_id, month_of(Deposit.deposited_on))


registry = Registry("gas")


def priced(readings: Any = Reading, prices: Any = Price) -> Select[Any]:
    """Each reading with the price that applies on its day."""
    until = func.lead(prices.c.effective_from).over(
        partition_by=prices.c.customer_id, order_by=(prices.c.effective_from, prices.c.id)
    )
    period = select(*prices.c, until.label("until")).subquery()
    volume = func.round(readings.c.volume * period.c.factor, 3, type_=Numeric(15, 3))
    is_of_the_day = (
        (period.c.customer_id == readings.c.customer_id)
        & (period.c.effective_from <= readings.c.read_on)
        & (period.c.until.is_(None) | (readings.c.read_on < period.c.until))
    )
    return select(
        readings.c.customer_id,
        readings.c.id.label("reading_id"),
        readings.c.read_on.label("dated"),
        period.c.id.label("price_id"),
        volume.label("volume_sm3"),
        rounded(volume * period.c.price).label("total"),
    ).join_from(readings, period, is_of_the_day)


calculation = registry.figure(
    columns=(Calculation.dated, Calculation.price_id, Calculation.volume_sm3, Calculation.total),
    row_per=(Calculation.customer_id, Calculation.reading_id),
    owner=Calculation.customer_id,
    along=Calculation.dated,
    since={Reading: Reading.read_on},
    looked_up={Price: Price.effective_from},
    name="calculations",
    title="Price of a reading",
)(priced)


def _deposited(when: Callable[[Any], Any]) -> Any:
    """The deposits of the months that `when` selects."""
    where = when(month_of(Deposit.deposited_on))
    return total(Deposit.amount, by=Deposit.customer_id, where=where, title="Deposits")


def _used(when: Callable[[Any], Any]) -> Any:
    where = when(month_of(Calculation.dated))
    return total(Calculation.total, by=Calculation.customer_id, where=where, title="Purchases")


def _moved(when: Callable[[Any], Any]) -> Any:
    return func.coalesce(_deposited(when), 0) - func.coalesce(_used(when), 0)


@registry.figure(
    columns=(Month.opening, Month.deposits, Month.purchases, Month.closing),
    row_per=(Month.customer_id, Month.month),
    owner=Month.customer_id,
    along=Month.month,
    since={
        Calculation: month_of(Calculation.dated),
        Deposit: month_of(Deposit.deposited_on),
    },
    name="months",
    title="Monthly balance",
    behind={
        Month.opening: _moved(lambda month: month < Month.month),
        Month.deposits: _deposited(lambda month: month == Month.month),
        Month.purchases: _used(lambda month: month == Month.month),
        Month.closing: Month.opening + Month.deposits - Month.purchases,
    },
)
def monthly(
    calculations: Any = Calculation, deposits: Any = Deposit, last: Any = Last(Month)
) -> Select[Any]:
    """The deposits and usage of each month, and the balance before and after."""
    nothing = literal(D(0), Numeric(15, 2))
    moves = union_all(
        select(
            calculations.c.customer_id,
            month_of(calculations.c.dated).label("month"),
            nothing.label("deposit"),
            calculations.c.total.label("purchase"),
        ),
        select(
            deposits.c.customer_id, month_of(deposits.c.deposited_on), deposits.c.amount, nothing
        ),
    ).subquery()
    key = (moves.c.customer_id, moves.c.month)
    deposit, purchase = func.sum(moves.c.deposit), func.sum(moves.c.purchase)
    sums = (
        select(*key, deposit.label("deposits"), purchase.label("purchases"))
        .group_by(*key)
        .subquery()
    )
    moved = sums.c.deposits - sums.c.purchases
    until = func.sum(moved).over(partition_by=sums.c.customer_id, order_by=sums.c.month)
    closing = func.coalesce(last.c.closing, 0) + until
    return select(
        *sums.c, (closing - moved).label("opening"), closing.label("closing")
    ).select_from(sums.outerjoin(last, last.c.customer_id == sums.c.customer_id))


balance = registry.figure(
    Customer.balance,
    func.coalesce(total(Deposit.amount, by=Deposit.customer_id), 0)
    - func.coalesce(total(Calculation.total, by=Calculation.customer_id), 0),
    title="Balance",
    incremental=True,
)


# The oracle in Python


def _at(value: Decimal, digits: int) -> Decimal:
    return value.quantize(D(1).scaleb(-digits), ROUND_HALF_UP)


def oracle(facts: Facts) -> Rendered:
    """Every figure of gas."""
    calculations, moves = {}, defaultdict(lambda: (D(0), D(0)))
    for reading in facts[Reading]:
        customer, day = reading["customer_id"], reading["read_on"]
        held = [
            (p["effective_from"], p["id"], p["price"], p["factor"])
            for p in facts[Price]
            if p["customer_id"] == customer and p["effective_from"] <= day
        ]
        if not held:
            continue
        _, price_id, price, factor = max(held)
        volume = _at(reading["volume"] * factor, 3)
        amount = _at(volume * price, 2)
        calculations[customer, reading["id"]] = (day, price_id, volume, amount)
        deposited, used = moves[customer, day.replace(day=1)]
        moves[customer, day.replace(day=1)] = deposited, used + amount
    for row in facts[Deposit]:
        key = row["customer_id"], row["deposited_on"].replace(day=1)
        deposited, used = moves[key]
        moves[key] = deposited + row["amount"], used
    balances, months = {(row["id"],): (D(0),) for row in facts[Customer]}, {}
    for (customer, month), (deposited, used) in sorted(moves.items()):
        [opening] = balances[customer,]
        closing = opening + deposited - used
        months[customer, month] = opening, deposited, used, closing
        balances[customer,] = (closing,)
    return {"calculations": calculations, "months": months, balance.name: balances}


CUSTOMERS = st.integers(1, 3)
DAYS = st.integers(0, 130).map(lambda days: date(2024, 1, 15) + timedelta(days))


def book() -> list[Any]:
    """Two customers over three months; one has two prices, and a reading before the first."""
    first, second = date(2024, 1, 20), date(2024, 3, 5)
    return [
        Price(customer_id=1, effective_from=first, price=D("10500.1234"), factor=D("1.012345")),
        Price(customer_id=1, effective_from=second, price=D("11000.5"), factor=D("0.98")),
        Price(customer_id=2, effective_from=first, price=D(7), factor=D(1)),
        *(
            Reading(customer_id=customer, read_on=day, volume=D("12.345"))
            for customer in (1, 2)
            for day in (date(2024, 1, 19), first, date(2024, 2, 29), second)
        ),
        Deposit(customer_id=1, deposited_on=date(2024, 2, 1), amount=D("1000000.5")),
        Deposit(customer_id=1, deposited_on=date(2024, 4, 1), amount=D(-3)),
        Deposit(customer_id=2, deposited_on=date(2023, 12, 31), amount=D(5)),
    ]


GAS = Shape(
    name="gas",
    base=Base,
    registry=registry,
    oracle=oracle,
    entered={
        Reading: {
            "customer_id": CUSTOMERS, "read_on": DAYS, "volume": st.decimals(0, 9999, places=3),
        },
        Price: {
            "customer_id": CUSTOMERS, "effective_from": DAYS,
            "price": st.decimals(0, 99999, places=4),
            "factor": st.decimals("0.8", "1.2", places=6),
        },
        Deposit: {
            "customer_id": CUSTOMERS, "deposited_on": DAYS,
            "amount": st.decimals(-9999999, 9999999, places=2),
        },
    },
    first=lambda: (Customer() for _ in range(3)),
    book=book,
)  # fmt: skip
