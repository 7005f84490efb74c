"""What the overview of Health tells: each figure with its last verification, and the work in the background."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Table, case, cast, column, func, select, table
from sqlalchemy.orm import Session

from ..base import periods
from ..base.business_days import business_day
from ..base.money import round_amount
from ..drift.models import DriftFinding, FigureCheck
from ..drift.standing import IS_COUNTED, IS_OPEN, LATEST, failed_figures
from ..drift.verification.checks import all_checks
from ..figures import Check, Figure, registry
from ..figures.models import Correction, noted_bundle
from ..runs.models import QUEUED, Run, is_held

DAYS = 30
"""How far back corrections are told of."""

MOST_CORRECTIONS = 50_000
"""The newest corrections that are counted; a flood of them is told as so many at least."""

EXACT = 100_000
"""Owners that are counted; of more than that PostgreSQL's own estimate is told."""

_CATALOGUE = table("pg_class", column("oid"), column("reltuples"))


@dataclass
class FigureHealth:
    """One figure: what its last verification found, what is open now, and what was corrected lately.

    `failed`: a verification has failed since the last one that did not. `wrong` rows differ
    by `amount` in all (absolute, in the deployment's currency). `owners` is how
    many it has now, about. `corrections` counts by cause. `noted` changes by other programs wait.
    """

    figure: Figure
    owners: int = 0
    check: FigureCheck | None = None
    failed: bool = False
    wrong: int = 0
    amount: Decimal = Decimal(0)
    corrections: Counter[str] = field(default_factory=Counter)
    noted: int = 0

    @property
    def is_stale(self) -> bool:
        """Whether it was verified too long ago, or never though it has owners."""
        if self.check is None:
            return self.owners > 0
        return self.check.verified_at < datetime.now(UTC) - LATEST

    @property
    def coverage(self) -> Decimal | None:
        """How many of its owners were verified, in percent; None where it has none."""
        if not self.owners:
            return None
        verified = min(self.check.owners, self.owners) if self.check else 0
        return round_amount(Decimal(100 * verified) / self.owners, 1)


def wrong_amount(figures: Iterable[FigureHealth]) -> Decimal:
    """By how much all of them are wrong."""
    return sum((health.amount for health in figures), Decimal(0))


@dataclass(frozen=True)
class Day:
    """What was found and what was corrected on one day."""

    day: date
    found: int
    corrected: int


@dataclass(frozen=True)
class Background:
    """The work in the background, as far as PostgreSQL tells.

    `working` chunks are held by workers now; `waiting` runs are queued, the oldest since `since`.
    `finished_at` is when a run ended last, `scheduled_at` when a schedule last began one.
    """

    working: int
    waiting: int
    since: datetime | None
    finished_at: datetime | None
    scheduled_at: datetime | None

    @property
    def is_stuck(self) -> bool:
        """Whether something has waited for a worker longer than it should."""
        return self.since is not None and self.since < datetime.now(UTC) - timedelta(minutes=1)


def figures(session: Session) -> Sequence[FigureHealth]:
    """Every figure, each after what it builds on."""
    found = {figure.name: FigureHealth(figure) for figure in registry.figures}
    sizes = _sizes(session)
    for health in found.values():
        health.owners = sizes[health.figure.owner_table.name]
    for check in session.scalars(select(FigureCheck)):
        if check.figure in found:
            found[check.figure].check = check
    for name in session.scalars(failed_figures()):
        if name in found:
            found[name].failed = True
    opened: Any = (
        select(
            DriftFinding.figure,
            func.count(),
            func.coalesce(func.sum(DriftFinding.gross), 0),
        )
        .where(IS_OPEN)
        .group_by(DriftFinding.figure)
    )
    for name, wrong, amount in session.execute(opened):
        if name in found:
            found[name].wrong, found[name].amount = wrong, amount
    for name, noted in _noted(session).items():
        found[name].noted = noted
    return list(found.values())


