"""State of the schedulers: since when a schedule is known, which run delays it, which schedulers are running."""

from datetime import datetime

from sqlalchemy import DateTime, ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from ..base import Base, Moment
from ..runs.models import Run


class KnownSchedule(Base):
    """A schedule that a scheduler has seen; the schedules themselves are declared in `catalog.py`.

    Nothing that was due before `known_since` is started. `held_due_at` is the last due time that was
    delayed by a live run of the same kind and scope (`held_by`): it waits for that run's end, and
    is skipped where that comes after the grace period.
    """

    __tablename__ = "schedules"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    known_since: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    held_due_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    held_by: Mapped[int | None] = mapped_column(ForeignKey(Run.id, ondelete="SET NULL"))


class Scheduler(Base):
    """A scheduler's process, by host name and process id, and when it last polled for due schedules."""

    __tablename__ = "schedulers"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    looked_at: Mapped[Moment]
