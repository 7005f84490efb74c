"""Decisions about facts that differed from the audit trail."""

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from ...base import Base, Id, Moment


class FactDecision(Base):
    """One decision: a row was accepted as it is, or restored from the trail. Append-only, and audited.

    `stored` has the row's values, and `trail` those of the trail, of the columns that differed; null
    where there was no such row. `decided_by` is the actor.
    """

    __tablename__ = "fact_decisions"
    __table_args__ = (
        CheckConstraint("decision IN ('accepted', 'restored')", name="decision"),
        CheckConstraint("kind IN ('changed', 'added', 'removed')", name="kind"),
        CheckConstraint("reason <> ''", name="reason"),
        Index("ix_fact_decisions_table_name_row_id", "table_name", "row_id"),
        Index("ix_fact_decisions_finding_id", "finding_id"),
    )

    id: Mapped[Id]
    finding_id: Mapped[int] = mapped_column(BigInteger)
    table_name: Mapped[str] = mapped_column(Text)
    row_id: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(Text)
    decision: Mapped[str] = mapped_column(Text)
    stored: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    trail: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    reason: Mapped[str] = mapped_column(Text, info={"longest": 500})
    decided_by: Mapped[str] = mapped_column(Text)
    decided_at: Mapped[Moment]