@dataclass(frozen=True)
class CheckHealth:
    """One check: when it was verified last, and what was found to differ, net and gross."""

    check: Check
    verified: FigureCheck | None
    finding: DriftFinding | None

    @property
    def is_stale(self) -> bool:
        """Whether it was verified too long ago."""
        return self.verified is not None and self.verified.verified_at < datetime.now(UTC) - LATEST


def checks(session: Session) -> Sequence[CheckHealth]:
    """Every check, as it is known."""
    names = all_checks()
    mine = select(FigureCheck).where(FigureCheck.figure.in_(names))
    verified = {row.figure: row for row in session.scalars(mine)}
    opened = select(DriftFinding).where(IS_OPEN, DriftFinding.figure.in_(names))
    found = {row.figure: row for row in session.scalars(opened)}
    return [CheckHealth(one, verified.get(n), found.get(n)) for n, one in names.items()]


def _sizes(session: Session) -> Mapping[str, int]:
    """How many rows each table of owners has: counted where they are few, else as PostgreSQL estimates."""
    tables = {figure.owner_table.name: figure.owner_table for figure in registry.figures}
    if not tables:
        return {}
    row = session.execute(select(*(_size(table).label(name) for name, table in tables.items())))
    return {name: int(size) for name, size in row.one()._mapping.items()}


def _size(owners: Table) -> ColumnElement[Any]:
    estimate = (
        select(cast(_CATALOGUE.c.reltuples, BigInteger))
        .where(_CATALOGUE.c.oid == func.to_regclass(owners.name))
        .scalar_subquery()
    )
    counted = select(func.count()).select_from(owners).scalar_subquery()
    return case((estimate < EXACT, counted), else_=estimate)


def _noted(session: Session) -> Mapping[str, int]:
    rows = session.execute(select(noted_bundle, func.count()).group_by(noted_bundle))
    counts: dict[str, int] = dict(rows.all())
    return {
        figure.name: counts[name]
        for figure in registry.figures
        if (name := registry.bundle_of(figure).name) in counts
    }


def corrected(session: Session, healths: Sequence[FigureHealth]) -> Sequence[Day]:
    """Tell each figure its corrections by cause, and all of them by day with what was found."""
    since = periods.today() - timedelta(days=DAYS - 1)
    newest = (
        select(Correction.figure, Correction.cause, Correction.at)
        .order_by(Correction.id.desc())
        .limit(MOST_CORRECTIONS)
        .subquery()
    )
    day = business_day(newest.c.at)
    by_day: Counter[date] = Counter()
    known = {health.figure.name: health for health in healths}
    rows = (
        select(newest.c.figure, newest.c.cause, day, func.count())
        .where(newest.c.at >= periods.start_of(since))
        .group_by(newest.c.figure, newest.c.cause, day)
    )
    for name, cause, on, count in session.execute(rows):
        by_day[on] += count
        if name in known:
            known[name].corrections[cause] += count
    found = _found_by_day(session, since)
    days = (since + timedelta(days=number) for number in range(DAYS))
    return [Day(on, found[on], by_day[on]) for on in days]


def _found_by_day(session: Session, since: date) -> Mapping[date, int]:
    day = business_day(DriftFinding.first_seen_at.expression)
    rows = (
        select(day, func.count())
        .where(DriftFinding.first_seen_at >= periods.start_of(since), IS_COUNTED)
        .group_by(day)
    )
    return defaultdict(int, session.execute(rows).all())


def background(session: Session) -> Background:
    """How the work in the background stands."""
    held = select(func.count()).where(is_held())
    is_queued = Run.status == QUEUED
    row = session.execute(
        select(
            held.scalar_subquery().label("working"),
            func.count().filter(is_queued).label("waiting"),
            func.min(Run.created_at).filter(is_queued).label("since"),
            func.max(Run.finished_at).label("finished_at"),
            func.max(Run.created_at).filter(Run.schedule.is_not(None)).label("scheduled_at"),
        )
    ).one()
    return Background(**row._mapping)
