"""Reads of revenue: the stored grand totals, summed by month, account manager and customer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Date,
    DateTime,
    Integer,
    Interval,
    Numeric,
    Select,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.orm import Session

from ..base.money import round_amount
from ..customers.models import Customer
from ..orders.models import Order
from ..orders.queries import visible_to
from ..people.models import User
from .scope import ReportScope

TOP = 10
"""Account managers and customers shown one by one; the rest is one row, "others"."""

DIMENSIONS = ("month", "manager", "customer")

DATES = {"closing": Order.closing_date, "order": Order.order_date}
"""Basis of a report → the date by which an order counts."""

_NOTHING = Decimal(0)


@dataclass(frozen=True)
class ReportLine:
    """The revenue of one month, account manager or customer, beside that of the same days a year earlier.

    `key` is a month's first day or an id; None for a total or for the others, which are not listed singly.
    `share` is the percentage of the report's revenue, rounded so that the shares of all lines add up to
    100; None where there is no revenue.
    """

    key: Any
    label: str = ""
    code: str = ""
    revenue: Decimal = _NOTHING
    orders: int = 0
    before: Decimal = _NOTHING
    share: Decimal | None = None

    @property
    def change(self) -> Decimal:
        """The difference from the year before."""
        return self.revenue - self.before

    @property
    def growth(self) -> Decimal | None:
        """The difference in percent of the year before; None unless that was above 0."""
        return percent(self.change, self.before)


@dataclass(frozen=True)
class Table:
    """Revenue by one dimension: the listed lines, one line for the others, and the exact total."""

    dimension: str
    lines: Sequence[ReportLine]
    total: ReportLine
    others: ReportLine | None = None
    count: int = 0

    @property
    def largest(self) -> Decimal:
        """The largest revenue of any line."""
        return max((line.revenue for line in self.lines), default=_NOTHING)


@dataclass(frozen=True)
class Summary:
    """The whole report, read from one snapshot."""

    months: Table
    managers: Table
    customers: Table
    total: ReportLine


def percent(part: Decimal, whole: Decimal) -> Decimal | None:
    """`part` in percent of `whole`, to one decimal; None unless `whole` is above 0."""
    return round_amount(part * 100 / whole, 1) if whole > 0 else None


def summary(session: Session, user: Any, scope: ReportScope) -> Summary:
    """The report: every month, the largest account managers and customers, and the sum of the others."""
    found = session.execute(_summary(user, scope)).all()
    levels = {name: [row for row in found if row.level == level] for name, level in _LEVELS.items()}
    total = _line(levels["total"][0], None)
    total = replace(total, share=percent(total.revenue, total.revenue))
    managers, customers = (
        _first_lines(session, dimension, levels[dimension], total)
        for dimension in ("manager", "customer")
    )
    by_month = {row.month: _line(row, row.month) for row in levels["month"]}
    nothing = ReportLine(None, share=None if total.share is None else _NOTHING)
    months = [
        by_month.get(month.first, replace(nothing, key=month.first))
        for month in scope.period.months
    ]
    return Summary(Table("month", months, total, count=len(months)), managers, customers, total)


def _first_lines(session: Session, dimension: str, rows: Sequence[Any], total: ReportLine) -> Table:
    lines = [_line(row, getattr(row, dimension)) for row in rows]
    count = rows[0].found if rows else 0
    others = _others(lines, total) if count > len(lines) else None
    return Table(dimension, _named(session, dimension, lines), total, others, count)


def table(
    session: Session,
    user: Any,
    scope: ReportScope,
    dimension: str,
    *,
    limit: int | None = None,
    offset: int = 0,
) -> Table:
    """Every line of one dimension, or a page of them; the total is always that of all lines."""
    rows = session.execute(ranking(user, scope, dimension).limit(limit).offset(offset)).all()
    if not rows:
        return Table(dimension, (), ReportLine(None))
    first = rows[0]
    total = ReportLine(
        None,
        revenue=first.all_revenue,
        orders=int(first.all_orders),
        before=first.all_before,
        share=percent(first.all_revenue, first.all_revenue),
    )
    lines = [_line(row, row.key) for row in rows]
    return Table(dimension, _named(session, dimension, lines), total, count=first.found)


def count(session: Session, user: Any, scope: ReportScope, dimension: str) -> int:
    """The number of lines of `table`, all pages together."""
    rows = ranking(user, scope, dimension).order_by(None).subquery()
    return session.scalar(select(func.count()).select_from(rows)) or 0


def years(session: Session, user: Any, basis: str) -> range:
    """The years in which there are orders that `user` may see; an empty range for none."""
    dates = DATES[basis]
    first, last = session.execute(
        select(func.min(dates), func.max(dates)).where(visible_to(user))
    ).one()
    return range(0) if first is None or last is None else range(first.year, last.year + 1)


# Statements


def _facts(user: Any, scope: ReportScope) -> Any:
    """The orders of the period, and those of the year before with their dates moved forward by a year."""
    counted = DATES[scope.basis]
    nothing = literal(_NOTHING, Numeric(15, 2))
    now, before = scope.period, scope.period.year_before
    moved = counted + cast("1 year", Interval)
    selects = [
        select(
            cast(func.date_trunc("month", cast(day, DateTime)), Date).label("month"),
            Order.account_manager_id.label("manager"),
            Order.customer_id.label("customer"),
            revenue.label("revenue"),
            literal(orders, Integer).label("orders"),
            previous.label("before"),
        ).where(counted.between(period.since, period.until), *conditions(user, scope))
        for day, period, revenue, orders, previous in (
            (counted, now, Order.grand_total, 1, nothing),
            (moved, before, nothing, 0, Order.grand_total),
        )
    ]
    return union_all(*selects).subquery("facts")


def conditions(user: Any, scope: ReportScope) -> Iterator[Any]:
    """The conditions for the orders that a report sums up, without that of the period."""
    yield visible_to(user)
    if scope.manager_id is not None:
        yield Order.account_manager_id == scope.manager_id
    if scope.customer_id is not None:
        yield Order.customer_id == scope.customer_id


def _sums(facts: Any) -> list[Any]:
    return [func.coalesce(func.sum(facts.c[name]), 0).label(name) for name in _SUMS]


_SUMS = ("revenue", "orders", "before")

_LEVELS: Mapping[str, int] = {"month": 0b011, "manager": 0b101, "customer": 0b110, "total": 0b111}
"""The value of PostgreSQL's grouping() for a row that is grouped by this dimension alone."""


