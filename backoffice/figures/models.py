"""The core's own tables: notes of touched owners, and corrections."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ARRAY, BigInteger, DateTime, Index, Numeric, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from ..base import Base, Id, Moment

SETTLING = "backoffice.settling"
"""Setting that names, for one statement, the bundles that a correction writes: their own rows need no note."""


class Xid8(UserDefinedType[int]):
    """PostgreSQL's 64-bit transaction id."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The type's name in DDL."""
        return "xid8"


class Xid(UserDefinedType[int]):
    """PostgreSQL's 32-bit transaction id, as a row's `xmin` holds it."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The type's name in DDL."""
        return "xid"


class FigureNote(Base):
    """A note that the figures of this owner may be wrong: written by triggers, removed by the recompute.

    `owner` empty means every owner (TRUNCATE). `delta` holds the change of each column of an
    incremental figure, in the declaration's order; empty means "recompute absolutely". `key` identifies
    the owner's derived row that changed, by the values of the figure's key as text.
    A drain that failed counts in `attempts`, and is tried again from `retry_at` on.
    `definition` is that of the bundle at the time of writing; see `definitions`.
    `since` is the place from which the owner's running rows (`Figure.along`) are to be recomputed, as text; empty for
    all of them.
    `source` and `source_id` name the row that reached the owner through another table, so that
    the drain can look up its owner again under lock.
    """

    __tablename__ = "figure_notes"
    __table_args__ = (Index("ix_figure_notes_xid", "xid"),)

    id: Mapped[Id]
    xid: Mapped[int] = mapped_column(Xid8, server_default=func.pg_current_xact_id())
    bundle: Mapped[str] = mapped_column(Text)
    owner: Mapped[int | None] = mapped_column(BigInteger)
    source: Mapped[str | None] = mapped_column(Text)
    source_id: Mapped[int | None] = mapped_column(BigInteger)
    delta: Mapped[list[Decimal] | None] = mapped_column(ARRAY(Numeric))
    key: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    since: Mapped[str | None] = mapped_column(Text)
    definition: Mapped[str] = mapped_column(Text, server_default="", default="")
    db_user: Mapped[str] = mapped_column(Text, server_default=func.session_user())
    attempts: Mapped[int] = mapped_column(server_default="0", default=0)
    retry_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    noted_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.clock_timestamp()
    )


noted_bundle = func.split_part(FigureNote.bundle, "#", 1)
"""A note's bundle by its bare name: the suffix identifies the declaration by which the note was written."""


def bundle_of_note(name: str) -> str:
    """The same for a note already read; see `change_name`."""
    return name.partition("#")[0]


class Correction(Base):
    """The permanent record of one heal of one figure row. Append-only.

    `before` and `after` map the figure's columns to amounts as strings; `before` is null where a
    missing row was added, `after` where a surplus row was removed.
    """

    __tablename__ = "corrections"
    __table_args__ = (
        Index("ix_corrections_figure_owner_id", "figure", "owner", "id"),
        Index("ix_corrections_run_id", "run_id"),
    )

    id: Mapped[Id]
    figure: Mapped[str] = mapped_column(Text)
    owner: Mapped[int] = mapped_column(BigInteger)
    key: Mapped[dict[str, Any]] = mapped_column(JSONB)
    before: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    after: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    cause: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text, server_default="")
    actor: Mapped[str] = mapped_column(Text, server_default="")
    db_user: Mapped[str] = mapped_column(Text, server_default="")
    run_id: Mapped[int | None] = mapped_column(BigInteger)
    at: Mapped[Moment]
