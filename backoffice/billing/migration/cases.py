"""What a step may find of a row: what it is called, why it is so, and what is to be done about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Numeric, and_, cast, exists, literal, null
from sqlalchemy.dialects.postgresql import JSONB

from ...base import N_
from ...runs.models import AMOUNTS, SKIPPED
from ...runs.work import ITEMS

ERROR, WARNING, INFO = "error", "warning", "info"

SEVERITIES: dict[str, tuple[str, str]] = {
    ERROR: (N_("Error"), "bad"),
    WARNING: (N_("Warning"), "warning"),
    INFO: (N_("Information"), "info"),
}
"""Severity → its word and its tone. What is only information leaves nothing to be done."""


@dataclass(frozen=True)
class Case:
    """One thing that may be said of a row of `table`: the name of the items that say it.

    `why` is the sentence that each item carries, `cure` what is to be done about it.
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
"""What the values of an item are called."""


ITEM_COLUMNS = ("run_id", "subject", "owner", "key", "outcome", "error", "details", "before", "after",
                *AMOUNTS)  # fmt: skip


def as_item(case: Case, run_id: int, owner: Any, **values: Any) -> list[Any]:
    """The columns of a SELECT that inserts an item per row into `run_items`: rows that are left as they are.

    `values` may give `before`, `after`, `details`, and the item's amounts.
    """
    nothing = literal({}, JSONB)
    return [
        literal(run_id), literal(case.name), owner, nothing, literal(SKIPPED), literal(case.why),
        *(values.get(name, nothing) for name in ("details", "before", "after")),
        *(values.get(name, cast(null(), Numeric)) for name in AMOUNTS),
    ]  # fmt: skip


def is_untold(run_id: int, names: list[str], owner: Any) -> ColumnElement[bool]:
    """Whether the run has no item yet of the row in one of these cases: a chunk may be begun twice."""
    told = and_(ITEMS.c.run_id == run_id, ITEMS.c.owner == owner, ITEMS.c.subject.in_(names))
    return ~exists().where(told)
