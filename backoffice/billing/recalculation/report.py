"""The report of a recalculation: counts, significant changes and control totals, as plain data.

It is computed in PostgreSQL when the run ends, and stored as the run's result. Amounts before and
after come from the run's items; customers without items have their stored amounts. So the totals
before plus the differences equal the totals after, in a dry run as in an application.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import structlog
from flask import current_app
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Numeric,
    Select,
    Subquery,
    Text,
    case,
    cast,
    func,
    literal,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.dialects.postgresql import array

from ...base import money, table_of
from ...customers.models import Customer
from ...runs.models import APPLIED, FOUND, Run, RunItem
from ...runs.work import Asked
from ..figures import customer_balance
from .chunks import customers

log = structlog.get_logger("backoffice.billing")

AMOUNTS = ("balance", "overpayment")
"""The columns that a recalculation reports on, in order."""

MOST_CHANGES = 1_000
"""The most significant changes that the result holds; the run's items hold all of them."""

CUSTOMERS, ITEMS = table_of(Customer), table_of(RunItem)

Report = Mapping[str, Any]
"""`currency`, `customers` (counts), `significant` (`above`, `count`, `changes`), `totals`; amounts are texts."""


def changed(run_id: Any) -> Select[Any]:
    """The customers that the run changed, or would change: `customer_id`, and each amount's values.

    `balance_before`, `balance_after` and so on; NULL where that amount did not change.
    """
    values = (
        _edge(pick, name, side).label(f"{name}_{side.key}")
        for name in AMOUNTS
        for pick, side in ((func.min, ITEMS.c.before), (func.max, ITEMS.c.after))
    )
    return (
        select(ITEMS.c.owner.label("customer_id"), *values)
        .where(
            ITEMS.c.run_id == run_id,
            ITEMS.c.subject == customer_balance.name,
            ITEMS.c.outcome.in_((FOUND, APPLIED)),
        )
        .group_by(ITEMS.c.owner)
    )


def changed_by(run_id: Any) -> Subquery:
    """As `changed`, with each amount's difference, and the greatest absolute difference as `size`."""
    rows = changed(run_id).subquery("changed")
    differences = {name: rows.c[f"{name}_after"] - rows.c[f"{name}_before"] for name in AMOUNTS}
    size = func.greatest(*map(func.abs, differences.values()))
    named = (difference.label(f"{name}_difference") for name, difference in differences.items())
    return select(rows, *named, size.label("size")).subquery("changes")


def _edge(pick: Any, name: str, side: Any) -> ColumnElement[Any]:
    """The amount from the first (`pick` is min) or last (max) item that changes it; an item may hold both amounts."""
    before, after = (cast(edge[name].astext, Numeric) for edge in (ITEMS.c.before, ITEMS.c.after))
    reported = array([cast(ITEMS.c.id, Numeric), cast(side[name].astext, Numeric)])
    picked = pick(reported).filter(before.is_distinct_from(after))
    return cast(type_coerce(picked, ARRAY(Numeric))[2], Numeric(15, 2))


def finish(connection: Connection, asked: Asked) -> Report:
    """The report of a run that ends, which is also logged; a command logs that of its own run."""
    above: Decimal = current_app.config["SIGNIFICANT_CHANGE"]
    items = changed(asked.id).cte("items")
    counts, totals = _summary(connection, asked, items)
    count, changes = _changes(connection, _significant(items, above))
    report = {
        "currency": money.currency(),
        "customers": counts,
        "significant": {"above": str(above), "count": count, "changes": changes},
        "totals": totals,
    }
    if not connection.scalar(select(Run.is_here).where(Run.id == asked.id)):
        write_to_log(report, dry_run=asked.dry_run)
    return report


def _summary(
    connection: Connection, asked: Asked, items: Any
) -> tuple[dict[str, int], dict[str, dict[str, str]]]:
    """Counts of the customers by status, and total balances and overpayments, before and after."""
    before = {n: func.coalesce(items.c[f"{n}_before"], CUSTOMERS.c[n]) for n in AMOUNTS}
    after = {n: func.coalesce(items.c[f"{n}_after"], CUSTOMERS.c[n]) for n in AMOUNTS}
    balance, overpayment = (after[name] for name in AMOUNTS)
    counts = {
        "processed": func.count(),
        "with_balance": func.count().filter(balance > 0),
        "with_overpayment": func.count().filter(overpayment > 0),
        "clear": func.count().filter(balance == 0, overpayment == 0),
        **{f"{n}s_changed": func.count().filter(before[n] != after[n]) for n in AMOUNTS},
    }
    sums = {
        f"{name}_{when}": func.coalesce(func.sum(values[name]), Decimal("0.00"))
        for name in AMOUNTS
        for when, values in (("before", before), ("after", after))
    }
    named = (value.label(name) for name, value in {**counts, **sums}.items())
    everyone = (
        select(*named)
        .select_from(CUSTOMERS.outerjoin(items, items.c.customer_id == CUSTOMERS.c.id))
        .where(CUSTOMERS.c.id.in_(customers(asked.scope)))
    )
    row = connection.execute(everyone).mappings().one()
    totals = {n: _total(row[f"{n}_before"], row[f"{n}_after"]) for n in AMOUNTS}
    return {name: int(row[name]) for name in counts}, totals


def _total(before: Decimal, after: Decimal) -> dict[str, str]:
    return {"before": str(before), "after": str(after), "difference": str(after - before)}


def _significant(items: Any, above: Decimal) -> Subquery:
    """The changes above the limit: customer, which amount, before and after."""
    parts = []
    for name in AMOUNTS:
        before, after = items.c[f"{name}_before"], items.c[f"{name}_after"]
        part = select(
            items.c.customer_id, literal(name).label("type"),
            before.label("before"), after.label("after"), (after - before).label("difference"),
        )  # fmt: skip
        parts.append(part.where(func.abs(after - before) > above))
    return union_all(*parts).subquery("significant")


def _changes(
    connection: Connection, significant: Subquery
) -> tuple[int, Sequence[Mapping[str, Any]]]:
    """Their number, and the greatest of them with the customers' codes and names."""
    place = case({name: i for i, name in enumerate(AMOUNTS)}, value=significant.c.type)
    amounts = ("before", "after", "difference")
    statement = (
        select(
            significant.c.customer_id, CUSTOMERS.c.code, CUSTOMERS.c.name, significant.c.type,
            *(cast(significant.c[name], Text).label(name) for name in amounts),
            func.count().over().label("count"),
        )
        .join_from(significant, CUSTOMERS, CUSTOMERS.c.id == significant.c.customer_id)
        .order_by(func.abs(significant.c.difference).desc(), significant.c.customer_id, place)
        .limit(MOST_CHANGES)
    )  # fmt: skip
    rows = [dict(row) for row in connection.execute(statement).mappings()]
    count = next((row["count"] for row in rows), 0)
    return count, [{n: reported for n, reported in row.items() if n != "count"} for row in rows]


def write_to_log(report: Report, *, dry_run: bool) -> None:
    """Log one line with a fixed event name; a dry run has another, for it recalculates nothing."""
    counts, totals = report["customers"], report["totals"]
    log.info(
        "Customer balances previewed" if dry_run else "Customer balances recalculated",
        customers_processed=counts["processed"],
        balance_changed=counts["balances_changed"],
        overpayment_changed=counts["overpayments_changed"],
        **{
            f"total_{name}_{when}": totals[name][when]
            for name in AMOUNTS
            for when in ("before", "after")
        },
    )
