"""Reads of calculated readings and months: stored for customers with real-time calculation, else computed on read.

`CALCULATIONS` and `MONTHS` cover every customer: the stored rows, and the figures' own SELECTs over the facts of
customers without stored rows. A month without movement has no row; a statement shows the closing balance before it.
"""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Date,
    DateTime,
    FromClause,
    Numeric,
    Select,
    Subquery,
    Table,
    Text,
    case,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    true,
    union,
    union_all,
)
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from ..base import table_of
from ..base.periods import LAST_DAY, Month
from ..customers.models import Customer
from ..drift.models import DriftFinding
from .figures import calculation, is_closed, monthly
from .models import (
    AcceptedMonth,
    Deposit,
    GasPrice,
    MonthlyCustomerBalance,
    Reading,
    TransactionCalculation,
)
from .rules import month_of

_COMPUTED = select(Customer.id).where(~Customer.use_realtime_calculation)
"""The customers who are calculated on read."""

_AS_STORED = (
    select(Customer.id, literal(True, Boolean).label("use_realtime_calculation"))
    .where(~Customer.use_realtime_calculation)
    .subquery()
)


def _of_computed(model: Any) -> Subquery:
    return select(model.__table__).where(model.customer_id.in_(_COMPUTED)).subquery()


def _stored_and_computed(model: Any, computed: FromClause, moment: str, name: str) -> Subquery:
    """The stored rows of the model and the computed ones, which have NULL as id and moment."""
    absent: dict[str, Any] = {
        "id": cast(null(), BigInteger),
        moment: cast(null(), DateTime(timezone=True)),
    }
    columns = [column.key for column in model.__table__.c]
    return union_all(
        select(model.__table__),
        select(
            *(absent[key] if key in absent else _as_held(computed.c[key], model) for key in columns)
        ),
    ).subquery(name)


def _as_held(value: Any, model: Any) -> Any:
    """A computed number with the decimals of its column, so that it is formatted like a stored one."""
    type_ = model.__table__.c[value.key].type
    return cast(value, type_) if isinstance(type_, Numeric) else value


def _computed(figure: Any, *relations: FromClause) -> Subquery:
    """A figure's rows computed over these relations instead of its sources."""
    rows: Select[Any] = figure.select(*relations)
    return rows.subquery()


_READINGS = _of_computed(Reading)
_PRICED = _computed(calculation, _READINGS, _of_computed(GasPrice), _AS_STORED)
_MONTHS = _computed(
    monthly, _PRICED, _of_computed(Deposit), _READINGS, _AS_STORED, _of_computed(AcceptedMonth)
)

CALCULATIONS = _stored_and_computed(
    TransactionCalculation, _PRICED, "calculated_at", "calculations"
)
MONTHS = _stored_and_computed(MonthlyCustomerBalance, _MONTHS, "last_calculated_at", "months")


def as_if_stored(customer_id: int) -> dict[Table, Subquery]:
    """The computed rows of a customer without stored ones, and the customer, as if stored; their ids are made up."""
    month = cast(func.replace(MONTHS.c.year_month, "-", ""), BigInteger)
    laid = (
        (TransactionCalculation, CALCULATIONS, "id", CALCULATIONS.c.reading_id, "customer_id"),
        (MonthlyCustomerBalance, MONTHS, "id", month, "customer_id"),
        (Customer, Customer.__table__, "use_realtime_calculation", literal(True, Boolean), "id"),
    )
    return {
        table_of(model): select(*(value.label(name) if c.key == name else c for c in rows.c))
        .where(rows.c[owner] == customer_id)
        .subquery()
        for model, rows, name, value, owner in laid
    }  # fmt: skip


def is_adjusting() -> Any:
    """The condition that a deposit reverses accepted differences of closed months: no money is moved by it."""
    return select(AcceptedMonth.id).where(AcceptedMonth.deposit_id == Deposit.id).exists()


