"""The plan and the chunks of a run that processes files line by line, in order.

The plan reads the files once and stores their lines. Each chunk is one transaction that processes some thousand of
them and records the outcome of each: if a worker dies within it, nothing of it is done, and it is repeated whole.
Chunks run one after the other, and each takes the next waiting lines, whichever chunk they were planned for: so a
wallet is charged in the order of the file even after a chunk has failed.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, Text, and_, cast, column, func, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session
from sqlalchemy.types import Integer

from ... import figures
from ...base import N_, table_of
from ...runs.work import Asked, Chunk, Work
from .. import queries
from ..files.layout import Layout
from ..files.reading import CsvFile
from ..files.stage import Stage
from ..importing import import_staged
from ..kinds import KINDS
from ..models import Import, ImportLine
from ..report import Problem, Report
from .outcomes import update_outcome
from .queries import counts_of

LINES_AT_ONCE = 2_000
"""Lines of one transaction, which locks their wallets."""

LINES = table_of(ImportLine)

TOO_MUCH = N_("The amounts come to more than can be stored.")

LineRange = tuple[int, int]
"""The first and the last line of a chunk, by their `n`."""


def plan(connection: Connection, asked: Asked) -> Iterator[Chunk]:
    """Read the requested files, and split their lines into consecutive chunks."""
    with figures.session_over(connection) as session:
        upload = session.get_one(Import, asked.scope["import"])
        upload.run_id = asked.id
        session.flush()
        upload.read = count = _keep_lines(session, upload)
        for stage, first in enumerate(range(0, count, LINES_AT_ONCE)):
            size = min(LINES_AT_ONCE, count - first)
            yield Chunk({"import": upload.id, "lines": LINES_AT_ONCE}, size, stage)


def _keep_lines(session: Session, upload: Import) -> int:
    """Store every line of the files with its values, or why it cannot be read. Returns their number."""
    files = queries.opened(session, upload, Layout.from_dict(upload.layout))
    driver: Any = session.connection().connection.driver_connection
    columns = 'import_id, n, file, line, "values", "column", message, params'
    count = 0
    with (
        driver.cursor() as cursor,
        cursor.copy(f"COPY import_lines ({columns}) FROM STDIN") as copy,
    ):
        for number, file in enumerate(files):
            for line, values, problem in _read(file):
                reported = (problem.column, problem.message) if problem else ("", "")
                params = json.dumps(dict(problem.params) if problem else {})
                copy.write_row(
                    (upload.id, count, number, line, json.dumps(values), *reported, params)
                )
                count += 1
    return count


def _read(file: CsvFile) -> Iterator[tuple[int, Mapping[str, str | None], Problem | None]]:
    """Each line in order, with its values as texts, or with its first problem."""
    reported = 0
    for line in file.lines():
        yield from _unreadable(file.problems[reported:])
        reported = len(file.problems)
        values = {
            column.name: None if value is None else str(value)
            for column, value in zip(file.columns, line.values, strict=True)
        }
        yield line.number, values, None
    yield from _unreadable(file.problems[reported:])


def _unreadable(
    problems: Sequence[Problem],
) -> Iterator[tuple[int, Mapping[str, str | None], Problem]]:
    first = {problem.line: problem for problem in reversed(problems)}
    yield from ((line, {}, first[line]) for line in sorted(first))


# The work


def work(work: Work) -> None:
    """Process the lines of a chunk, each as if it came alone, and record their outcomes in the same transaction."""
    with work.transaction(is_last=True) as step:
        with figures.session_over(step.connection) as session:
            upload = session.get_one(Import, work.payload["import"])
            if upload.run_id != work.asked.id:  # this is a retry
                upload.run_id = work.asked.id
                session.flush()
            place = _next_lines(session, upload, work.payload["lines"])
            if place is None:
                return
            _refuse_unreadable(session, upload, place)
            _process(session, upload, place)
            counts = counts_of(session, upload.id, place)
        step.tally.changed += counts.done
        step.tally.skipped += counts.refused
        step.more += counts.lines - work.claim.size


def _next_lines(session: Session, upload: Import, count: int) -> LineRange | None:
    """The range of the next `count` waiting lines; None where none waits."""
    c = LINES.c
    waiting = select(c.n).where(c.import_id == upload.id, c.outcome == "")
    chosen = waiting.order_by(c.n).limit(count).subquery()
    first, last = session.execute(select(func.min(chosen.c.n), func.max(chosen.c.n))).one()
    return None if first is None else (first, last)


def _refuse_unreadable(session: Session, upload: Import, place: LineRange) -> None:
    is_bad = LINES.c.message != ""
    session.execute(update(LINES).where(*_within(upload, place), is_bad).values(outcome="refused"))


def _process(session: Session, upload: Import, place: LineRange) -> None:
    """Process these lines; where their total is too large to be stored, one half after the other."""
    kind = KINDS[upload.kind]
    waiting = _waiting(upload, place)
    names = [file["name"] for file in upload.files]
    stage = Stage(session, names, kind.columns)
    stage.fill(waiting)
    if not stage.count:
        stage.drop()
        return

    def record_results(_report: Report, stage: Stage) -> bool:
        _record_results(session, upload, stage)
        return True

    report = import_staged(stage, kind, record_results)
    stage.drop()
    session.expire_all()
    first, last = place
    if not report.must_be_whole:
        _record_refused(session, upload, place, report.problems)
    elif first < last:
        middle = (first + last) // 2
        _process(session, upload, (first, middle))
        _process(session, upload, (middle + 1, last))
    else:
        session.execute(
            update(LINES)
            .where(*_within(upload, place))
            .values(outcome="refused", column="amount", message=TOO_MUCH)
        )


def _within(upload: Import, place: LineRange) -> tuple[Any, ...]:
    return LINES.c.import_id == upload.id, LINES.c.n.between(*place)


def _waiting(upload: Import, place: LineRange) -> Select[Any]:
    """The waiting lines of the range, with their values by known columns."""
    c = LINES.c
    values = (c["values"][col.name].astext.label(col.name) for col in KINDS[upload.kind].columns)
    return select(c.n, c.file, c.line, *values).where(*_within(upload, place), c.outcome == "")


def _record_results(session: Session, upload: Import, stage: Stage) -> None:
    """Record the outcomes of the lines that were processed, now or earlier."""
    results = KINDS[upload.kind].results
    assert results is not None, "files of this kind are carried out line by line"
    known = results(stage).subquery().c
    reported = {name: known[name] for name in ("outcome", "record_id", "balance_after")}
    matches = and_(LINES.c.import_id == upload.id, LINES.c.n == known.n)
    session.execute(update(LINES).where(matches).values(reported))


def _record_refused(
    session: Session, upload: Import, place: LineRange, problems: Sequence[Problem]
) -> None:
    """Record why lines were refused; for a line with several problems the first."""
    number = {file["name"]: place for place, file in enumerate(upload.files)}
    said = {(number[p.file], p.line): p for p in reversed(problems)}
    if not said:
        return
    rows = [
        {"file": file, "line": line, "col": p.column, "message": p.message, "params": dict(p.params)}
        for (file, line), p in said.items()
    ]  # fmt: skip
    known = func.jsonb_to_recordset(cast(rows, JSONB)).table_valued(
        column("file", Integer), column("line", Integer), column("col", Text),
        column("message", Text), column("params", JSONB), name="refused",
    ).render_derived(with_types=True)  # fmt: skip
    matches = (LINES.c.file == known.c.file) & (LINES.c.line == known.c.line)
    values = {"column": known.c.col, "message": known.c.message, "params": known.c.params}
    session.execute(
        update(LINES).where(*_within(upload, place), matches).values(outcome="refused", **values)
    )


def finish(connection: Connection, asked: Asked) -> Mapping[str, Any]:
    """Update the outcome of the upload."""
    with figures.session_over(connection) as session:
        upload = session.get_one(Import, asked.scope["import"])
        update_outcome(session, upload)
        return {"lines": upload.read}