def _summary(user: Any, scope: ReportScope) -> Select[Any]:
    """All three dimensions and the total, in one statement and therefore from one snapshot."""
    facts = _facts(user, scope)
    keys = [facts.c[name] for name in DIMENSIONS]
    sets = func.grouping_sets(*(tuple_(key) for key in keys), tuple_())
    level = func.grouping(*keys).label("level")
    sums = select(level, *keys, *_sums(facts)).group_by(sets).subquery("sums")
    lines = _with_shares(sums, [sums.c[name] for name in DIMENSIONS], sums.c.level)
    # Months are in calendar order; at levels that are not grouped by month this is NULL.
    order = (lines.c.month, *_largest_first(lines), *lines.c["manager", "customer"])
    ranked = select(
        lines,
        func.count().over(partition_by=lines.c.level).label("found"),
        func.row_number().over(partition_by=lines.c.level, order_by=order).label("place"),
    ).subquery("ranked")
    is_listed = ranked.c.level.in_([_LEVELS["month"], _LEVELS["total"]])
    return select(ranked).where(or_(is_listed, ranked.c.place <= TOP)).order_by(ranked.c.place)


def ranking(user: Any, scope: ReportScope, dimension: str) -> Select[Any]:
    """Every line of one dimension, with the grand total: months in calendar order, others by descending revenue."""
    facts = _facts(user, scope)
    found = select(facts.c[dimension].label("key"), *_sums(facts)).group_by(facts.c[dimension])
    sums = (_with_every_month(found, scope) if dimension == "month" else found).subquery("sums")
    lines = _with_shares(sums, [sums.c.key])
    by_size = () if dimension == "month" else _largest_first(lines)
    wholes = [func.sum(lines.c[name]).over().label(f"all_{name}") for name in _SUMS]
    count = func.count().over().label("found")
    return select(lines, *wholes, count).order_by(*by_size, lines.c.key)


