"""Metrics of figures: rows that are wrong, times of verification, pending notes, corrections."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, column, func, select, table, text

from ..app.measures import Measure, Reading, Source
from ..base import money, table_of
from ..drift.models import DIFFERENT, MISSING, SURPLUS, DriftFinding, FigureCheck
from ..drift.verification.checks import all_checks
from ..figures import Figure, registry
from ..figures.models import Correction, FigureNote

FINDINGS, CHECKS = table_of(DriftFinding), table_of(FigureCheck)
NOTES, CORRECTIONS = table_of(FigureNote), table_of(Correction)

NEWEST_CORRECTIONS = 20_000
"""How many of the newest corrections are read, so that reading them never takes long."""

OPEN = Measure(
    "backoffice_drift_findings", "Rows of a figure that are wrong and not healed yet.",
    ("figure", "kind"),
)  # fmt: skip
AMOUNT = Measure(
    "backoffice_drift_amount", "By how much a figure is wrong, its differences added up unsigned.",
    ("figure", "currency"),
)  # fmt: skip
VALID = Measure(
    "backoffice_figure_valid_ratio", "Share of a figure's rows that are right, 0 to 1.", ("figure",)
)
VERIFIED_AT = Measure(
    "backoffice_figure_verified_timestamp_seconds", "When all of a figure was verified last.",
    ("figure",),
)  # fmt: skip
AGE = Measure(
    "backoffice_figure_verified_age_seconds",
    "How long ago all of a figure was verified last; +Inf: never.",
    ("figure",),
)
COVERAGE = Measure(
    "backoffice_figure_coverage_ratio",
    "Owners that the last verification compared, as a share of the owners there are now.",
    ("figure",),
)
TOOK = Measure(
    "backoffice_figure_verification_seconds", "How long the last verification took.", ("figure",)
)
GAP = Measure(
    "backoffice_check_difference",
    "By how much the sides of a check differ, part by part and unsigned, as it was last looked at.",
    ("check", "currency"),
)
CHECK_AGE = Measure(
    "backoffice_check_verified_age_seconds",
    "How long ago a check was compared last; +Inf: never.",
    ("check",),
)
NOTED = Measure("backoffice_notes_undrained", "Notes of outside programs that wait to be drained.")
NOTED_AGE = Measure("backoffice_notes_oldest_age_seconds", "Age of the oldest of these; 0: none.")
CORRECTED = Measure(
    "backoffice_corrections_last_day",
    f"Corrections of the last 24 hours, by cause; of the newest {NEWEST_CORRECTIONS:,} ever.",
    ("figure", "cause"),
)


def _drift(connection: Connection) -> Iterator[Reading]:
    rows = connection.execute(
        select(
            FINDINGS.c.figure, FINDINGS.c.kind, func.count(),
            func.coalesce(func.sum(FINDINGS.c.gross), 0),
        )
        .where(FINDINGS.c.healed_at.is_(None))
        .group_by(FINDINGS.c.figure, FINDINGS.c.kind)
    ).all()  # fmt: skip
    counts = {(figure, kind): count for figure, kind, count, _ in rows}
    verified = {row.figure: row for row in connection.execute(select(CHECKS))}
    for name in _names():
        wrong = {kind: counts.get((name, kind), 0) for kind in (DIFFERENT, MISSING, SURPLUS)}
        for kind, count in wrong.items():
            yield OPEN.is_now(count, name, kind)
        amount = sum(row[3] for row in rows if row[0] == name)
        yield AMOUNT.is_now(amount, name, money.currency())
        check = verified.get(name)
        if check is not None:
            yield VALID.is_now(_right(sum(wrong.values()), check.rows), name)


def _right(wrong: int, rows: int) -> float:
    """The share of rows that are right, from 0 to 1; a figure without rows is right unless rows are missing."""
    return max(0.0, 1 - wrong / rows) if rows else float(not wrong)


def _checks(connection: Connection) -> Iterator[Reading]:
    age = func.extract("epoch", func.clock_timestamp() - CHECKS.c.verified_at)
    moment = func.extract("epoch", CHECKS.c.verified_at)
    statement = select(
        CHECKS.c.figure,
        CHECKS.c.owners,
        CHECKS.c.milliseconds,
        age.label("age"),
        moment.label("at"),
    )
    found = {row.figure: row for row in connection.execute(statement)}
    owners = _estimates(connection)
    for figure in registry.figures:
        check, name = found.get(figure.name), figure.name
        if check is None:
            yield AGE.is_now(float("inf"), name)
            yield COVERAGE.is_now(0, name)
            continue
        yield AGE.is_now(check.age, name)
        yield VERIFIED_AT.is_now(check.at, name)
        yield TOOK.is_now(check.milliseconds / 1000, name)
        yield COVERAGE.is_now(_share(check.owners, owners.get(figure.owner_table.name, 0)), name)


def _ties(connection: Connection) -> Iterator[Reading]:
    """The findings of checks; where an amount is not a number the difference is +Inf."""
    names = all_checks()
    age = func.extract("epoch", func.clock_timestamp() - CHECKS.c.verified_at)
    mine = select(CHECKS.c.figure, age).where(CHECKS.c.figure.in_(names))
    ages: dict[str, Any] = dict(connection.execute(mine).all())
    opened = select(FINDINGS.c.figure, FINDINGS.c.gross).where(
        FINDINGS.c.figure.in_(names), FINDINGS.c.healed_at.is_(None)
    )
    apart: dict[str, Any] = dict(connection.execute(opened).all())
    for name, one in names.items():
        gap = apart.get(name, 0)
        reported = float("inf") if gap is None else gap
        yield GAP.is_now(reported, one.name, money.currency())
        yield CHECK_AGE.is_now(ages.get(name, float("inf")), one.name)


def _share(verified: int, owners: int) -> float:
    return min(1.0, verified / owners) if owners else 1.0


def _estimates(connection: Connection) -> dict[str, int]:
    """Table → estimated number of rows, from PostgreSQL's statistics, because counting takes long."""
    counted = table("pg_stat_user_tables", column("relname"), column("n_live_tup"))
    tables = {figure.owner_table.name for figure in registry.figures}
    rows = connection.execute(
        select(counted.c.relname, counted.c.n_live_tup).where(counted.c.relname.in_(tables))
    )
    return {row.relname: row.n_live_tup for row in rows}


