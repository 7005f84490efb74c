"""The work of a run over files whose lines are each carried out by themselves, in their order.

The plan reads the files once and keeps their lines. Each chunk is one transaction that carries out some thousand of
them and says of each what became of it: who dies within it has done nothing of it, and the next one does it whole.
Chunks come one after the other, and each takes the lines that wait next, whichever chunk was meant to do them: so a
wallet is charged in the order of the file, also where a chunk had to be given up.
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
from ..files.reading import OneFile
from ..files.stage import Stage
from ..importing import carry_out
from ..kinds import KINDS
from ..models import Import, ImportLine
from ..report import Problem, Report
from .months import begin_due
from .outcomes import report_back
from .queries import counts_of

LINES_AT_ONCE = 2_000
"""Lines of one transaction, whose wallets nobody else charges meanwhile."""

LINES = table_of(ImportLine)

TOO_MUCH = N_("The amounts come to more than can be stored.")

Place = tuple[int, int]
"""The first and the last line of a chunk, by their `n`."""


def plan(connection: Connection, asked: Asked) -> Iterator[Chunk]:
    """Read the files that are asked for, and cut their lines into chunks that come one after the other."""
    stage = 0
    with figures.session_over(connection) as session:
        for upload in _uploads(session, asked):
            upload.run_id = asked.id
            session.flush()
            upload.read = count = _keep_lines(session, upload)
            for first in range(0, count, LINES_AT_ONCE):
                size = min(LINES_AT_ONCE, count - first)
                yield Chunk({"import": upload.id, "lines": LINES_AT_ONCE}, size, stage)
                stage += 1


def _uploads(session: Session, asked: Asked) -> Sequence[Import]:
    """The upload that is asked for, or those of the month that are due."""
    if "import" in asked.scope:
        return [session.get_one(Import, asked.scope["import"])]
    return begin_due(session, asked.scope["due"])


def _keep_lines(session: Session, upload: Import) -> int:
    """Keep every line of the files with what it says, or why it cannot be read. How many there are."""
    source = session.get_one(Import, upload.repeats_id) if upload.repeats_id else upload
    files = queries.opened(session, source, Layout.from_dict(source.layout))
    driver: Any = session.connection().connection.driver_connection
    columns = 'import_id, n, file, line, "values", "column", message, params'
    count = 0
    with (
        driver.cursor() as cursor,
        cursor.copy(f"COPY import_lines ({columns}) FROM STDIN") as copy,
    ):
        for number, file in enumerate(files):
            for line, values, problem in _read(file, _key_of(upload)):
                reported = (problem.column, problem.message) if problem else ("", "")
                params = json.dumps(dict(problem.params) if problem else {})
                copy.write_row(
                    (upload.id, count, number, line, json.dumps(values), *reported, params)
                )
                count += 1
    return count


def _key_of(upload: Import) -> tuple[str, str]:
    """The column by which a line is known, and what is added to it so that each month has keys of its own."""
    return KINDS[upload.kind].key, f" {upload.period:%Y-%m}" if upload.period else ""


def _read(
    file: OneFile, key: tuple[str, str]
) -> Iterator[tuple[int, Mapping[str, str | None], Problem | None]]:
    """Each line in its order, with its values as texts, or with the first that is wrong in it."""
    reported = 0
    for line in file.lines():
        yield from _unreadable(file.problems[reported:])
        reported = len(file.problems)
        values = {
            column.name: None if value is None else str(value)
            for column, value in zip(file.columns, line.values, strict=True)
        }
        name, added = key
        values[name] = f"{values[name]}{added}"
        yield line.number, values, None
    yield from _unreadable(file.problems[reported:])


def _unreadable(
    problems: Sequence[Problem],
) -> Iterator[tuple[int, Mapping[str, str | None], Problem]]:
    first = {problem.line: problem for problem in reversed(problems)}
    yield from ((line, {}, first[line]) for line in sorted(first))


# The work


def work(work: Work) -> None:
    """Carry out the lines of a chunk, each as if it came alone, in one transaction with what became of them."""
    with work.transaction(is_last=True) as step:
        with figures.session_over(step.connection) as session:
            upload = session.get_one(Import, work.payload["import"])
            if upload.run_id != work.asked.id:  # a retry goes on
                upload.run_id = work.asked.id
                session.flush()
            place = _next(session, upload, work.payload["lines"])
            if place is None:
                return
            _refuse_unreadable(session, upload, place)
            _do(session, upload, place)
            counts = counts_of(session, upload.id, place)
        step.tally.changed += counts.done
        step.tally.skipped += counts.refused
        step.more += counts.lines - work.claim.size


def _next(session: Session, upload: Import, count: int) -> Place | None:
    """The next so many lines that wait; None where none does."""
    c = LINES.c
    waiting = select(c.n).where(c.import_id == upload.id, c.outcome == "")
    chosen = waiting.order_by(c.n).limit(count).subquery()
    first, last = session.execute(select(func.min(chosen.c.n), func.max(chosen.c.n))).one()
    return None if first is None else (first, last)


def _refuse_unreadable(session: Session, upload: Import, place: Place) -> None:
    is_bad = LINES.c.message != ""
    session.execute(update(LINES).where(*_within(upload, place), is_bad).values(outcome="refused"))


def _do(session: Session, upload: Import, place: Place) -> None:
    """Carry out these lines; where they come to more than can be stored, one half after the other."""
    kind = KINDS[upload.kind]
    waiting = _waiting(upload, place)
    names = [file["name"] for file in upload.files]
    stage = Stage(session, names, kind.columns)
    stage.fill(waiting)
    if not stage.count:
        stage.drop()
        return

    def tells(_report: Report, stage: Stage) -> bool:
        _record_results(session, upload, stage)
        return True

    report = carry_out(stage, kind, tells)
    stage.drop()
    session.expire_all()
    first, last = place
    if not report.must_be_whole:
        _record_refused(session, upload, place, report.problems)
    elif first < last:
        middle = (first + last) // 2
        _do(session, upload, (first, middle))
        _do(session, upload, (middle + 1, last))
    else:
        session.execute(
            update(LINES)
            .where(*_within(upload, place))
            .values(outcome="refused", column="amount", message=TOO_MUCH)
        )


def _within(upload: Import, place: Place) -> tuple[Any, ...]:
    return LINES.c.import_id == upload.id, LINES.c.n.between(*place)


def _waiting(upload: Import, place: Place) -> Select[Any]:
    """The lines whose turn it is, their values by our columns."""
    c = LINES.c
    values = (c["values"][col.name].astext.label(col.name) for col in KINDS[upload.kind].columns)
    return select(c.n, c.file, c.line, *values).where(*_within(upload, place), c.outcome == "")


def _record_results(session: Session, upload: Import, stage: Stage) -> None:
    """Keep what became of the lines that were carried out, now or before."""
    results = KINDS[upload.kind].results
    assert results is not None, "files of this kind are carried out line by line"
    known = results(stage).subquery().c
    reported = {name: known[name] for name in ("outcome", "record_id", "balance_after")}
    mine = and_(LINES.c.import_id == upload.id, LINES.c.n == known.n)
    session.execute(update(LINES).where(mine).values(reported))


def _record_refused(
    session: Session, upload: Import, place: Place, problems: Sequence[Problem]
) -> None:
    """Keep why lines were refused; of a line with several reasons the first."""
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
    mine = (LINES.c.file == known.c.file) & (LINES.c.line == known.c.line)
    values = {"column": known.c.col, "message": known.c.message, "params": known.c.params}
    session.execute(
        update(LINES).where(*_within(upload, place), mine).values(outcome="refused", **values)
    )


def finish(connection: Connection, asked: Asked) -> Mapping[str, Any]:
    """Say of each upload what came of it."""
    with figures.session_over(connection) as session:
        mine = select(Import).where(Import.run_id == asked.id).order_by(Import.id)
        uploads = session.scalars(mine).all()
        for upload in uploads:
            report_back(session, upload)
        return {"lines": sum(upload.read for upload in uploads)}
