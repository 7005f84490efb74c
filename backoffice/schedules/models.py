"""What schedulers remember: since when a schedule is known, what stands in its way, who is at work."""

from datetime import datetime

from sqlalchemy import DateTime, ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from ..base import Base, Moment
from ..runs.models import Run


class KnownSchedule(Base):
    """A schedule that a scheduler has seen; the schedules themselves stand in `catalog.py`.

    Nothing that was due before `known_since` is started. `held_due_at` is the last due time that a
    run of the same kind and scope (`held_by`) stood in the way of: it waits for that run's end, and
    where that comes too late, it was skipped for it.
    """

    __tablename__ = "schedules"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    known_since: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    held_due_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    held_by: Mapped[int | None] = mapped_column(ForeignKey(Run.id, ondelete="SET NULL"))


class Scheduler(Base):
    """A scheduler's process, by machine and number, and when it last looked what is due."""

    __tablename__ = "schedulers"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    looked_at: Mapped[Moment]