def _noted(connection: Connection) -> Iterator[Reading]:
    oldest: Any = func.extract("epoch", func.clock_timestamp() - func.min(NOTES.c.noted_at))
    count, age = connection.execute(select(func.count(), func.coalesce(oldest, 0))).one()
    yield NOTED.is_now(count)
    yield NOTED_AGE.is_now(max(0, age))


def _corrected(connection: Connection) -> Iterator[Reading]:
    newest = select(func.max(CORRECTIONS.c.id) - NEWEST_CORRECTIONS).scalar_subquery()
    rows = connection.execute(
        select(CORRECTIONS.c.figure, CORRECTIONS.c.cause, func.count())
        .where(CORRECTIONS.c.id > newest, CORRECTIONS.c.at > func.now() - text("interval '1 day'"))
        .group_by(CORRECTIONS.c.figure, CORRECTIONS.c.cause)
    )
    for figure, cause, count in rows:
        yield CORRECTED.is_now(count, figure, cause)


def _names() -> list[str]:
    figures: list[Figure] = list(registry.figures)
    return [figure.name for figure in figures]


SOURCES = (
    Source("drift", (OPEN, AMOUNT, VALID), _drift),
    Source("checks", (AGE, VERIFIED_AT, TOOK, COVERAGE), _checks),
    Source("ties", (GAP, CHECK_AGE), _ties),
    Source("notes", (NOTED, NOTED_AGE), _noted),
    Source("corrections", (CORRECTED,), _corrected),
)
