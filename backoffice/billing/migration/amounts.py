"""Step 2: invoice amounts by their units, rate and fixed charge. It heals the figure, and reports what it leaves."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, func, select

from ...base import N_
from ...drift.runs import HEAL
from ...runs.work import Asked, Chunk, Work
from ..figures import invoice_amount
from ..rules import POSTED
from . import preview, report
from .documents import INVOICES
from .report import INFO, Case, as_item

ENTERED = Case(
    "billing.invoice-entered", N_("Invoices without units: a user entered their amount"), "invoices",
    N_("It has no units, so its amount stays as it was entered."),
    severity=INFO,
)  # fmt: skip
NO_AMOUNT = Case(
    "billing.invoice-no-amount", N_("Invoices without units and without an amount"), "invoices",
    N_("No units and no amount: there is nothing that its amount could be computed from."),
    N_("Open the invoice and enter its units or its amount, or void it."),
)  # fmt: skip

CASES = (ENTERED, NO_AMOUNT)

_HAS_NO_UNITS = INVOICES.c.units.is_(None)
_IS_EMPTY = _HAS_NO_UNITS & (INVOICES.c.amount == 0) & (INVOICES.c.status == POSTED)


def plan(connection: Connection, asked: Asked) -> Iterator[Chunk]:
    """The chunks of a heal of the figure; then the invoices without anything to compute an amount from."""
    last = 0
    previewed = preview.is_previewed(asked)
    shared = preview.share_of(connection, asked, [invoice_amount]) if previewed else None
    for chunk in shared or HEAL.plan(connection, asked):
        last = max(last, chunk.stage)
        yield chunk
    if "retry" not in asked.scope:
        count = select(func.count()).select_from(INVOICES).where(_IS_EMPTY)
        yield Chunk({"list": NO_AMOUNT.name}, connection.scalar(count) or 0, last + 1)


def work(work: Work) -> None:
    """Correct wrong amounts, or in a dry run list them."""
    if preview.SHARE in work.payload:
        preview.copy(work)
        return
    if "list" not in work.payload:
        HEAL.work(work)
        return
    empty = select(*as_item(NO_AMOUNT, work.asked.id, INVOICES.c.id, concerns=INVOICES.c.amount))
    with work.transaction(is_last=True) as step:
        report.list_rows(step, empty.where(_IS_EMPTY).order_by(INVOICES.c.id))


def finish(connection: Connection, asked: Asked) -> dict[str, Any]:
    """The report: amounts that were corrected, that were right, and that were left without units."""
    reported = report.of_items(connection, asked.id)
    name = invoice_amount.name
    stands = connection.execute(
        select(
            func.count().filter(~_HAS_NO_UNITS).label("computed"),
            func.count().filter(_HAS_NO_UNITS, ~_IS_EMPTY).label("entered"),
            func.coalesce(func.sum(INVOICES.c.amount).filter(_HAS_NO_UNITS), 0).label("amount"),
        )
    ).one()
    wrong = sum(reported[section].get(name, {"rows": 0})["rows"] for section in ("done", "failed"))
    reported[report.RIGHT][name] = report.line(max(stands.computed - wrong, 0))
    if stands.entered:
        reported[report.LEFT][ENTERED.name] = report.line(stands.entered, stands.amount)
    return reported
