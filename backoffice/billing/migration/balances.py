"""Step 4: the balances of meters from their documents. It heals the figures of meters."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Numeric, and_, cast, distinct, func, select

from ...base import table_of
from ...drift.runs import HEAL
from ...runs.models import APPLIED, FOUND, ITEM_FAILED
from ...runs.work import ITEMS, Asked, Chunk, Work
from ..figures import meter_balance, meter_totals
from ..models import Meter
from . import preview, report

METERS = table_of(Meter)

again = HEAL.again


def plan(connection: Connection, asked: Asked) -> Iterator[Chunk]:
    """The chunks of a heal; in the dry run of a whole migration, of its list."""
    if preview.is_previewed(asked):
        return preview.share_of(connection, asked, (meter_totals, meter_balance))
    return iter(HEAL.plan(connection, asked))


def work(work: Work) -> None:
    """Correct wrong meters, or in a dry run list them."""
    if preview.SHARE in work.payload:
        preview.copy(work)
    else:
        HEAL.work(work)


def finish(connection: Connection, asked: Asked) -> dict[str, Any]:
    """The report: corrected and right meters, and their totals; for a dry run, as they will be."""
    reported = report.of_items(connection, asked.id)
    names = (meter_totals.name, meter_balance.name)
    wrong = select(func.count(distinct(ITEMS.c.owner))).where(
        ITEMS.c.run_id == asked.id,
        ITEMS.c.subject.in_(names),
        ITEMS.c.outcome.in_((APPLIED, FOUND, ITEM_FAILED)),
    )
    item = ITEMS.alias("balanced")
    of_meter = and_(
        item.c.run_id == asked.id, item.c.subject == meter_balance.name,
        item.c.owner == METERS.c.id, item.c.outcome == FOUND,
    )  # fmt: skip
    stored = {name: METERS.c[name] for name in ("balance", "overpayment")}
    will_be = {
        name: func.coalesce(cast(item.c.after[name].astext, Numeric), column)
        for name, column in stored.items()
    }
    has = {f"with_{name}": value > 0 for name, value in will_be.items()}
    stands = connection.execute(
        select(
            func.count().label("processed"),
            *(func.count().filter(condition).label(name) for name, condition in has.items()),
            *(func.coalesce(func.sum(v), Decimal("0.00")).label(n) for n, v in will_be.items()),
        ).select_from(METERS.outerjoin(item, of_meter))
    ).one()
    right = stands.processed - (connection.scalar(wrong) or 0)
    reported[report.RIGHT][meter_balance.name] = report.line(right)
    amounts = {name: str(getattr(stands, name)) for name in ("balance", "overpayment")}
    reported["meters"] = {name: getattr(stands, name) for name in ("processed", *has)} | amounts
    return reported
