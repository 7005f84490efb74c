"""Runs: the permanent record of one piece of work over figures, with its progress and its result."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from ..base import Base, Id, Moment


class Run(Base):
    """One heal, rebuild or verification: what it was asked, how far it came, what came of it.

    `position` is where to resume (bundle and last owner whose chunk is committed); `checked`
    counts owners, `changed` corrections, `failed` items that could not be corrected.
    """

    __tablename__ = "runs"

    id: Mapped[Id]
    kind: Mapped[str] = mapped_column(Text)
    scope: Mapped[dict[str, Any]] = mapped_column(JSONB)
    dry_run: Mapped[bool] = mapped_column(server_default="false", default=False)
    status: Mapped[str] = mapped_column(Text)
    requested_by: Mapped[str] = mapped_column(Text, server_default="", default="")
    reason: Mapped[str] = mapped_column(Text, server_default="", default="")
    position: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}", default=dict)
    checked: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    changed: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    failed: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    error: Mapped[str] = mapped_column(Text, server_default="", default="")
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
