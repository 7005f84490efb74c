"""The one row that says what the amounts and days of this database mean."""

from datetime import date

from sqlalchemy import CheckConstraint, SmallInteger, Text
from sqlalchemy.orm import Mapped, mapped_column

from ..base import Base, Moment


class Book(Base):
    """In which currency (ISO 4217) and business time zone (IANA) the book is kept. One row; the app may only read it.

    Written by the owner: at the first `db upgrade`, from the settings, and by `db set-meaning`, with a `reason`. Up to
    the days `locked_until` (by `balance lock`) and `closed_until` (the last closed month's, said by PostgreSQL),
    inclusive, nothing dated is entered, changed or deleted where PostgreSQL holds to that.
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
