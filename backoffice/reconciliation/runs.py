"""The nightly reconciliation: a file per figure, kept as evidence of its values on that day."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from ..base import N_
from ..figures import registry
from ..lists.csv_files import FLAVOURS
from ..runs.kinds import RunKind
from ..runs.work import Asked, Chunk, Work
from . import actions, queries
from .actions import REPORTS
from .files import About, foot_of, head_of, page_of, plain
from .keeping import Packer
from .queries import snapshot
from .report import Report, Totals, new_totals

FLAVOUR = FLAVOURS["csv"]

FIRST_PERIOD = timedelta(days=1)
"""How far back the first report of a figure counts corrections; each later one starts where the last ended."""


def plan(connection: Connection, _asked: Asked) -> Iterator[Chunk]:
    """A chunk per figure."""
    for figure in registry.figures:
        rows = connection.scalar(select(func.count()).select_from(figure.table)) or 0
        yield Chunk({"figure": figure.name}, size=rows)


def work(work: Work) -> None:
    """Reconcile one figure from one snapshot, writing each page in its own transaction."""
    figure = registry.get(work.payload["figure"])
    with work.engine.connect() as connection:
        until = queries.settled_until(connection)
    language = plain(figure)
    with snapshot(work.engine) as connection:
        since = _since(connection, figure.name, until)
        report = Report(connection, registry, figure, since=since, until=until)
        about = About("all", work.asked.requested_by, since, until)
        packer, totals = Packer(), new_totals(figure)
        with work.transaction() as step:
            report_id = actions.begin(step.connection, work.asked.id, figure.name, since, until)
        keeper = _Keeper(report_id, packer)
        keeper.put(None, head_of(report, FLAVOUR, language))
        for page in report.pages():
            with work.transaction() as step:
                seen, right = _seen(totals)
                for block in page_of(report, page, FLAVOUR, language, totals):
                    keeper.put(step.connection, block)
                now_seen, now_right = _seen(totals)
                step.tally.checked += now_seen - seen
                step.tally.unchanged += now_right - right
        with work.transaction(is_last=True) as step:
            keeper.put(step.connection, foot_of(figure, about, FLAVOUR, language, totals))
            keeper.end(step.connection)
            actions.finish(
                step.connection, report_id, totals, size=packer.size, sha256=packer.sha256
            )


class _Keeper:
    """Writes the parts of one report, in order."""

    def __init__(self, report_id: int, packer: Packer) -> None:
        self._report_id = report_id
        self._packer = packer
        self._number = 0

    def put(self, connection: Connection | None, block: bytes) -> None:
        """Add a block; the head of a file is too small to fill a part, so it needs no connection."""
        for part in self._packer.put(block):
            assert connection is not None
            self._write(connection, part)

    def end(self, connection: Connection) -> None:
        """Write the last part."""
        self._write(connection, self._packer.rest())

    def _write(self, connection: Connection, part: bytes) -> None:
        actions.add_part(connection, self._report_id, self._number, part)
        self._number += 1


def _seen(totals: Mapping[str, Totals]) -> tuple[int, int]:
    """The number of rows compared and the number of right ones, both estimated from the columns' totals."""
    found = totals.values()
    return max(t.rows for t in found), min(t.rows - t.drifted for t in found)


def _since(connection: Connection, figure: str, until: datetime) -> datetime:
    """The end of the period of the figure's last report; without one, `FIRST_PERIOD` before `until`."""
    ended = select(func.max(REPORTS.c.until)).where(
        REPORTS.c.figure == figure, REPORTS.c.finished_at.is_not(None)
    )
    return connection.scalar(ended) or until - FIRST_PERIOD


def result(connection: Connection, asked: Asked) -> dict[str, Any]:
    """The number of finished reports, of their lines, and of the wrong lines."""
    mine = select(
        func.count().label("reports"),
        func.coalesce(func.sum(REPORTS.c.rows), 0).label("lines"),
        func.coalesce(func.sum(REPORTS.c.drifted), 0).label("drifted"),
    ).where(REPORTS.c.run_id == asked.id, REPORTS.c.finished_at.is_not(None))
    return {name: int(value) for name, value in connection.execute(mine).mappings().one().items()}


NIGHTLY = RunKind(
    "reconciliation.nightly", N_("Nightly reconciliation"), "schedules.run",
    plan, work, finish=result,
)  # fmt: skip

KINDS = (NIGHTLY,)
