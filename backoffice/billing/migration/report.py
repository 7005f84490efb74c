"""The report of a step: what was done, what was right already, what is left and why, with amounts.

It is the result of the step's run: `{"done": {name: {"rows": 3, "amount": "450.00"}}, "right": …, "left": …,
"failed": …}`, the names being those of the items. Amounts are texts, in the deployment's currency.
"""

from typing import Any

from sqlalchemy import Connection, func, insert, select

from ...runs.models import APPLIED, FOUND, ITEM_FAILED, SKIPPED
from ...runs.work import ITEMS, Step
from .cases import ITEM_COLUMNS

DONE, RIGHT, LEFT, FAILED = "done", "right", "left", "failed"
SECTIONS = (DONE, RIGHT, LEFT, FAILED)

_SECTION_OF = {APPLIED: DONE, FOUND: DONE, SKIPPED: LEFT, ITEM_FAILED: FAILED}

_AMOUNT = func.coalesce(ITEMS.c.amount, ITEMS.c.concerns)
"""What a line adds up: net differences, or the amounts of documents that do not change."""

Lines = dict[str, dict[str, Any]]
Report = dict[str, Any]


def line(rows: int, amount: Any = None) -> dict[str, Any]:
    """One line of a report."""
    return {"rows": int(rows)} | ({} if amount is None else {"amount": str(amount)})


def of_items(connection: Connection, run_id: int) -> Report:
    """What the run's items say."""
    report: Report = {section: {} for section in SECTIONS}
    counted = (
        select(ITEMS.c.subject, ITEMS.c.outcome, func.count(), func.sum(_AMOUNT))
        .where(ITEMS.c.run_id == run_id)
        .group_by(ITEMS.c.subject, ITEMS.c.outcome)
        .order_by(ITEMS.c.subject)
    )
    for name, outcome, rows, amount in connection.execute(counted):
        if outcome in _SECTION_OF:
            report[_SECTION_OF[outcome]][name] = line(rows, amount)
    return report


def list_rows(step: Step, rows: Any) -> int:
    """List the rows of a SELECT (see `cases.as_item`) as left; answers how many they are."""
    count = add_items(step, rows)
    step.tally.checked += count
    step.tally.skipped += count
    return count


def add_items(step: Step, rows: Any) -> int:
    """Insert an item for each row of a SELECT of `ITEM_COLUMNS`; answers how many they are."""
    add = insert(ITEMS).from_select(ITEM_COLUMNS, rows, include_defaults=False)
    added = add.returning(ITEMS.c.id).cte("added")
    return step.connection.scalar(select(func.count()).select_from(added)) or 0
