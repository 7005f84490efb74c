"""What a worker works with: a run's request, a claimed chunk of it, and transactions under the claim's fence.

Every transaction of a chunk first locks the chunk's row and checks that its fence is still valid, so that no other
worker takes the chunk over while it works and a worker that was overtaken writes nothing.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Float,
    Select,
    Text,
    Update,
    bindparam,
    case,
    func,
    insert,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from ..base import table_of
from ..database import snapshots
from .errors import Fenced, NoLongerAsRequested
from .models import AMOUNTS, CHUNK_DONE, COUNTERS, OPEN, Run, RunChunk, RunItem

RUNS, CHUNKS, ITEMS = table_of(Run), table_of(RunChunk), table_of(RunItem)

SHARE = 0.25
"""The share of its time that a paced worker works; it pauses for the rest, for the users at screens."""

LONGEST_REST = 2.0
"""The longest pause, in seconds, however long the transaction took."""


@dataclass(frozen=True)
class Chunk:
    """A part of a run: the payload for the kind's `work`, its number of items, and its stage."""

    payload: Mapping[str, Any]
    size: int = 0
    stage: int = 0


@dataclass(frozen=True)
class Asked:
    """The request of a run: its kind, scope and options."""

    id: int
    kind: str
    scope: Mapping[str, Any]
    dry_run: bool
    is_paced: bool
    reason: str
    requested_by: str
    approved_by: str
    digest: str
    follows: int | None

    def check_digest(self, connection: Connection) -> None:
        """Raise NoLongerAsRequested where it would change anything else than what was approved."""
        if not is_as_requested(connection, self.scope, self.digest):
            raise NoLongerAsRequested(run=self.id)


def is_as_requested(connection: Connection, scope: Mapping[str, Any], digest: str) -> bool:
    """Whether a run of this scope changes what it did when its digest was taken; true without a digest."""
    return not digest or digest == connection.scalar(
        select(func.backoffice_run_digest(literal(dict(scope), JSONB)))
    )


@dataclass(frozen=True)
class ClaimedChunk:
    """A chunk that this process may work on, while its fence is valid."""

    number: int
    stage: int
    payload: Mapping[str, Any]
    size: int
    fence: int
    attempts: int
    lease: float
    """Seconds for which the claim is valid: longer at each attempt, in case the chunk simply takes that long."""


@dataclass
class Tally:
    """Counts of items (rows that are listed, records that were found right), by outcome.

    checked = changed + unchanged + skipped + failed.
    """

    checked: int = 0
    changed: int = 0
    unchanged: int = 0
    skipped: int = 0
    failed: int = 0


