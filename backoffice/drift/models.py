"""Findings of verification, and when every figure was last verified."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Index, Numeric, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from ..audit.facts import ADDED, CHANGED, REMOVED
from ..base import Base, Id, Moment
from ..runs.models import Run

DIFFERENT, MISSING, SURPLUS = "different", "missing", "surplus"
OF_FIGURES = (DIFFERENT, MISSING, SURPLUS)
OF_FACTS = (CHANGED, ADDED, REMOVED)
"""How a stored row differs: a figure from its sources, a fact from the audit trail."""

FOLLOWS = "follows"
ROUNDING = "rounding"
NOTED = "noted"
UNNOTICED = "unnoticed"
ROW = "row"
OWNERLESS = "ownerless"
FORGED = "forged"
IMPOSSIBLE = "impossible"
"""A date out of range, of findings until 0.16; the cause has the same name as the kind."""
UNEQUAL = "unequal"
"""A check with sides that differ; also the cause's name where every figure in it is right."""

ACCEPTED, RESTORED = "accepted", "restored"


class DriftFinding(Base):
    """One row of a figure, or of facts, that is (or was) wrong, from when it was first seen until it was healed.

    At most one finding per row is not healed; a further check of the row updates its `last_seen_at`,
    `stored` and `expected`. `stored` and `expected` map columns to amounts as
    strings, null for a row that is missing or surplus. `amount` is the net difference, expected minus stored,
    added up over the row's amounts; `gross` is the same without signs; both in the deployment's currency.
    `roots` are the lowest drifted rows that it follows from: `[{"figure": …, "key": {…}}]`. `cause` is
    the likely cause: `follows` (from another row, its root), `noted` (an outside program wrote, and its notes are
    undrained), `row` (a row is missing or surplus), `ownerless` (the record that it belongs to is
    missing), `rounding` (a minor unit at most), `unnoticed` (the
    stored value was changed without any trigger), `forged` (a fact that differs from the audit trail).
    `healed_by` is how it was resolved: `run`, `bypass` (the drain of an outside program's notes)
    or `save` (a later write of any program); for a fact `accepted` or `restored`, by a person; `dropped` where the kind
    of finding is gone.
    For a row of facts `figure` is `facts:<table>`, `key` its id, `stored` the row's values and
    `expected` those of the trail, and `owner` the record that it is shown with. For a check that differs
    `figure` is `check:<name>`, `owner` 0, `stored` its left side and `expected` its right one.
    """

    __tablename__ = "drift_findings"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('different', 'missing', 'surplus', 'changed', 'added', 'removed', 'impossible', 'unequal')",
            name="kind",
        ),
        CheckConstraint("amount <> 'NaN'", name="amount_no_nan"),
        CheckConstraint("gross >= abs(amount) AND gross <> 'NaN'", name="gross"),
        Index(
            "ix_drift_findings_open",
            "figure",
            "key",
            unique=True,
            postgresql_where=text("healed_at IS NULL"),
        ),
        Index(
            "ix_drift_findings_gross",
            text("gross DESC NULLS LAST"),
            text("id DESC"),
            postgresql_where=text("healed_at IS NULL"),
        ),
        Index("ix_drift_findings_owner", "figure", "owner"),
        Index("ix_drift_findings_first_seen_at_id", "first_seen_at", "id"),
    )

    id: Mapped[Id]
    figure: Mapped[str] = mapped_column(Text)
    owner: Mapped[int] = mapped_column(BigInteger)
    key: Mapped[dict[str, Any]] = mapped_column(JSONB)
    kind: Mapped[str] = mapped_column(Text)
    stored: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    expected: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    amount: Mapped[Decimal | None] = mapped_column(Numeric)
    gross: Mapped[Decimal | None] = mapped_column(Numeric)
    roots: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    is_root: Mapped[bool] = mapped_column()
    cause: Mapped[str] = mapped_column(Text)
    first_seen_at: Mapped[Moment]
    last_seen_at: Mapped[Moment]
    run_id: Mapped[int | None] = mapped_column(ForeignKey(Run.id, ondelete="SET NULL"))
    healed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    healed_by: Mapped[str] = mapped_column(Text, server_default="", default="")
    correction_id: Mapped[int | None] = mapped_column(BigInteger)


class FigureCheck(Base):
    """When a figure was last verified over all its owners, and the result.

    `owners` is how many were compared, `rows` how many rows there were or should have been, `drifted`
    how many of them were wrong, `amount` the sum of their gross amounts, in the deployment's
    currency. For a check (`check:<name>`) `owners` and `rows` are its parts.
    """

    __tablename__ = "figure_checks"
    __table_args__ = (CheckConstraint("amount <> 'NaN'", name="amount_no_nan"),)

    figure: Mapped[str] = mapped_column(Text, primary_key=True)
    verified_at: Mapped[Moment]
    owners: Mapped[int] = mapped_column(BigInteger)
    rows: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    drifted: Mapped[int] = mapped_column(BigInteger)
    amount: Mapped[Decimal] = mapped_column(Numeric, server_default="0", default=Decimal)
    milliseconds: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    run_id: Mapped[int | None] = mapped_column(ForeignKey(Run.id, ondelete="SET NULL"))
