"""The cases that a step reports, and its report: what was done, what was right already, what is left and why.

The report is the result of the step's run: `{"done": {name: {"rows": 3, "amount": "450.00"}}, "right": …, "left": …,
"failed": …}`, the names being those of the items. Amounts are texts, in the deployment's currency.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Numeric,
    and_,
    cast,
    exists,
    func,
    insert,
    literal,
    null,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from ...base import N_
from ...runs.models import AMOUNTS, APPLIED, FOUND, ITEM_FAILED, SKIPPED
from ...runs.work import ITEMS, Step

ERROR, WARNING, INFO = "error", "warning", "info"

SEVERITIES: dict[str, tuple[str, str]] = {
    ERROR: (N_("Error"), "bad"),
    WARNING: (N_("Warning"), "warning"),
    INFO: (N_("Information"), "info"),
}
"""Severity → its label and its tone. Information requires no action."""


@dataclass(frozen=True)
class Case:
    """A case that a step may report of a row of `table`; `name` is the subject of its items.

    `why` is the sentence of each item, `cure` what to do about it.
    """

    name: str
    title: str
    table: str
    why: str
    cure: str = ""
    severity: str = WARNING


LABELS: Mapping[str, str] = {
    "meter": N_("Meter"),
    "invoiced": N_("Invoiced"),
    "adjusted": N_("Adjustments"),
    "paid": N_("Paid"),
    "balance": N_("Balance"),
    "overpayment": N_("Overpayment"),
    "amount": N_("Amount"),
}
"""The labels of an item's values."""


ITEM_COLUMNS = ("run_id", "subject", "owner", "key", "outcome", "error", "details", "before", "after",
                *AMOUNTS)  # fmt: skip


def as_item(case: Case, run_id: int, owner: Any, **values: Any) -> list[Any]:
    """The columns of a SELECT that inserts an item per row into `run_items`, for rows that are left unchanged.

    `values` may give `before`, `after`, `details`, and the item's amounts.
    """
    nothing = literal({}, JSONB)
    return [
        literal(run_id), literal(case.name), owner, nothing, literal(SKIPPED), literal(case.why),
        *(values.get(name, nothing) for name in ("details", "before", "after")),
        *(values.get(name, cast(null(), Numeric)) for name in AMOUNTS),
    ]  # fmt: skip


def is_unreported(run_id: int, names: list[str], owner: Any) -> ColumnElement[bool]:
    """Whether the run has no item yet of the row in one of these cases: a chunk may be started twice."""
    reported = and_(ITEMS.c.run_id == run_id, ITEMS.c.owner == owner, ITEMS.c.subject.in_(names))
    return ~exists().where(reported)


DONE, RIGHT, LEFT, FAILED = "done", "right", "left", "failed"
SECTIONS = (DONE, RIGHT, LEFT, FAILED)

_SECTION_OF = {APPLIED: DONE, FOUND: DONE, SKIPPED: LEFT, ITEM_FAILED: FAILED}

_AMOUNT = func.coalesce(ITEMS.c.amount, ITEMS.c.concerns)
"""The amount of a line: net differences, or the amounts of documents that do not change."""

Report = dict[str, Any]


def line(rows: int, amount: Any = None) -> dict[str, Any]:
    """One line of a report."""
    return {"rows": int(rows)} | ({} if amount is None else {"amount": str(amount)})


def of_items(connection: Connection, run_id: int) -> Report:
    """The report from a run's items."""
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
    """List the rows of a SELECT (see `as_item`) as left; returns their number."""
    count = add_items(step, rows)
    step.tally.checked += count
    step.tally.skipped += count
    return count


def add_items(step: Step, rows: Any) -> int:
    """Insert an item for each row of a SELECT of `ITEM_COLUMNS`; returns their number."""
    add = insert(ITEMS).from_select(ITEM_COLUMNS, rows, include_defaults=False)
    added = add.returning(ITEMS.c.id).cte("added")
    return step.connection.scalar(select(func.count()).select_from(added)) or 0
