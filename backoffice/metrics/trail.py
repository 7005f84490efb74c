"""Metrics of the audit trail: whether it is sealed, when its chain was verified, which facts differ from it."""

from collections.abc import Iterator

from sqlalchemy import Connection, func, select

from ..app.measures import Measure, Reading, Source
from ..audit.chain.sealing import stalled
from ..audit.models import AuditCheck
from ..base import table_of
from ..drift.facts.findings import PREFIX, all_facts
from ..drift.models import OF_FACTS, DriftFinding, FigureCheck

CHECKS = table_of(AuditCheck)
FINDINGS, VERIFIED = table_of(DriftFinding), table_of(FigureCheck)

UNSEALED = Measure(
    "backoffice_audit_unsealed_age_seconds",
    "Age of the oldest event that could have been sealed and is not; 0: none.",
)
CHECKED = Measure(
    "backoffice_audit_checked_age_seconds",
    "How long ago the chain was verified, or its head anchored; +Inf: never.",
    ("kind",),
)
BAD = Measure(
    "backoffice_audit_bad_rows", "Bad rows that the last verification of the chain found."
)
FORGED = Measure(
    "backoffice_facts_forged", "Rows that differ from the audit trail and wait for a decision.",
    ("table", "kind"),
)  # fmt: skip
FACTS_AGE = Measure(
    "backoffice_facts_verified_age_seconds",
    "How long ago the table that has waited longest was verified against the trail; +Inf: never.",
)


def _trail(connection: Connection) -> Iterator[Reading]:
    waiting = stalled(connection)
    yield UNSEALED.is_now(waiting.total_seconds() if waiting else 0)


def _chain(connection: Connection) -> Iterator[Reading]:
    age = func.extract("epoch", func.clock_timestamp() - CHECKS.c.at).label("age")
    for kind in ("verified", "anchored"):
        newest = select(age, CHECKS.c.bad).where(CHECKS.c.kind == kind)
        row = connection.execute(newest.order_by(CHECKS.c.id.desc()).limit(1)).first()
        yield CHECKED.is_now(row.age if row else float("inf"), kind)
        if kind == "verified":
            yield BAD.is_now(row.bad if row else 0)


def _facts(connection: Connection) -> Iterator[Reading]:
    rows = connection.execute(
        select(FINDINGS.c.figure, FINDINGS.c.kind, func.count())
        .where(FINDINGS.c.healed_at.is_(None), FINDINGS.c.kind.in_(OF_FACTS))
        .group_by(FINDINGS.c.figure, FINDINGS.c.kind)
    )
    counts = {(figure, kind): count for figure, kind, count in rows}
    for facts in all_facts():
        for kind in OF_FACTS:
            yield FORGED.is_now(counts.get((facts.name, kind), 0), facts.table, kind)
    age = func.extract("epoch", func.clock_timestamp() - func.min(VERIFIED.c.verified_at))
    known = select(age, func.count()).where(VERIFIED.c.figure.startswith(PREFIX))
    oldest, count = connection.execute(known).one()
    yield FACTS_AGE.is_now(oldest if count >= len(all_facts()) else float("inf"))


SOURCES = (
    Source("trail", (UNSEALED,), _trail),
    Source("chain", (CHECKED, BAD), _chain),
    Source("facts", (FORGED, FACTS_AGE), _facts),
)
