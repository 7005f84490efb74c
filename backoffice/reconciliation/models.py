"""Kept reports: the totals of each, and its file."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, ForeignKey, Index, LargeBinary, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, deferred, mapped_column

from ..base import Base, Id, Moment
from ..runs.models import Run


class Reconciliation(Base):
    """One figure, reconciled as of `created_at` over all its rows, and kept as a compressed CSV file.

    `since` and `until` bound the corrections that it counts. `rows` is the number of its lines (one per
    figure row and column), `drifted` the number of those that differ; `totals` has the control totals of each column,
    amounts as strings. `sha256` is the digest of the CSV file, `content` the
    compressed file and `size` its bytes. `finished_at` and `content` are null until its run has written all of it.
    """

    __tablename__ = "reconciliations"
    __table_args__ = (
        UniqueConstraint("run_id", "figure"),
        Index("ix_reconciliations_created_at_id", "created_at", "id"),
    )

    id: Mapped[Id]
    run_id: Mapped[int | None] = mapped_column(ForeignKey(Run.id, ondelete="SET NULL"))
    figure: Mapped[str] = mapped_column(Text)
    created_at: Mapped[Moment]
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    rows: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    drifted: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    totals: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}", default=dict)
    size: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    sha256: Mapped[str] = mapped_column(Text, server_default="", default="")
    content: Mapped[bytes | None] = deferred(mapped_column(LargeBinary))
