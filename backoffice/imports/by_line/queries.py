"""Reads of the lines of files that are processed line by line, and their outcomes."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Numeric, cast, func, select
from sqlalchemy.orm import Session

from ..models import Import, ImportLine
from ..refusals import NotByLine

IS_DONE = ImportLine.outcome == "done"


@dataclass(frozen=True)
class Counts:
    """Counts of lines: all, done in this run, done earlier, and refused; the rest waits."""

    lines: int
    done: int
    already: int
    refused: int

    @property
    def waiting(self) -> int:
        """The lines without an outcome yet."""
        return self.lines - self.done - self.already - self.refused


def counts_of(session: Session, import_id: int, place: tuple[int, int] | None = None) -> Counts:
    """The counts of an upload's lines, or of those in a range of `n`."""
    outcomes = ("done", "already", "refused")
    counts = (func.count().filter(ImportLine.outcome == outcome) for outcome in outcomes)
    reported = select(func.count(), *counts).where(ImportLine.import_id == import_id)
    if place is not None:
        reported = reported.where(ImportLine.n.between(*place))
    return Counts(*map(int, session.execute(reported).one()))


def amount_done(session: Session, import_id: int) -> Decimal:
    """The total amount of the lines done in this run, in the deployment's currency."""
    amounts = cast(ImportLine.values["amount"].astext, Numeric(15, 2))
    reported = select(func.sum(amounts)).where(ImportLine.import_id == import_id, IS_DONE)
    return session.scalar(reported) or Decimal(0)


def lines_of(session: Session, upload: Import) -> Iterator[Any]:
    """Every line in order, fetched as needed."""
    columns = (
        ImportLine.file, ImportLine.line, ImportLine.values, ImportLine.outcome, ImportLine.record_id,
        ImportLine.balance_after, ImportLine.column, ImportLine.message, ImportLine.params,
    )  # fmt: skip
    rows = select(*columns).where(ImportLine.import_id == upload.id).order_by(ImportLine.n)
    return iter(session.execute(rows).yield_per(1000))


def has_lines(session: Session, import_id: int) -> bool:
    """Whether its lines are still stored."""
    chosen = select(ImportLine.n).where(ImportLine.import_id == import_id)
    return session.scalar(select(chosen.exists())) or False


def by_line_or_refused(upload: Import) -> Import:
    """The upload, if it has a run. Raises NotByLine."""
    if upload.run_id is None:
        raise NotByLine()
    return upload
