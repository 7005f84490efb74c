"""Queries on drift: one finding, the corrections of its row, and the owners of a selection of findings."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    and_,
    any_,
    case,
    false,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.orm import Session

from ..figures import Figure, UnknownFigure, registry
from ..figures.models import Correction
from ..web import record_links as subjects
from ..web.record_links import Place
from .amounts import leading_in_sql
from .facts.findings import all_facts
from .figure_status import IS_OPEN
from .models import OF_FIGURES, DriftFinding
from .verification.checks import all_sums, name_of, reading
from .verification.scope import parts

MOST_ROOTS = 20
"""The most roots of one finding that are looked up: a month may follow from thousands of orders."""


def name() -> ColumnElement[str]:
    """SQL for the title of a finding's row."""
    return subjects.numbered_in_sql(
        DriftFinding.figure.expression, DriftFinding.owner.expression, DriftFinding.key.expression
    )


def stored() -> ColumnElement[Decimal]:
    """SQL for the stored amount that stands for the row; NULL for a missing row, or one without amounts."""
    return _leading(DriftFinding.stored.expression, DriftFinding.expected.expression)


def expected() -> ColumnElement[Decimal]:
    """SQL for the expected amount that stands for the row; NULL for a surplus row, or one without amounts."""
    return _leading(DriftFinding.expected.expression, DriftFinding.stored.expression)


def _leading(mine: ColumnElement[Any], other: ColumnElement[Any]) -> ColumnElement[Decimal]:
    figure = DriftFinding.figure.expression
    amount = leading_in_sql([*registry.figures, *all_facts(), *all_sums()], figure, mine, other)
    return case((mine.is_not(None) & DriftFinding.amount.is_not(None), amount))


def finding_of(session: Session, finding_id: int) -> tuple[DriftFinding, str] | None:
    """The finding of that number and the title of its row; no title where the row no longer exists."""
    called = subjects.name_in_sql(
        DriftFinding.figure.expression, DriftFinding.owner.expression, DriftFinding.key.expression
    )
    row = session.execute(
        select(DriftFinding, func.coalesce(called, "")).where(DriftFinding.id == finding_id)
    ).one_or_none()
    return None if row is None else (row[0], row[1])


def place_of(finding: DriftFinding, called: str) -> Place:
    """The place of the finding's row."""
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
    """The open findings of those of these rows (figure and key) that have one, with the titles of the rows."""
    if not roots:
        return []
    rows = (
        and_(
            DriftFinding.figure == root["figure"],
            *(DriftFinding.key[name].astext == reported for name, reported in root["key"].items()),
        )
        for root in roots[:MOST_ROOTS]
    )
    found = select(DriftFinding, name()).where(IS_OPEN, or_(*rows)).order_by(DriftFinding.id)
    return [(finding, called) for finding, called in session.execute(found)]


def owners_in(session: Session, rows: Select[Any]) -> dict[str, list[int]]:
    """Figure → owners of these findings, each once, in order; without findings of facts, which are never healed."""
    found: dict[str, list[int]] = defaultdict(list)
    is_figure = DriftFinding.kind.in_(OF_FIGURES)
    chosen = rows.with_only_columns(DriftFinding.figure, DriftFinding.owner)
    chosen = chosen.where(IS_OPEN, is_figure)
    for figure, owner in session.execute(chosen.distinct().order_by(None)):
        found[figure].append(owner)
    return {figure: sorted(owners) for figure, owners in sorted(found.items())}


def found_in(
    session: Session, figures: Sequence[Figure] | None, owners: Sequence[int] | None
) -> Sequence[DriftFinding]:
    """The open findings of these figures (None: all) and these owners (None: all), lower figures first."""
    wanted = [figure.name for figure in registry.figures if figures is None or figure in figures]
    found = select(DriftFinding).where(IS_OPEN, DriftFinding.figure.in_(wanted))
    if owners is not None:
        found = found.where(DriftFinding.owner == any_(literal(list(owners), ARRAY(BigInteger))))
    in_order = case({name: place for place, name in enumerate(wanted)}, value=DriftFinding.figure)
    return session.scalars(found.order_by(in_order, DriftFinding.owner, DriftFinding.id)).all()


def covered_by(scope: Mapping[str, Any]) -> ColumnElement[bool]:
    """The findings that a verification of that scope covers; none where it names a figure no longer declared."""
    try:
        covered = parts(registry, scope, beneath=False)
    except UnknownFigure:
        return false()
    whole = [figure for part in covered if part.owners is None for figure in part.bundle.figures]
    names = [*(figure.name for figure in whole), *map(name_of, reading(whole))]
    of_owners = (
        and_(
            DriftFinding.figure.in_([figure.name for figure in part.bundle.figures]),
            DriftFinding.owner == any_(literal(list(part.owners), ARRAY(BigInteger))),
        )
        for part in covered
        if part.owners is not None
    )
    return or_(DriftFinding.figure.in_(names), *of_owners)


def with_ids(ids: Sequence[int]) -> ColumnElement[bool]:
    """The findings with these numbers; one parameter, however many there are."""
    return DriftFinding.id == any_(literal(list(ids), ARRAY(BigInteger)))
