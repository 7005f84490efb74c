"""Chooses the run that a worker serves next: classes take turns, in a class its users, and of a user their runs.

Files of a user follow each other, so that the first is done early. A delivery only wakes a worker. After each
chunk the worker chooses the next run here, so that a small run waits for the chunks in progress, and not for the
runs that were requested before it.
"""

from collections.abc import Collection
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Engine,
    Select,
    Text,
    Update,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from ..base import table_of
from .kinds import kinds
from .models import OPEN, QUEUED, RUNNING, Run, RunChunk, is_free, is_held

RUNS, CHUNKS = table_of(Run), table_of(RunChunk)

REQUESTED, SCHEDULED, BULK = CLASSES = ("requested", "scheduled", "bulk")
"""The classes of runs, in the order in which they are served first."""

REMEMBERED = text("interval '10 minutes'")
"""For how long it counts that a class or a user was served."""


def class_of(runs: Any = RUNS) -> ColumnElement[str]:
    """The class of a run: a bulk kind's, a schedule's, or requested by a user, a program or a command."""
    is_bulk = runs.c.kind == func.any(bindparam("bulk", type_=ARRAY(Text)))
    is_scheduled = runs.c.schedule.is_not(None)
    return case((is_bulk, BULK), (is_scheduled, SCHEDULED), else_=REQUESTED)


def bulk_kinds() -> list[str]:
    """The names of the bulk kinds, the value of `bulk` in `class_of`."""
    return [name for name, kind in kinds().items() if kind.is_bulk]


def next_run(engine: Engine, besides: Collection[int] = ()) -> int | None:
    """The run of which a chunk can be claimed now, or that only needs to be ended, whose turn it is; None: none.

    `besides` are runs that another transaction was found to hold.
    """
    values = {"bulk": bulk_kinds(), "known": list(kinds()), "besides": list(besides)}
    with engine.connect() as connection:
        found: int | None = connection.scalar(_next(), values)
    return found


def has_free_chunk(runs: Any = RUNS) -> ColumnElement[bool]:
    """Whether a chunk of the run can be claimed: of its present stage, and held by no worker."""
    other = CHUNKS.alias("other")
    earlier = exists().where(
        other.c.run_id == CHUNKS.c.run_id, other.c.status == OPEN, other.c.stage < CHUNKS.c.stage
    )
    return and_(
        runs.c.cancelled_by == "",
        exists().where(CHUNKS.c.run_id == runs.c.id, CHUNKS.c.status == OPEN, is_free(), ~earlier),
    )


def may_be_served(runs: Any = RUNS) -> ColumnElement[bool]:
    """Whether workers may serve the run: it is live, and no command performs it itself."""
    is_live = runs.c.status.in_((QUEUED, RUNNING)) & runs.c.finished_at.is_(None)
    return and_(is_live, or_(~runs.c.is_here, runs.c.deliveries > 0))


@cache
def _next() -> Select[Any]:
    """Selects the id of the run whose turn it is; a run that only needs to be ended is first."""
    is_open = exists().where(CHUNKS.c.run_id == RUNS.c.id, CHUNKS.c.status == OPEN)
    held = exists().where(CHUNKS.c.run_id == RUNS.c.id, CHUNKS.c.status == OPEN, is_held())
    is_ending = or_(~is_open, and_(RUNS.c.cancelled_by != "", ~held))
    of_class = class_of().label("class")
    recent = func.clock_timestamp() - REMEMBERED
    served = (
        select(of_class, RUNS.c.requested_by, func.max(RUNS.c.served_at).label("at"))
        .where(RUNS.c.served_at > recent)
        .group_by(of_class, RUNS.c.requested_by)
        .cte("served")
    )
    waiting = (
        select(RUNS.c.id, RUNS.c.requested_by, RUNS.c.served_at, of_class, is_ending.label("is_ending"))
        .where(
            may_be_served(), RUNS.c.kind == func.any(bindparam("known", type_=ARRAY(Text))),
            RUNS.c.id != func.all(bindparam("besides", type_=ARRAY(BigInteger))),
            or_(is_ending, has_free_chunk()),
        )
        .cte("waiting")
    )  # fmt: skip
    of_its_class = select(func.max(served.c.at)).where(served.c["class"] == waiting.c["class"])
    of_its_user = of_its_class.where(served.c.requested_by == waiting.c.requested_by)
    rank = func.array_position(literal(list(CLASSES), ARRAY(Text)), waiting.c["class"])
    return (
        select(waiting.c.id)
        .order_by(
            waiting.c.is_ending.desc(),
            of_its_class.scalar_subquery().asc().nulls_first(),
            rank,
            of_its_user.scalar_subquery().asc().nulls_first(),
            case((waiting.c["class"] == BULK, None), else_=waiting.c.served_at).asc().nulls_first(),
            waiting.c.id,
        )
        .limit(1)
    )


@cache
def serve() -> Update:
    """Records that `run` is served now; skipped while another transaction holds its row, so that no claim waits."""
    mine = select(RUNS.c.id).where(RUNS.c.id == bindparam("run", type_=BigInteger))
    mine = mine.with_for_update(key_share=True, skip_locked=True)
    return (
        update(RUNS)
        .where(RUNS.c.id == mine.scalar_subquery())
        .values(served_at=func.clock_timestamp())
    )
