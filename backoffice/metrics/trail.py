"""The audit trail, in numbers: whether it is being sealed, and when its chain was looked at last."""

from collections.abc import Iterator

from sqlalchemy import Connection, func, select

from ..audit.models import AuditCheck
from ..audit.sealing import stalled
from ..base import table_of
from ..measures import Measure, Reading, register

CHECKS = table_of(AuditCheck)

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


register("trail", _trail, UNSEALED)
register("chain", _chain, CHECKED, BAD)