def _largest_first(lines: Any) -> tuple[ColumnElement[Any], ...]:
    return lines.c.revenue.desc(), lines.c.before.desc()


def _with_every_month(sums: Select[Any], scope: ReportScope) -> Select[Any]:
    """The sums by month, with 0 for a month that has none."""
    found, months = sums.subquery("found"), scope.period.months
    calendar = (
        func.generate_series(
            cast(months[0].first, Date), cast(months[-1].first, Date), cast("1 month", Interval)
        )
        .table_valued("moment")
        .render_derived("calendar")
    )
    month = cast(calendar.c.moment, Date)
    values = [func.coalesce(found.c[name], 0).label(name) for name in _SUMS]
    columns: list[Any] = [month.label("key"), *values]
    return select(*columns).select_from(calendar).outerjoin(found, found.c.key == month)


def _with_shares(sums: Any, keys: Sequence[Any], level: Any = None) -> Any:
    """The sums with each line's percentage of the whole; NULL where there is no revenue.

    Shares are rounded down to tenths; the rest to 100 is given to the largest remainders, a tenth each
    (largest remainder method), so that all shares add up to 100 and are in the order of revenue.
    """
    whole = func.sum(sums.c.revenue).over(partition_by=level)
    exact = sums.c.revenue * 1000 / func.nullif(func.greatest(whole, 0), 0)
    inner = select(sums, exact.label("exact")).subquery("exact")
    keys = [inner.c[key.key] for key in keys]
    of_level = None if level is None else inner.c[level.key]
    rest = inner.c.exact - func.floor(inner.c.exact)
    turn = func.row_number().over(partition_by=of_level, order_by=(rest.desc(), *keys))
    down = func.sum(func.floor(inner.c.exact)).over(partition_by=of_level)
    parts = select(inner, turn.label("turn"), (1000 - down).label("left")).subquery("parts")
    tenths = func.floor(parts.c.exact) + case((parts.c.turn <= parts.c.left, 1), else_=0)
    share = func.round(tenths / Decimal(10), 1, type_=Numeric)
    columns = [parts.c[column.key] for column in sums.c]
    return select(*columns, share.label("share")).subquery("lines")


# Lines


def _line(row: Any, key: Any) -> ReportLine:
    return ReportLine(
        key, revenue=row.revenue, orders=int(row.orders), before=row.before, share=row.share
    )


def _others(lines: Sequence[ReportLine], total: ReportLine) -> ReportLine:
    shares = [line.share for line in lines if line.share is not None]
    return ReportLine(
        None,
        revenue=total.revenue - sum((line.revenue for line in lines), _NOTHING),
        orders=total.orders - sum(line.orders for line in lines),
        before=total.before - sum((line.before for line in lines), _NOTHING),
        share=None if total.share is None else total.share - sum(shares, _NOTHING),
    )


def _named(session: Session, dimension: str, lines: Sequence[ReportLine]) -> list[ReportLine]:
    """The lines with the names of their account managers or customers."""
    if dimension == "month":
        return list(lines)
    keys = [line.key for line in lines]
    if dimension == "manager":
        people = session.execute(select(User.id, User.name).where(User.id.in_(keys)))
        names = {person.id: person.name for person in people}
        return [replace(line, label=names[line.key]) for line in lines]
    them = select(Customer.id, Customer.name, Customer.code).where(Customer.id.in_(keys))
    known = {customer.id: customer for customer in session.execute(them)}
    return [replace(line, label=known[line.key].name, code=known[line.key].code) for line in lines]
