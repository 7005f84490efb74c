"""Step 4: the balances of meters, by their documents. It heals the figures of meters."""

from typing import Any

from sqlalchemy import Connection, distinct, func, select

from ...base import table_of
from ...drift.runs import HEAL
from ...drift.scope import scope_of
from ...runs.models import APPLIED, FOUND, ITEM_FAILED
from ...runs.working import ITEMS, Asked
from ..figures import meter_balance, meter_totals
from ..models import Meter
from . import report

SCOPE = scope_of([meter_totals, meter_balance])

METERS = table_of(Meter)

plan, work, again = HEAL.plan, HEAL.work, HEAL.again


def finish(connection: Connection, asked: Asked) -> dict[str, Any]:
    """What was corrected, how many meters were right, and what they come to as they are stored now."""
    told = report.of_items(connection, asked.id)
    names = (meter_totals.name, meter_balance.name)
    wrong = select(func.count(distinct(ITEMS.c.owner))).where(
        ITEMS.c.run_id == asked.id,
        ITEMS.c.subject.in_(names),
        ITEMS.c.outcome.in_((APPLIED, FOUND, ITEM_FAILED)),
    )
    has = {"with_balance": METERS.c.balance > 0, "with_overpayment": METERS.c.overpayment > 0}
    stands = connection.execute(
        select(
            func.count().label("processed"),
            *(func.count().filter(condition).label(name) for name, condition in has.items()),
            func.coalesce(func.sum(METERS.c.balance), 0).label("balance"),
            func.coalesce(func.sum(METERS.c.overpayment), 0).label("overpayment"),
        )
    ).one()
    right = stands.processed - (connection.scalar(wrong) or 0)
    told[report.RIGHT][meter_balance.name] = report.line(right)
    amounts = {name: str(getattr(stands, name)) for name in ("balance", "overpayment")}
    told["meters"] = {name: getattr(stands, name) for name in ("processed", *has)} | amounts
    return told
