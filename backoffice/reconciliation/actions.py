"""Storing reports: begin, finish. Nothing here commits."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, update

from ..base import table_of
from .models import Reconciliation
from .report import Totals

REPORTS = table_of(Reconciliation)


def begin(
    connection: Connection, run_id: int, figure: str, since: datetime | None, until: datetime
) -> int:
    """Create a report of the run and delete what an interrupted attempt has left of it. Returns its id."""
    mine = (REPORTS.c.run_id == run_id, REPORTS.c.figure == figure)
    connection.execute(delete(REPORTS).where(*mine))
    values = {"run_id": run_id, "figure": figure, "since": since, "until": until}
    return int(connection.scalar(insert(REPORTS).values(values).returning(REPORTS.c.id)) or 0)


def finish(
    connection: Connection,
    report_id: int,
    totals: Mapping[str, Totals],
    *,
    content: bytes,
    sha256: str,
) -> None:
    """Store the report's totals and its file, and mark it finished, so that it can be downloaded."""
    connection.execute(
        update(REPORTS)
        .where(REPORTS.c.id == report_id)
        .values(
            finished_at=func.now(),
            rows=sum(total.rows for total in totals.values()),
            drifted=sum(total.drifted for total in totals.values()),
            totals={name: total.as_dict() for name, total in totals.items()},
            content=content,
            size=len(content),
            sha256=sha256,
        )
    )
