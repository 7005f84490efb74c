"""The one row that holds the currency and the time zone of this database's amounts and days."""

from datetime import date

from sqlalchemy import CheckConstraint, SmallInteger, Text
from sqlalchemy.orm import Mapped, mapped_column

from ..base import Base, Moment


class Book(Base):
    """The currency (ISO 4217) and business time zone (IANA) in which the book is kept. One row; the app only reads it.

    Written by the owner's role: at the first `db upgrade`, from the settings, and by `db set-meaning`, with a `reason`.
    Nothing dated up to `locked_until` (set by `balance lock`) or `closed_until` (the end of the last closed month, set
    by PostgreSQL), inclusive, can be entered, changed or deleted in the tables for which PostgreSQL enforces it.
    """

    __tablename__ = "book"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    currency: Mapped[str] = mapped_column(Text)
    business_timezone: Mapped[str] = mapped_column(Text)
    locked_until: Mapped[date | None]
    closed_until: Mapped[date | None]
    reason: Mapped[str] = mapped_column(Text)
    set_at: Mapped[Moment]
