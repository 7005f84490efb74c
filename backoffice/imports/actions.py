"""The actions on uploads: storing, dry-running, importing and discarding files. Nothing here commits."""

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from ..base.refusals import Refusal
from . import queries
from .by_line import actions as by_line
from .files.layout import EACH, Layout
from .files.stage import Stage
from .files.uploads import (
    MOST_BYTES,
    MOST_FILES,
    MOST_LINES,
    PackedFile,
    Upload,
    distinct_names,
    pack,
)
from .importing import import_files
from .kinds import KINDS
from .models import (
    Import,
    ImportContent,
    ImportLayout,
    ImportOutcome,
    ImportProblem,
)
from .outcome import Outcome, outcome_of
from .refusals import (
    AppliedAlready,
    BadLines,
    BeingImported,
    CheckedAnew,
    LineRefused,
    NeedsDryRun,
    NoFile,
    NoLongerStored,
    SavedAtOnce,
    TooManyFiles,
    TooMuch,
)
from .report import Problem, Report
from .rows import Found, first_change, locked_rows_of, rows_of

OPEN = ("uploaded", "checked")
"""The states of uploads that are not imported yet, and can still be checked again or discarded."""


def upload(session: Session, *, user_id: int | None, kind: str, files: Sequence[Upload]) -> Import:
    """Store uploaded files; without a user they come from a program or a command.

    Raises a refusal for files that are not text, empty, or too large.
    """
    if not files:
        raise NoFile()
    if len(files) > MOST_FILES:
        raise TooManyFiles(count=MOST_FILES)
    taken, size, lines = [], 0, 0
    for file in files:
        taken.append(pack(file))
        size, lines = size + taken[-1].size, lines + taken[-1].lines
        if size > MOST_BYTES or lines > MOST_LINES + MOST_FILES:
            raise TooMuch(megabytes=MOST_BYTES // 2**20, lines=f"{MOST_LINES:,}", kind=kind)
    names = distinct_names([file.name for file in taken])
    digests = " ".join([kind, *sorted(file.digest for file in taken)])
    made = Import(
        kind=kind,
        name=", ".join(names),
        files=[
            {
                "name": name,
                "size": file.size,
                "digest": file.digest,
                "encoding": file.encoding,
                "is_workbook": file.is_workbook,
            }
            for name, file in zip(names, taken, strict=True)
        ],
        digest=sha256(digests.encode()).hexdigest(),
        layout=Layout(encoding=_encoding(taken)).as_dict(),
        user_id=user_id,
    )
    session.add(made)
    session.flush()
    session.add_all(
        ImportContent(import_id=made.id, place=place, content=file.content)
        for place, file in enumerate(taken)
    )
    session.flush()
    return made


def check(session: Session, import_id: int, *, user_id: int, layout: Layout) -> Import:
    """Dry-run the files with `layout`, and store it as the user's layout for files with this header."""
    upload = _locked(session, import_id)
    upload.layout = layout.as_dict()
    _store_layout(session, user_id, upload, layout)
    _dry_run(session, upload)
    return upload


def apply(
    session: Session, import_id: int, *, user_id: int, checks: int, good_lines_only: bool
) -> Refusal | None:
    """Import the lines that the dry run number `checks` showed as good; all lines, unless `good_lines_only`.

    Imports nothing where a row that they change or name has changed since: makes a new dry run, and returns the reason.
    Kinds that are processed line by line request a run. Raises AppliedAlready, CheckedAnew, NeedsDryRun and BadLines.
    """
    upload, shown = _as_checked(session, import_id, checks)
    if upload.bad_lines and not good_lines_only:
        raise BadLines()
    kind = KINDS[upload.kind]
    if kind.results is not None:
        upload.applied_by_id = user_id
        by_line.request_run(session, upload)
        return None
    counts, bad, found = _counts(upload), queries.as_problems(session, upload), Outcome()
    refusal: Refusal | None = None

    def are_unchanged(stage: Stage) -> bool:
        nonlocal refusal
        list(stage.leave_out(bad))
        refusal = first_change(stage, kind, shown.rows or [], locked_rows_of(stage, kind))
        return refusal is None

    def is_as_shown(report: Report, stage: Stage) -> bool:
        nonlocal found
        found = outcome_of(session, kind, stage)
        return _counts(report) == counts

    report = import_files(
        session, kind, queries.stored_files(session, upload), layout=Layout.from_dict(upload.layout),
        skip_bad_lines=good_lines_only, prepare=are_unchanged, judge=is_as_shown,
    )  # fmt: skip
    if not report.is_applied:
        _dry_run(session, upload)
        return _refused_line(report, bad) or refusal or SavedAtOnce()
    upload.state, upload.applied_by_id = "applied", user_id
    upload.applied_at = session.scalars(select(func.clock_timestamp())).one()
    shown.sample, shown.totals, shown.moved = found.sample, found.totals, report.moved.as_dict()
    shown.rows = []
    session.flush()
    return None


def _refused_line(report: Report, before: Sequence[Problem]) -> Refusal | None:
    """The first line that is refused now, and was not in the dry run."""
    known = {(problem.file, problem.line) for problem in before}
    for problem in report.problems:
        if (problem.file, problem.line) not in known:
            return LineRefused(file=problem.file, line=problem.line)
    return None


def _as_checked(session: Session, import_id: int, checks: int) -> tuple[Import, ImportOutcome]:
    """The upload, if it passed the dry run of that number.

    Raises AppliedAlready, CheckedAnew, NeedsDryRun, NoLongerStored and BadLines.
    """
    upload = _locked(session, import_id)
    expected = session.get(ImportOutcome, import_id)
    if expected is None or upload.checks != checks:
        raise CheckedAnew()
    if expected.rows is None:
        raise NeedsDryRun() if queries.are_stored(session, upload) else NoLongerStored()
    if not expected.went_through:
        raise BadLines()
    return upload, expected


def discard(session: Session, import_id: int) -> None:
    """Delete an upload that has not been imported."""
    session.delete(_locked(session, import_id))
    session.flush()


def _locked(session: Session, import_id: int) -> Import:
    """The upload, locked against concurrent checks and imports. Raises BeingImported."""
    rows = select(Import).where(Import.id == import_id)
    upload = session.scalars(
        rows.with_for_update(skip_locked=True).execution_options(populate_existing=True)
    ).one_or_none()
    if upload is None:
        raise BeingImported()
    if upload.state not in OPEN:
        raise AppliedAlready()
    return upload


def _dry_run(session: Session, upload: Import) -> None:
    """Import, roll back, and store what was found."""
    kind, found = KINDS[upload.kind], Outcome()
    rows: Found = []

    def keep_rows(stage: Stage) -> bool:
        nonlocal rows
        rows = rows_of(stage, kind)
        return True

    def collect(_report: Report, stage: Stage) -> bool:
        nonlocal found
        found = outcome_of(session, kind, stage)
        return True

    report = import_files(
        session,
        kind,
        queries.stored_files(session, upload),
        layout=Layout.from_dict(upload.layout),
        dry_run=True,
        skip_bad_lines=True,
        prepare=keep_rows,
        judge=collect,
    )
    upload.read, upload.bad_lines = report.read, report.bad_lines
    upload.created, upload.updated = report.created, report.updated
    upload.removed, upload.unchanged = report.removed, report.unchanged
    upload.state, upload.checks = "checked", upload.checks + 1
    upload.checked_at = session.scalars(select(func.clock_timestamp())).one()
    _store_findings(session, upload.id, report, found, rows)
    session.flush()


def _store_findings(
    session: Session, import_id: int, report: Report, found: Outcome, rows: Found
) -> None:
    """Store the report's problems and the outcome, replacing those of an earlier dry run."""
    for model in (ImportProblem, ImportOutcome):
        session.execute(delete(model).where(model.import_id == import_id))
    session.add(
        ImportOutcome(
            import_id=import_id,
            sample=found.sample,
            totals=found.totals,
            moved=report.moved.as_dict(),
            rows=rows,
            must_be_whole=report.must_be_whole,
            went_through=report.went_through,
        )
    )
    session.flush()
    place = {name: number for number, name in enumerate(report.files)}
    driver: Any = session.connection().connection.driver_connection
    columns = 'import_id, n, file, line, "column", message, params'
    with (
        driver.cursor() as cursor,
        cursor.copy(f"COPY import_problems ({columns}) FROM STDIN") as copy,
    ):
        for n, problem in enumerate(report.problems):
            params = json.dumps(dict(problem.params))
            at = (place[problem.file], problem.line, problem.column)
            copy.write_row((import_id, n, *at, problem.message, params))


def _store_layout(session: Session, user_id: int, upload: Import, layout: Layout) -> None:
    header = queries.header_of(session, upload, layout)
    made = insert(ImportLayout).values(
        user_id=user_id, kind=upload.kind, header=header, layout=layout.as_dict()
    )
    session.execute(
        made.on_conflict_do_update(
            index_elements=[ImportLayout.user_id, ImportLayout.kind, ImportLayout.header],
            set_={"layout": made.excluded.layout, "used_at": func.now()},
        )
    )


def _encoding(files: Sequence[PackedFile]) -> str:
    """The encoding of all text files, or `EACH` if they differ; workbooks are ignored."""
    found = {file.encoding for file in files if not file.is_workbook} or {"utf-8-sig"}
    return found.pop() if len(found) == 1 else EACH


def _counts(counted: Import | Report) -> tuple[int, ...]:
    return counted.read, counted.created, counted.updated, counted.removed, counted.unchanged
