"""Queries over runs: progress, speed and remaining time, findings, follow-ups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, exists, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session, aliased

from ..figures import registry
from ..web import record_links as subjects
from ..web.record_links import Place
from .errors import UnknownRun
from .kinds import RunKind
from .models import (
    CANCELLED,
    COUNTERS,
    DONE,
    DONE_WITH_FAILURES,
    FAILED,
    FOUND,
    OPEN,
    Run,
    RunChunk,
    RunItem,
    is_held,
)


@dataclass(frozen=True)
class Progress:
    """The progress of a run. `total` is None until it is planned; `workers` is how many hold a chunk now."""

    total: int | None
    checked: int
    changed: int
    unchanged: int
    skipped: int
    failed: int
    workers: int
    elapsed: timedelta

    @property
    def share(self) -> float | None:
        """The share that is done, from 0 to 1; None while it is not known."""
        if not self.total:
            return None
        return min(self.checked / self.total, 1.0)

    @property
    def speed(self) -> float:
        """Items per second, since it began."""
        seconds = self.elapsed.total_seconds()
        return self.checked / seconds if seconds > 0 else 0.0

    @property
    def left(self) -> timedelta | None:
        """The remaining time at this speed; None while it is not known."""
        if not self.total or self.speed <= 0:
            return None
        return timedelta(seconds=max(self.total - self.checked, 0) / self.speed)


def run_of(session: Session, run_id: int) -> Run:
    """The run of that number. Raises UnknownRun."""
    run = session.get(Run, run_id)
    if run is None:
        raise UnknownRun(run=run_id)
    return run


def progress_of(session: Session, run: Run) -> Progress:
    """The run's progress, now."""
    now = datetime.now(UTC)
    elapsed = (run.finished_at or now) - (run.started_at or run.finished_at or now)
    if not run.is_live:
        counts = {name: getattr(run, name) for name in COUNTERS}
        return Progress(total=run.total, workers=0, elapsed=elapsed, **counts)
    sums = (func.coalesce(func.sum(getattr(RunChunk, name)), 0) for name in COUNTERS)
    row = session.execute(
        select(func.count().filter(RunChunk.status == OPEN, is_held()), *sums).where(
            RunChunk.run_id == run.id
        )
    ).one()
    counts = {name: int(value) for name, value in zip(COUNTERS, row[1:], strict=True)}
    return Progress(total=run.total, workers=row[0], elapsed=elapsed, **counts)


def is_unmended() -> ColumnElement[bool]:
    """Whether a run failed in whole or in part, and no later run has retried it or completed the same scope.

    A cancelled run counts as neither, nor does a run that applies what a dry run found beside its failures.
    """
    later = aliased(Run)
    is_same = (later.kind == Run.kind) & (later.scope_key == Run.scope_key)
    scope = later.scope
    is_retry = (later.follows == Run.id) & (scope.has_key("retry") | ~scope.has_key("run"))
    mended = exists().where(
        later.id > Run.id,
        later.status != CANCELLED,
        is_retry | (is_same & (later.status == DONE)),
    )
    return Run.status.in_((FAILED, DONE_WITH_FAILURES)) & ~mended


@dataclass(frozen=True)
class Found:
    """What a dry run has found: the number of items, and the sum of their differences, net and gross."""

    count: int
    net: Decimal
    gross: Decimal


def found_by(session: Session, run_id: int) -> Found:
    """What the dry run of that number has found."""
    net = func.coalesce(func.sum(RunItem.amount), 0)
    gross = func.coalesce(func.sum(RunItem.gross), 0)
    rows = select(func.count(), net, gross)
    found = rows.where(RunItem.run_id == run_id, RunItem.outcome == FOUND)
    row: Any = session.execute(found).one()
    return Found(*row)


def reporting_run(run: Run) -> int:
    """The run that holds the items this one changes: until it begins, the dry run that it applies."""
    shown = run.scope.get("run")
    return shown if run.started_at is None and isinstance(shown, int) else run.id


def followers_of(session: Session, run: Run) -> Sequence[Run]:
    """The runs that apply or retry this one, in the order in which they were requested."""
    return session.scalars(select(Run).where(Run.follows == run.id).order_by(Run.id)).all()


def is_applicable(kind: RunKind, run: Run, followers: Sequence[Run]) -> bool:
    """Whether what it has found can be applied: only once, but an application that never began does not count."""
    is_applied = any(
        follower.kind == kind.apply_as and (follower.is_live or follower.started_at is not None)
        for follower in followers
    )
    is_whole = kind.apply_as and run.dry_run and run.changed and not kind.is_part(run.scope)
    return bool(is_whole) and not (run.is_live or is_applied)


def owner(session: Session, run: Run) -> dict[str, str]:
    """For a run over single records: record name → URL."""
    asked = dict(run.scope.get("figures") or {})
    found: dict[str, str] = {}
    for figure in reversed(registry.figures):  # the figure that sums up the others comes first
        owners: Sequence[int] = asked.get(figure.name) or ()
        if len(owners) == 1 and figure.owner is figure.primary_key:
            place = place_of(session, figure.name, owners[0], {"id": str(owners[0])})
            if url := subjects.record_url(figure.name, place):
                found[place.name] = url
    return found


def place_of(session: Session, figure: str, owner: int, key: Mapping[str, Any]) -> Place:
    """The name of an item's row, and the key that its URL is built from."""
    called = subjects.name_of_one_in_sql(figure, literal(owner), literal(dict(key), JSONB))
    return Place(owner, key, session.scalar(select(called)) or "")
