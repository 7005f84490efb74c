"""Reading drift: what is open, how the books stand, and whom a selection of findings belongs to."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Select,
    and_,
    any_,
    case,
    func,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy.orm import Session

from .. import subjects
from ..figures import registry
from ..figures.models import Correction
from ..subjects import Place
from .amounts import sum_in_sql
from .facts.findings import all_facts
from .models import DriftFinding, FigureCheck

LATEST = timedelta(hours=26)
"""A figure that was last verified longer ago is itself an alert: the nightly check has not run."""

MOST_COUNTED = 1_000
"""Open findings that are counted for the dot; it says how many only up to this."""

MOST_ROOTS = 20
"""Roots of one finding that are looked for: a month may follow from thousands of orders."""

State = Literal["right", "wrong", "stale", "unverified"]

IS_OPEN: ColumnElement[bool] = DriftFinding.healed_at.is_(None)


def name() -> ColumnElement[str]:
    """What a finding's row is called."""
    return subjects.numbered_in_sql(
        DriftFinding.figure.expression, DriftFinding.owner.expression, DriftFinding.key.expression
    )


def stored() -> ColumnElement[Decimal]:
    """What is stored, added up over the row's amounts; NULL of a row that is missing."""
    return _sum_of(DriftFinding.stored.expression)


def expected() -> ColumnElement[Decimal]:
    """What should be stored, added up likewise; NULL of a row that is too many."""
    return _sum_of(DriftFinding.expected.expression)


def _sum_of(values: ColumnElement[Any]) -> ColumnElement[Decimal]:
    figure = DriftFinding.figure.expression
    added = sum_in_sql([*registry.figures, *all_facts()], figure, values)
    return case((values.is_not(None), added))


@dataclass(frozen=True)
class Standing:
    """How the books stand as far as verification knows.

    `wrong` rows of figures are open findings, whose gross amounts `amount` adds up, in the deployment's
    currency; the oldest was first seen at `oldest`. `verified_at` is when the figure was verified
    that has waited longest. `verified` figures were verified some time, `unverified` ones have rows
    and never were.
    """

    wrong: int
    amount: Decimal
    oldest: datetime | None
    verified_at: datetime | None
    verified: int
    unverified: int

    @property
    def state(self) -> State:
        """The worst that is known."""
        if self.wrong:
            return "wrong"
        if self.unverified:
            return "unverified"
        return "stale" if self.is_stale else "right"

    @property
    def is_stale(self) -> bool:
        """Whether some figure was verified too long ago for a check that runs every night."""
        return self.verified_at is not None and self.verified_at < datetime.now(UTC) - LATEST


def standing(connection: Connection | Session, *, most: int | None = None) -> Standing:
    """How the books stand now; one statement. With `most`, no more than so many are counted."""
    opened = (
        select(DriftFinding.gross.label("amount"), DriftFinding.first_seen_at)
        .where(IS_OPEN)
        .limit(most)
        .subquery()
    )
    checks = select(
        func.min(FigureCheck.verified_at).label("verified_at"), func.count().label("verified")
    ).where(FigureCheck.figure.in_([figure.name for figure in registry.figures])).subquery()  # fmt: skip
    found = select(
        func.count().label("wrong"),
        func.coalesce(func.sum(opened.c.amount), 0).label("amount"),
        func.min(opened.c.first_seen_at).label("oldest"),
    ).subquery()
    both = found.join(checks, true())
    row = connection.execute(
        select(found, checks, _unverified().label("unverified")).select_from(both)
    ).one()
    return Standing(**row._mapping)


def _unverified() -> ColumnElement[int]:
    """How many figures have rows and were never verified."""
    counted: ColumnElement[int] = literal(0, Integer)
    for figure in registry.figures:
        has_rows = select(figure.primary_key).exists()
        is_checked = select(FigureCheck.figure).where(FigureCheck.figure == figure.name).exists()
        counted = counted + case((has_rows & ~is_checked, 1), else_=0)
    return counted


def finding_of(session: Session, finding_id: int) -> tuple[DriftFinding, str] | None:
    """The finding of that number and what its row is called; no name where the row is gone."""
    called = subjects.name_in_sql(
        DriftFinding.figure.expression, DriftFinding.owner.expression, DriftFinding.key.expression
    )
    row = session.execute(
        select(DriftFinding, func.coalesce(called, "")).where(DriftFinding.id == finding_id)
    ).one_or_none()
    return None if row is None else (row[0], row[1])


def place_of(finding: DriftFinding, called: str) -> Place:
    """Where the finding's row is."""
    return Place(finding.owner, finding.key, called)


def corrections_of(
    session: Session, finding: DriftFinding, limit: int = 50
) -> Sequence[Correction]:
    """Every correction of the finding's row, newest first."""
    return session.scalars(
        select(Correction)
        .where(
            Correction.figure == finding.figure,
            Correction.owner == finding.owner,
            Correction.key == finding.key,
        )
        .order_by(Correction.id.desc())
        .limit(limit)
    ).all()


def open_at(
    session: Session, roots: Sequence[Mapping[str, Any]]
) -> Sequence[tuple[DriftFinding, str]]:
    """The open findings of these rows (figure and key), of those that have one, and what each is called."""
    if not roots:
        return []
    rows = (
        and_(
            DriftFinding.figure == root["figure"],
            *(DriftFinding.key[name].astext == told for name, told in root["key"].items()),
        )
        for root in roots[:MOST_ROOTS]
    )
    found = select(DriftFinding, name()).where(IS_OPEN, or_(*rows)).order_by(DriftFinding.id)
    return [(finding, called) for finding, called in session.execute(found)]


def owners_in(session: Session, rows: Select[Any]) -> dict[str, list[int]]:
    """Figure → owners of these findings, each once, in order."""
    found: dict[str, list[int]] = defaultdict(list)
    chosen = rows.with_only_columns(DriftFinding.figure, DriftFinding.owner).where(IS_OPEN)
    for figure, owner in session.execute(chosen.distinct().order_by(None)):
        found[figure].append(owner)
    return {figure: sorted(owners) for figure, owners in sorted(found.items())}


def with_ids(ids: Sequence[int]) -> ColumnElement[bool]:
    """The findings of these numbers; one parameter, however many they are."""
    return DriftFinding.id == any_(literal(list(ids), ARRAY(BigInteger)))