@dataclass
class Step:
    """One transaction of a chunk: its counts and items are committed together with its writes."""

    connection: Connection
    run_id: int
    tally: Tally = field(default_factory=Tally)
    items: list[dict[str, Any]] = field(default_factory=list)
    more: int = 0
    """Items beyond the chunk's size, where several rows of a record are listed; negative: passed to another chunk."""

    def item(
        self,
        subject: str,
        outcome: str,
        *,
        owner: int | None = None,
        key: Mapping[str, Any] | None = None,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        error: str = "",
        details: Mapping[str, Any] | None = None,
        amounts: Mapping[str, Decimal | None] | None = None,
    ) -> None:
        """Record an item; `RunItem` defines the fields and the `amounts`. The caller counts it in `tally`."""
        self.items.append(
            {
                "subject": subject, "outcome": outcome, "owner": owner, "key": dict(key or {}),
                "before": before, "after": after, "error": error, "details": dict(details or {}),
                **dict.fromkeys(AMOUNTS), **(amounts or {}),
            }
        )  # fmt: skip

    def add(self, chunks: Iterable[Chunk]) -> None:
        """Add further chunks to the run, which begin once this transaction has committed."""
        one_at_a_time = select(RUNS.c.id).where(RUNS.c.id == self.run_id)
        self.connection.execute(one_at_a_time.with_for_update(key_share=True))
        last = select(func.max(CHUNKS.c.number)).where(CHUNKS.c.run_id == self.run_id)
        first = (self.connection.scalar(last) or 0) + 1
        rows: list[dict[str, Any]] = [
            {
                "run_id": self.run_id, "number": number, "stage": chunk.stage,
                "payload": dict(chunk.payload), "size": chunk.size,
            }
            for number, chunk in enumerate(chunks, start=first)
        ]  # fmt: skip
        if rows:
            self.connection.execute(insert(CHUNKS), rows)
            more = func.coalesce(RUNS.c.total, 0) + sum(row["size"] for row in rows)
            self.connection.execute(update(RUNS).where(RUNS.c.id == self.run_id).values(total=more))

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Roll back only the block if it fails, with its counts and items; the exception is re-raised."""
        counted, recorded = asdict(self.tally), len(self.items)
        try:
            with self.connection.begin_nested():
                yield
        except BaseException:
            self.tally.__dict__.update(counted)
            del self.items[recorded:]
            raise


class Pace:
    """The pace of a worker's run: a paced one pauses between transactions, so that users at screens don't feel it.

    A worker that is asked to stop finishes what it has begun without pauses.
    """

    def __init__(self, is_paced: bool, stopping: Callable[[], bool] = lambda: False) -> None:
        self._factor = (1 - SHARE) / SHARE if is_paced else 0.0
        self._stopping = stopping

    @contextmanager
    def around(self) -> Iterator[None]:
        """Time the block and pause in proportion after it, when nothing is locked any more."""
        began = time.monotonic()
        yield
        rest = min((time.monotonic() - began) * self._factor, LONGEST_REST)
        if rest > 0 and not self._stopping():
            time.sleep(rest)


class Work:
    """One claimed chunk, as the kind's `work` sees it."""

    def __init__(
        self,
        engine: Engine,
        asked: Asked,
        claim: ClaimedChunk,
        pace: Pace,
        learned: dict[str, Any] | None = None,
    ) -> None:
        self.engine = engine
        self.asked = asked
        self.claim = claim
        self.payload = claim.payload
        self.learned = {} if learned is None else learned
        """What the worker keeps from earlier chunks of the run, by name; the kind decides what."""
        self._pace = pace
        self.is_done = False

    @contextmanager
    def transaction(self, *, is_last: bool = False) -> Iterator[Step]:
        """A short transaction under the fence; then a pause, so that users at screens don't feel it.

        With `is_last` the chunk is done when it commits, so that its effect and its end are atomic;
        items of it that were not counted are unchanged.
        Raises Fenced, and writes nothing, when another worker has taken the chunk over.
        """
        with self._pace.around(), self.engine.begin() as connection:
            self._hold(connection)
            step = Step(connection, self.asked.id)
            yield step
            self._record(step, is_last)
        self.is_done = self.is_done or is_last

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A read-only REPEATABLE READ snapshot, for comparing; then a pause."""
        with self._pace.around(), snapshots.snapshot(self.engine) as connection:
            yield connection

    def _hold(self, connection: Connection) -> None:
        idle = {"idle": _milliseconds(self.claim.lease)}
        if connection.execute(_held(), self.claimed | idle).first() is None:
            raise Fenced()

    @property
    def claimed(self) -> dict[str, int]:
        """The values of the parameters of `MINE`."""
        return {
            "of_run": self.asked.id,
            "of_chunk": self.claim.number,
            "under_fence": self.claim.fence,
        }

    def _record(self, step: Step, is_last: bool) -> None:
        if step.items:
            rows = [{"run_id": self.asked.id, **item} for item in step.items]
            step.connection.execute(insert(ITEMS), rows)
        if step.more:
            total = func.greatest(RUNS.c.total + step.more, 0)
            of_run = update(RUNS).where(RUNS.c.id == self.asked.id)
            step.connection.execute(of_run.values(total=total))
        counted = {f"more_{name}": count for name, count in asdict(step.tally).items()}
        values = self.claimed | counted | {"more_size": step.more, "lease": self.claim.lease}
        step.connection.execute(_counted(is_last), values)


MINE = (
    CHUNKS.c.run_id == bindparam("of_run"),
    CHUNKS.c.number == bindparam("of_chunk"),
    CHUNKS.c.fence == bindparam("under_fence"),
    CHUNKS.c.status == OPEN,
)
"""The conditions that select a chunk while its claim is valid; see `Work.claimed`."""


# Each transaction of a chunk begins with the first of these and ends with the second: they are built once.


@cache
def _held() -> Select[Any]:
    """Locks the chunk, if its claim is valid and its run has not ended."""
    is_live = select(RUNS.c.id).where(RUNS.c.id == CHUNKS.c.run_id, RUNS.c.finished_at.is_(None))
    ends = _ended_when_idle(bindparam("idle", type_=Text))
    return select(CHUNKS.c.number, ends).where(*MINE, is_live.exists()).with_for_update()


@cache
def _counted(is_last: bool) -> Update:
    """Adds to the chunk's counters and renews its lease.

    At the end, items neither changed, skipped nor failed are unchanged, however often the chunk began.
    """
    counts = {name: CHUNKS.c[name] + bindparam(f"more_{name}") for name in ("size", *COUNTERS)}
    lease = func.clock_timestamp() + seconds_of(bindparam("lease", type_=Float))
    values: dict[str, Any] = {**counts, "lease_until": lease}
    if is_last:
        listed = counts["changed"] + counts["skipped"] + counts["failed"]
        whole = case((CHUNKS.c.size > 0, counts["size"]), else_=counts["checked"])
        looked_at = func.greatest(whole, listed)
        values |= {"status": CHUNK_DONE, "checked": looked_at, "unchanged": looked_at - listed}
    return update(CHUNKS).where(*MINE).values(values)


def seconds_of(seconds: float | ColumnElement[float]) -> Any:
    """Seconds as a PostgreSQL interval."""
    number = seconds if isinstance(seconds, ColumnElement) else literal(seconds)
    return number * text("interval '1 second'")


def give_up_when_idle(connection: Connection, seconds: float = 60.0) -> None:
    """Have PostgreSQL end this transaction if its process is stopped in the middle of it."""
    connection.execute(select(ended_when_idle(seconds)))


def ended_when_idle(seconds: float = 60.0) -> ColumnElement[str]:
    """The expression that, when selected, has PostgreSQL end this transaction if its process is stopped meanwhile."""
    return _ended_when_idle(_milliseconds(seconds))


def _ended_when_idle(milliseconds: Any) -> ColumnElement[str]:
    return func.set_config("idle_in_transaction_session_timeout", milliseconds, True)


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))
