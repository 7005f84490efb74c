"""Months that were closed."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ...base import Base, Id
from ..models import JournalEntry

CLOSED, OPEN = "closed", "open"


class Period(Base):
    """A month that was closed, and may have been reopened; `month` is its first day. One that never was has no row.

    `closed_by` and `reopened_by` are actors, as the audit trail names them; `approved_by` is the second person of
    whichever was last, where there had to be one. `closing_entry_id` is the entry by which
    the last month of a year has moved its earnings to retained earnings, while the month is closed.
    """

    __tablename__ = "periods"
    __table_args__ = (
        CheckConstraint("status IN ('closed', 'open')", name="status"),
        CheckConstraint("EXTRACT(day FROM month) = 1", name="month"),
        CheckConstraint("status = 'closed' OR closing_entry_id IS NULL", name="closing_entry"),
    )

    id: Mapped[Id]
    month: Mapped[date] = mapped_column(unique=True)
    status: Mapped[str] = mapped_column(Text, server_default=CLOSED, default=CLOSED)
    closed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    closed_by: Mapped[str] = mapped_column(Text)
    reopened_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    reopened_by: Mapped[str] = mapped_column(Text, server_default="", default="")
    reason: Mapped[str] = mapped_column(Text, server_default="", default="")
    approved_by: Mapped[str] = mapped_column(Text, server_default="", default="")
    closing_entry_id: Mapped[int | None] = mapped_column(ForeignKey(JournalEntry.id), unique=True)

    closing_entry: Mapped[JournalEntry | None] = relationship(viewonly=True)