def is_unpriced() -> Any:
    """The condition that no price was in force on a reading's day."""
    held = select(GasPrice.id).where(
        GasPrice.customer_id == Reading.customer_id, GasPrice.effective_from <= Reading.read_on
    )
    return ~held.exists()


def unpriced(session: Session, last: date = LAST_DAY) -> int:
    """How many readings until `last` have no price: those before the first price of their customer."""
    first = (
        select(func.min(GasPrice.effective_from))
        .where(GasPrice.customer_id == Customer.id)
        .scalar_subquery()
    )
    has_read = select(Reading.id).where(Reading.customer_id == Customer.id).exists()
    owners = select(Customer.id, first.label("first")).where(has_read).subquery()
    until = func.coalesce(owners.c.first, cast("infinity", Date))
    before = select(func.count()).where(
        Reading.customer_id == owners.c.id, Reading.read_on < until, Reading.read_on <= last
    )
    total = select(func.coalesce(func.sum(before.scalar_subquery()), 0)).select_from(owners)
    return int(session.scalar(total) or 0)


def calculations_for(session: Session, customer_id: int, month: Month) -> Sequence[Any]:
    """The priced readings of the customer's month, by day."""
    c = CALCULATIONS.c
    rows = select(CALCULATIONS).where(c.customer_id == customer_id, c.year_month == str(month))
    return session.execute(rows.order_by(c.transaction_date)).all()


def statement_of(customer_id: int) -> Subquery:
    """Every month of a customer from the first with a movement to the current one, with the columns of a month.

    A month without movement opens and closes with the closing balance before it; its `id` and `calculation_details` are
    NULL. Future months with a movement are included.
    """
    own = select(MONTHS).where(MONTHS.c.customer_id == customer_id).cte("mine").prefix_with(
        "MATERIALIZED", dialect="postgresql"
    )  # fmt: skip
    first, last = (
        func.to_date(select(edge).scalar_subquery(), "YYYY-MM")
        for edge in (
            func.min(own.c.year_month),
            func.greatest(func.max(own.c.year_month), str(Month.current())),
        )
    )
    days = func.generate_series(first, last, func.make_interval(0, 1)).column_valued("day")
    every = select(month_of(days).label("year_month")).subquery("every")
    return _as_of(every.c.year_month, own, every, true()).subquery("statement")


def months_in(month: Month) -> Subquery:
    """That month of every customer with a movement by then, with the columns of a month; see `statement_of`.

    A future month has only customers with a movement in it.
    """
    is_of_customer = MONTHS.c.customer_id == Customer.id
    if month > Month.current():
        is_of_customer &= MONTHS.c.year_month == str(month)
    return _as_of(literal(str(month)), MONTHS, Customer, is_of_customer).subquery("months_in")


def _as_of(month: Any, rows: FromClause, every: Any, is_of_customer: Any) -> Select[Any]:
    """The month for each row of `every`: its own among `rows`, else the closing balance of the last one before it."""
    last = (
        select(rows)
        .where(is_of_customer, rows.c.year_month <= month)
        .order_by(rows.c.year_month.desc())
        .limit(1)
        .lateral("last")
    )
    is_its = last.c.year_month == month
    otherwise: dict[str, Any] = {
        "opening_balance": last.c.closing_balance,
        **dict.fromkeys(("total_deposits", "total_purchases", "total_volume_sm3"), literal(0)),
    }
    kept = {
        "year_month": month,
        **{name: last.c[name] for name in ("customer_id", "closing_balance")},
    }
    columns = [
        kept.get(c.key, cast(case((is_its, c), else_=otherwise.get(c.key)), c.type)).label(c.key)
        for c in last.c
    ]
    return select(*columns).join_from(every, last, true())


def statement(session: Session, customer_id: int) -> Sequence[Any]:
    """The rows of `statement_of`, the first month first."""
    rows = statement_of(customer_id)
    return session.execute(select(rows).order_by(rows.c.year_month)).all()


