"""What a worker has in hand: what a run was asked, a claimed chunk of it, and transactions under the claim's fence.

Every transaction of a chunk first locks the chunk's row and looks whether its fence still stands, so that nobody
takes the chunk over while it works and a worker that was overtaken writes nothing.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    case,
    func,
    insert,
    literal,
    select,
    text,
    update,
)

from ..base import table_of
from ..database import snapshots
from .errors import Fenced
from .models import AMOUNTS, CHUNK_DONE, COUNTERS, OPEN, Run, RunChunk, RunItem

RUNS, CHUNKS, ITEMS = table_of(Run), table_of(RunChunk), table_of(RunItem)

SHARE = 0.25
"""The share of its time that a paced worker works; the rest belongs to people."""

LONGEST_REST = 2.0
"""Seconds; a rest is no longer, whatever the transaction took."""


@dataclass(frozen=True)
class Chunk:
    """A part of a run: what the kind's `work` is given, how many items that is, after which stages."""

    payload: Mapping[str, Any]
    size: int = 0
    stage: int = 0


@dataclass(frozen=True)
class Asked:
    """What a run was asked to do."""

    id: int
    kind: str
    scope: Mapping[str, Any]
    dry_run: bool
    is_paced: bool
    reason: str
    requested_by: str
    approved_by: str
    follows: int | None


@dataclass(frozen=True)
class ClaimedChunk:
    """A chunk that this process may work on, while its fence stands."""

    number: int
    stage: int
    payload: Mapping[str, Any]
    size: int
    fence: int
    attempts: int
    lease: float
    """Seconds for which it stands: longer each time, in case the chunk simply takes as long."""


@dataclass
class Tally:
    """How many items (rows that are listed, records that were found right) were looked at, and what came of them.

    Looked at = changed + right + left alone + failed.
    """

    checked: int = 0
    changed: int = 0
    unchanged: int = 0
    skipped: int = 0
    failed: int = 0


@dataclass
class Step:
    """One transaction of a chunk: what it counts and records commits with what it writes."""

    connection: Connection
    run_id: int
    tally: Tally = field(default_factory=Tally)
    items: list[dict[str, Any]] = field(default_factory=list)
    more: int = 0
    """Items beyond the size of the chunk: a record of which several rows are listed; below zero: handed on."""

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
        """Record an item; what the fields, and the `amounts`, mean stands in `RunItem`. Counting it is the caller's."""
        self.items.append(
            {
                "subject": subject, "outcome": outcome, "owner": owner, "key": dict(key or {}),
                "before": before, "after": after, "error": error, "details": dict(details or {}),
                **dict.fromkeys(AMOUNTS), **(amounts or {}),
            }
        )  # fmt: skip

    def add(self, chunks: Iterable[Chunk]) -> None:
        """Further chunks of the run, which begin once this transaction has committed."""
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
        """What fails inside is undone alone; the exception goes on to whoever asks."""
        counted, recorded = asdict(self.tally), len(self.items)
        try:
            with self.connection.begin_nested():
                yield
        except BaseException:
            self.tally.__dict__.update(counted)
            del self.items[recorded:]
            raise


class Pace:
    """The pace of a worker's run: a paced one rests between transactions, so that people at screens don't feel it.

    A worker that is told to stop finishes what it has begun without a rest.
    """

    def __init__(self, is_paced: bool, stopping: Callable[[], bool] = lambda: False) -> None:
        self._factor = (1 - SHARE) / SHARE if is_paced else 0.0
        self._stopping = stopping

    @contextmanager
    def around(self) -> Iterator[None]:
        """Work inside, and rest afterwards in proportion, when nothing is locked any more."""
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
        """What the worker has learned in earlier chunks of the run, by name; the kind says what."""
        self._pace = pace
        self.is_done = False

    @contextmanager
    def transaction(self, *, is_last: bool = False) -> Iterator[Step]:
        """A short transaction under the fence; afterwards a rest, so that people at screens don't feel us.

        With `is_last` the chunk is done when it commits, so that its effect and its end are one;
        items of it that nobody has counted are right.
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
        """A read-only REPEATABLE READ snapshot, for comparing; a rest afterwards."""
        with self._pace.around(), snapshots.snapshot(self.engine) as connection:
            yield connection

    def _hold(self, connection: Connection) -> None:
        is_live = select(RUNS.c.id).where(RUNS.c.id == self.asked.id, RUNS.c.finished_at.is_(None))
        mine = select(CHUNKS.c.number, ended_when_idle(self.claim.lease))
        mine = mine.where(*self.mine(), is_live.exists()).with_for_update()
        if connection.execute(mine).first() is None:
            raise Fenced()

    def mine(self) -> tuple[ColumnElement[bool], ...]:
        """What is true of our chunk while our claim stands."""
        return (
            CHUNKS.c.run_id == self.asked.id,
            CHUNKS.c.number == self.claim.number,
            CHUNKS.c.fence == self.claim.fence,
            CHUNKS.c.status == OPEN,
        )

    def _record(self, step: Step, is_last: bool) -> None:
        if step.items:
            rows = [{"run_id": self.asked.id, **item} for item in step.items]
            step.connection.execute(insert(ITEMS), rows)
        values: dict[str, Any] = {
            name: CHUNKS.c[name] + count for name, count in asdict(step.tally).items() if count
        }
        values["lease_until"] = func.clock_timestamp() + seconds_of(self.claim.lease)
        if step.more:
            values["size"] = CHUNKS.c.size + step.more
            total = func.greatest(RUNS.c.total + step.more, 0)
            of_run = update(RUNS).where(RUNS.c.id == self.asked.id)
            step.connection.execute(of_run.values(total=total))
        if is_last:
            values |= self._at_the_end(step)
        step.connection.execute(update(CHUNKS).where(*self.mine()).values(values))

    def _at_the_end(self, step: Step) -> dict[str, Any]:
        """What was neither changed nor left nor failed was found right, however often the chunk was begun."""
        tally = asdict(step.tally)
        counts = {name: CHUNKS.c[name] + tally[name] for name in COUNTERS}
        listed = counts["changed"] + counts["skipped"] + counts["failed"]
        size = CHUNKS.c.size + step.more
        looked_at = func.greatest(case((CHUNKS.c.size > 0, size), else_=counts["checked"]), listed)
        return {"status": CHUNK_DONE, "checked": looked_at, "unchanged": looked_at - listed}


def seconds_of(seconds: float | ColumnElement[float]) -> Any:
    """So many seconds, as an interval of PostgreSQL's."""
    number = seconds if isinstance(seconds, ColumnElement) else literal(seconds)
    return number * text("interval '1 second'")


def give_up_when_idle(connection: Connection, seconds: float = 60.0) -> None:
    """Let PostgreSQL end this transaction if its process is stopped in the middle of it."""
    connection.execute(select(ended_when_idle(seconds)))


def ended_when_idle(seconds: float = 60.0) -> ColumnElement[str]:
    """Selected, lets PostgreSQL end this transaction if its process is stopped in the middle of it."""
    milliseconds = str(int(seconds * 1000))
    return func.set_config("idle_in_transaction_session_timeout", milliseconds, True)
