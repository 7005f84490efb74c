"""The preview of the whole migration as one list: the findings of all steps, applied together."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, String, func, literal, select

from ...runs.models import FOUND
from ...runs.work import ITEMS, RUNS, Asked, Chunk, Work
from . import groups, report, would_be
from .report import ITEM_COLUMNS
from .steps import KEY, STEP_OF


def plan(connection: Connection, asked: Asked) -> Iterator[Chunk]:
    """One chunk: the list is made in one statement."""
    count = select(func.count()).select_from(ITEMS).where(_found_by_the_steps(asked))
    yield Chunk({}, connection.scalar(count) or 0)


def _found_by_the_steps(asked: Asked) -> Any:
    steps = select(RUNS.c.id).where(
        RUNS.c.dry_run, RUNS.c.kind.in_(STEP_OF), RUNS.c.scope[KEY].astext == asked.scope[KEY]
    )
    return ITEMS.c.run_id.in_(steps) & (ITEMS.c.outcome == FOUND)


def gather(work: Work) -> None:
    """Copy the steps' findings in their order, each with its group."""
    asked = work.asked
    group = func.jsonb_build_object(literal(groups.GROUP, String), groups.of_item(ITEMS.c))
    reported = {
        **{name: ITEMS.c[name] for name in ITEM_COLUMNS},
        "run_id": literal(asked.id),
        "details": ITEMS.c.details.concat(group),
    }
    found = select(*reported.values()).where(_found_by_the_steps(asked))
    rows = would_be.over(found.order_by(ITEMS.c.run_id, ITEMS.c.id), asked)
    with work.transaction(is_last=True) as step:
        step.tally.changed = step.tally.checked = report.add_items(step, rows)


def finish(connection: Connection, asked: Asked) -> dict[str, Any]:
    """The report: rows and amounts that would change, by name."""
    return report.of_items(connection, asked.id)