def balance_of(session: Session, customer_id: int) -> Any:
    """The customer's gas balance now: the closing balance of their last month; None without one."""
    m = MONTHS.c
    last = (
        select(m.closing_balance).where(m.customer_id == customer_id).order_by(m.year_month.desc())
    )
    return session.scalar(last.limit(1))


# The readings and deposits of a month


def month_row(session: Session, customer: Customer, month: Month) -> Any:
    """A month of the customer's statement; None before the first, and for a future month."""
    rows = statement_of(customer.id)
    return session.execute(select(rows).where(rows.c.year_month == str(month))).one_or_none()


def priced_readings(
    session: Session, customer: Customer, month: Month
) -> list[tuple[Reading, Any]]:
    """The readings of a month by day, each with its calculation, stored or computed; None without a price."""
    of_month = Reading.customer_id == customer.id, month_of(Reading.read_on) == str(month)
    readings = session.scalars(select(Reading).where(*of_month).order_by(Reading.read_on)).all()
    priced = {row.reading_id: row for row in calculations_for(session, customer.id, month)}
    return [(reading, priced.get(reading.id)) for reading in readings]


def deposits_of(session: Session, customer: Customer, month: Month) -> Sequence[Deposit]:
    """The deposits of a month, by day."""
    of_month = Deposit.customer_id == customer.id, month_of(Deposit.deposited_on) == str(month)
    rows = select(Deposit).where(*of_month).order_by(Deposit.deposited_on, Deposit.id)
    return session.scalars(rows).all()


def prices_of(session: Session, customer: Customer) -> Sequence[GasPrice]:
    """Every price of the customer, the newest first."""
    rows = select(GasPrice).where(GasPrice.customer_id == customer.id)
    return session.scalars(rows.order_by(GasPrice.effective_from.desc())).all()


def has_rows(session: Session, customer_id: int, *models: Any) -> bool:
    """Whether the customer has a row of any of these models."""
    held = (select(model.id).where(model.customer_id == customer_id).exists() for model in models)
    return bool(session.scalar(select(or_(*held))))


def unpriced_of(session: Session, customer: Customer) -> int:
    """How many readings of the customer have no price."""
    count = select(func.count()).where(Reading.customer_id == customer.id, is_unpriced())
    return session.scalar(count) or 0


def prices_on(session: Session, customer_ids: Collection[int], day: date) -> dict[int, GasPrice]:
    """The price in force on a day, by customer; customers with only later prices are left out."""
    begun = select(GasPrice).where(
        GasPrice.customer_id == func.any(list(customer_ids)), GasPrice.effective_from <= day
    )
    newest = begun.order_by(GasPrice.customer_id, GasPrice.effective_from.desc())
    found = session.scalars(newest.ext(distinct_on(GasPrice.customer_id)))
    return {price.customer_id: price for price in found}


def price_on(session: Session, customer_id: int, day: date) -> GasPrice | None:
    """The price in force for a customer on a day; None before the first."""
    return prices_on(session, [customer_id], day).get(customer_id)


def counts(session: Session) -> dict[str, int]:
    """How many rows there are, by table: of entered and of derived rows."""
    models: tuple[Any, ...] = (
        Reading, GasPrice, Deposit, TransactionCalculation, MonthlyCustomerBalance,
    )  # fmt: skip
    return {
        model.__tablename__: session.scalar(select(func.count()).select_from(model)) or 0
        for model in models
    }


# Closed months that verification has found to be wrong


def _found(figure: Any, model: Any, key: str) -> Any:
    """The customers with an open finding on a closed row."""
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
    """The customers (or only the one given) with an open finding on a closed month or its calculated readings."""
    is_wanted = true() if customer_id is None else _WRONG.c.customer_id == customer_id
    return session.scalars(select(_WRONG.c.customer_id).where(is_wanted)).all()
