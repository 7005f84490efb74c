"""Runs: the permanent record of one background piece of work, its chunks and its items."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    DateTime,
    ForeignKey,
    Index,
    Numeric,
    Text,
    UniqueConstraint,
    func,
    or_,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column

from ..base import Base, Id, Moment
from ..base.actor import ACTOR

AWAITING_APPROVAL = "awaiting approval"
QUEUED = "queued"
RUNNING = "running"
DONE = "done"
DONE_WITH_FAILURES = "finished with failures"
FAILED = "failed"
CANCELLED = "cancelled"

STATUSES = (AWAITING_APPROVAL, QUEUED, RUNNING, DONE, DONE_WITH_FAILURES, FAILED, CANCELLED)
LIVE = (AWAITING_APPROVAL, QUEUED, RUNNING)
"""A live run has not finished; of one kind and scope there is at most one."""

FOUND = "found"
APPLIED = "applied"
UNCHANGED = "unchanged"
SKIPPED = "skipped"
ITEM_FAILED = "failed"
OUTCOMES = (FOUND, APPLIED, UNCHANGED, SKIPPED, ITEM_FAILED)
"""The outcome of an item. `found` is what a dry run would change; unchanged items are counted, not stored."""

OPEN, CHUNK_DONE, CHUNK_FAILED = "open", "done", "failed"
"""The statuses of a chunk."""

ENDED = (DONE, DONE_WITH_FAILURES, FAILED, CANCELLED)
"""The statuses of a run that has ended."""

COMPLETED = (DONE, DONE_WITH_FAILURES)
"""The statuses of a run that has ended after all of its chunks."""

PLAN, PLAN_STAGE = 0, -1
"""Number and stage of the chunk that plans the others."""

COUNTERS = ("checked", "changed", "unchanged", "skipped", "failed")
"""The counters of a run, of a chunk and of a transaction."""

AMOUNTS = ("amount_before", "amount_after", "amount", "gross", "concerns")
"""The amounts of an item, defined in `RunItem`."""


class Run(Base):
    """One piece of background work: its scope, the user who requested it, its progress and its result.

    The row is its own outbox: it is written in the transaction that requests it, and a relay delivers
    it to the workers (`deliveries`, `delivered_at`); with `is_here` a command performs it itself, and
    the relay takes it over only when that command seems dead. `served_at` is when a chunk of it was last
    claimed (`turns.py`). `scope` holds the kind's parameters, JSON only;
    `scope_key` is equal for equal scopes. `digest` identifies what a run that needs approval changes;
    PostgreSQL sets it. `follows` is the dry run that this one applies, or
    the run that it retries. `total` is how many items it will look at, empty until it is planned;
    `checked` counts items looked at, `changed` those written (in a dry run: that would be),
    `unchanged`, `skipped` and `failed` the rest: an item is a row that is listed, or a record that was found
    right, so that the four add up to `checked`. They are final once it has finished (until then: the chunks' sums).
    `error` is why the run itself failed.
    """

    __tablename__ = "runs"
    __table_args__ = (
        CheckConstraint(
            "status IN ('awaiting approval', 'queued', 'running', 'done', 'finished with failures', "
            "'failed', 'cancelled')",
            name="status",
        ),
        CheckConstraint(
            "(finished_at IS NULL) = (status IN ('awaiting approval', 'queued', 'running'))",
            name="finished",
        ),
        UniqueConstraint("schedule", "due_at"),
        Index(
            "ix_runs_live",
            "kind",
            "scope_key",
            unique=True,
            postgresql_where=text("finished_at IS NULL"),
        ),
        Index("ix_runs_served_at", "served_at", postgresql_where=text("served_at IS NOT NULL")),
        Index("ix_runs_created_at_id", "created_at", "id"),
        Index("ix_runs_follows", "follows", postgresql_where=text("follows IS NOT NULL")),
    )

    id: Mapped[Id]
    kind: Mapped[str] = mapped_column(Text)
    scope: Mapped[dict[str, Any]] = mapped_column(JSONB)
    scope_key: Mapped[str] = mapped_column(Text)
    dry_run: Mapped[bool] = mapped_column(server_default="false", default=False)
    is_paced: Mapped[bool] = mapped_column(server_default="true", default=True)
    is_here: Mapped[bool] = mapped_column(server_default="false", default=False)
    status: Mapped[str] = mapped_column(Text, server_default=QUEUED, default=QUEUED)
    requested_by: Mapped[str] = mapped_column(Text, server_default="", default="", info=ACTOR)
    reason: Mapped[str] = mapped_column(Text, server_default="", default="", info={"longest": 500})
    follows: Mapped[int | None] = mapped_column(ForeignKey("runs.id"))
    approved_by: Mapped[str] = mapped_column(Text, server_default="", default="", info=ACTOR)
    approved_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    digest: Mapped[str] = mapped_column(Text, server_default="", default="")
    cancelled_by: Mapped[str] = mapped_column(Text, server_default="", default="")
    schedule: Mapped[str | None] = mapped_column(Text)
    due_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    deliveries: Mapped[int] = mapped_column(server_default="0", default=0)
    delivered_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    served_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    total: Mapped[int | None] = mapped_column(BigInteger)
    checked: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    changed: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    unchanged: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    skipped: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    failed: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    result: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}", default=dict)
    error: Mapped[str] = mapped_column(Text, server_default="", default="")
    created_at: Mapped[Moment]
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[Moment]
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    @property
    def is_live(self) -> bool:
        """Whether it has not finished."""
        return self.finished_at is None

    @property
    def is_completed(self) -> bool:
        """Whether all of its chunks were worked on, with or without failures."""
        return self.status in COMPLETED

    @hybrid_property
    def never_began(self) -> bool:
        """Whether it was cancelled before anything was done: it must be requested, and approved, anew."""
        return self.status == CANCELLED and self.started_at is None

    @never_began.inplace.expression
    @classmethod
    def _never_began(cls) -> ColumnElement[bool]:
        return (cls.status == CANCELLED) & cls.started_at.is_(None)


class RunChunk(Base):
    """A part of a live run that one worker does at a time.

    The worker that claims it raises `fence` and holds it until `lease_until`; every transaction of the
    chunk commits only under the fence that it was claimed with. Chunks of a later `stage` wait
    until every earlier one is done. Done chunks are kept until the run has finished, then deleted.
    """

    __tablename__ = "run_chunks"
    __table_args__ = (CheckConstraint("status IN ('open', 'done', 'failed')", name="status"),)

    run_id: Mapped[int] = mapped_column(ForeignKey(Run.id, ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    stage: Mapped[int] = mapped_column(server_default="0", default=0)
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    size: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    status: Mapped[str] = mapped_column(Text, server_default=OPEN, default=OPEN)
    fence: Mapped[int] = mapped_column(server_default="0", default=0)
    attempts: Mapped[int] = mapped_column(server_default="0", default=0)
    worker: Mapped[str] = mapped_column(Text, server_default="", default="")
    lease_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    checked: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    changed: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    unchanged: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    skipped: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    failed: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    error: Mapped[str] = mapped_column(Text, server_default="", default="")


def ready_at() -> ColumnElement[datetime]:
    """Since when a run could begin: its approval, else its request."""
    return func.coalesce(Run.approved_at, Run.created_at)


def is_held() -> ColumnElement[bool]:
    """Whether a worker's claim on a chunk is valid now."""
    return RunChunk.lease_until > func.clock_timestamp()


def is_free() -> ColumnElement[bool]:
    """Whether no worker's claim on a chunk is valid now."""
    return or_(RunChunk.lease_until.is_(None), ~is_held())


class RunItem(Base):
    """What a run did to one record, or (`found`) would do. Kept for 90 days.

    `subject` is the kind of record (a figure's name, "customer"), `owner` and `key` identify it;
    `before` and `after` map columns to amounts as strings, `before` null where a row was missing,
    `after` where it is surplus. `amount_before` and `amount_after` add the item's amounts up, in the
    deployment's currency, and `amount` is the net difference: before + amount = after; empty where no amount
    changes. `gross` adds the differences up without their signs: what a limit is compared with. `concerns` is the
    amount of a document that the item is about and does not change (a payment that is assigned its meter).
    `details` is specific to the kind (a finding's roots).
    """

    __tablename__ = "run_items"
    __table_args__ = (
        CheckConstraint(
            "outcome IN ('found', 'applied', 'unchanged', 'skipped', 'failed')", name="outcome"
        ),
        CheckConstraint("amount <> 'NaN'", name="amount_no_nan"),
        CheckConstraint("amount = amount_after - amount_before", name="ties_out"),
        CheckConstraint(
            "amount_before <> 'NaN' AND amount_after <> 'NaN' AND concerns <> 'NaN'",
            name="amounts_no_nan",
        ),
        CheckConstraint("gross >= abs(amount) AND gross <> 'NaN'", name="gross"),
        Index("ix_run_items_run_id_owner_id", "run_id", "owner", "id"),
    )

    id: Mapped[Id]
    run_id: Mapped[int] = mapped_column(ForeignKey(Run.id, ondelete="CASCADE"))
    subject: Mapped[str] = mapped_column(Text)
    owner: Mapped[int | None] = mapped_column(BigInteger)
    key: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}", default=dict)
    outcome: Mapped[str] = mapped_column(Text)
    before: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    after: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    amount_before: Mapped[Decimal | None] = mapped_column(Numeric)
    amount_after: Mapped[Decimal | None] = mapped_column(Numeric)
    amount: Mapped[Decimal | None] = mapped_column(Numeric)
    gross: Mapped[Decimal | None] = mapped_column(Numeric)
    concerns: Mapped[Decimal | None] = mapped_column(Numeric)
    error: Mapped[str] = mapped_column(Text, server_default="", default="")
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}", default=dict)
    at: Mapped[Moment]
