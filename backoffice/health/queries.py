"""Reads of the Health overview: each figure with its last verification, checks, and background work."""

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
from ..drift.figure_status import IS_COUNTED, IS_OPEN, LATEST, failed_figures
from ..drift.models import DriftFinding, FigureCheck
from ..drift.verification.checks import all_checks
from ..figures import Check, Figure, registry
from ..figures.models import Correction, noted_bundle
from ..runs.models import QUEUED, Run, is_held, ready_at

DAYS = 30
"""Days of which corrections are shown."""

MOST_CORRECTIONS = 50_000
"""The newest corrections that are counted; above that the count is a minimum."""

EXACT = 100_000
"""Up to this many owners are counted exactly; above it PostgreSQL's estimate is used."""

_CATALOGUE = table("pg_class", column("oid"), column("reltuples"))


@dataclass
class FigureHealth:
    """One figure: its last verification, its open findings, and its recent corrections.

    `failed`: a verification has failed since the last successful one. `wrong` rows differ by `amount` in total
    (absolute, in the deployment's currency). `owners` is their approximate number. `corrections` counts by cause.
    `noted` counts pending changes by other programs.
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
        """The share of its owners that were verified, in percent; None without owners."""
        if not self.owners:
            return None
        verified = min(self.check.owners, self.owners) if self.check else 0
        return round_amount(Decimal(100 * verified) / self.owners, 1)


def wrong_amount(figures: Iterable[FigureHealth]) -> Decimal:
    """The total amount by which these figures are wrong, in the deployment's currency."""
    return sum((health.amount for health in figures), Decimal(0))


@dataclass(frozen=True)
class DayCounts:
    """The number of findings and of corrections on one day."""

    day: date
    found: int
    corrected: int


@dataclass(frozen=True)
class Background:
    """The state of background work, from PostgreSQL.

    `working` chunks are held by workers now; `waiting` runs are queued, the oldest since `since`.
    `finished_at` is the end of the last finished run, `scheduled_at` the time of the last scheduled one.
    """

    working: int
    waiting: int
    since: datetime | None
    finished_at: datetime | None
    scheduled_at: datetime | None

    @property
    def is_stuck(self) -> bool:
        """Whether a run has waited for a worker for more than a minute."""
        return self.since is not None and self.since < datetime.now(UTC) - timedelta(minutes=1)


def figures(session: Session) -> Sequence[FigureHealth]:
    """The health of every figure, in order of dependency."""
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
    """One check: its last verification, and its open finding."""

    check: Check
    verified: FigureCheck | None
    finding: DriftFinding | None

    @property
    def is_stale(self) -> bool:
        """Whether it was verified too long ago."""
        return self.verified is not None and self.verified.verified_at < datetime.now(UTC) - LATEST


def checks(session: Session) -> Sequence[CheckHealth]:
    """The health of every check."""
    names = all_checks()
    of_checks = select(FigureCheck).where(FigureCheck.figure.in_(names))
    verified = {row.figure: row for row in session.scalars(of_checks)}
    opened = select(DriftFinding).where(IS_OPEN, DriftFinding.figure.in_(names))
    found = {row.figure: row for row in session.scalars(opened)}
    return [CheckHealth(one, verified.get(n), found.get(n)) for n, one in names.items()]


def _sizes(session: Session) -> Mapping[str, int]:
    """The number of rows of each owner table: counted where they are few, else PostgreSQL's estimate."""
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


def corrected(session: Session, healths: Sequence[FigureHealth]) -> Sequence[DayCounts]:
    """Set the corrections of each figure by cause; answers all corrections and findings by day."""
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
    return [DayCounts(on, found[on], by_day[on]) for on in days]


def _found_by_day(session: Session, since: date) -> Mapping[date, int]:
    day = business_day(DriftFinding.first_seen_at.expression)
    rows = (
        select(day, func.count())
        .where(DriftFinding.first_seen_at >= periods.start_of(since), IS_COUNTED)
        .group_by(day)
    )
    return defaultdict(int, session.execute(rows).all())


def background(session: Session) -> Background:
    """The state of background work."""
    held = select(func.count()).where(is_held())
    is_queued = Run.status == QUEUED
    row = session.execute(
        select(
            held.scalar_subquery().label("working"),
            func.count().filter(is_queued).label("waiting"),
            func.min(ready_at()).filter(is_queued).label("since"),
            func.max(Run.finished_at).label("finished_at"),
            func.max(Run.created_at).filter(Run.schedule.is_not(None)).label("scheduled_at"),
        )
    ).one()
    return Background(**row._mapping)
