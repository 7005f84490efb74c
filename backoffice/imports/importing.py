"""Importing files: all or nothing, with every bad line reported. Never commits."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from sqlalchemy.exc import DataError
from sqlalchemy.orm import Session

from .. import figures
from ..base import N_
from ..drift.healing.moved import moved_by
from .files.layout import Layout
from .files.reading import CsvFile
from .files.sources import Source, as_sources
from .files.stage import Stage
from .files.uploads import distinct_names
from .kinds import ImportKind
from .look_alikes import look_alikes
from .renamed import follow_renames, former_codes
from .report import Problem, Report

OUT_OF_RANGE = "22003"
"""PostgreSQL: numeric_value_out_of_range."""

Judge = Callable[[Report, Stage], bool]
"""Inspects the applied import before its savepoint is released; returns whether to keep it."""

Prepare = Callable[[Stage], bool]
"""Inspects the staged good lines before they are applied; returns whether to apply them."""


def import_files(
    session: Session,
    kind: ImportKind,
    files: Sequence[Path | Source],
    *,
    layout: Layout | None = None,
    dry_run: bool = False,
    skip_bad_lines: bool = False,
    prepare: Prepare | None = None,
    judge: Judge | None = None,
) -> Report:
    """Import the files as one; the figures that follow are settled.

    With a problem in any line nothing is changed, unless `skip_bad_lines`: then the good ones are
    imported. A dry run, and an import that `judge` rejects, change nothing; the report contains what
    would have been changed. Nothing is applied, nor reported, where `prepare` rejects the lines. Raises OSError for
    a file that cannot be read.
    """
    sources = as_sources(files)
    names = tuple(distinct_names([source.name for source in sources]))
    report = Report(kind.name, names, dry_run, skip_bad_lines)
    opened = [
        CsvFile(source, kind.columns, layout, kind.together, name)
        for source, name in zip(sources, names, strict=True)
    ]
    report.problems = header_problems(opened)
    if not report.problems:
        stage = Stage(session, names, opened[0].columns, kind.columns)
        stage.load(opened)
        _Importer(report, stage, kind, opened, judge, prepare).run()
        stage.drop()
        places = {name: place for place, name in enumerate(names)}
        report.problems.sort(key=lambda problem: (places[problem.file], problem.line))
        session.expire_all()
    return report


def import_staged(stage: Stage, kind: ImportKind, judge: Judge) -> Report:
    """Import the staged lines except the bad ones; the report leaves out the totals that move."""
    report = Report(kind.name, tuple(stage.names), dry_run=False, skip_bad_lines=True)
    _Importer(report, stage, kind, (), judge, reports_moved=False).run()
    return report


class _Importer:
    """One import of staged lines."""

    def __init__(
        self,
        report: Report,
        stage: Stage,
        kind: ImportKind,
        files: Sequence[CsvFile],
        judge: Judge | None,
        prepare: Prepare | None = None,
        *,
        reports_moved: bool = True,
    ) -> None:
        self.report, self.stage, self.kind = report, stage, kind
        self.files, self.judge, self.prepare = files, judge, prepare
        self.reports_moved = reports_moved

    def run(self) -> None:
        """Check, apply and check again, until the import succeeds or no more lines may be left out."""
        report = self.report
        report.read = sum(file.count for file in self.files)
        report.problems += [problem for file in self.files for problem in file.problems]
        report.must_be_whole = bool(self.kind.together) and any(
            file.is_incomplete for file in self.files
        )
        incomplete = {value for file in self.files for value in file.incomplete}
        continues = not report.problems or self._leave_out([], incomplete)
        follow_renames(self.stage, self.kind)
        while found := self._wrong_lines():
            report.problems += found
            if not self._leave_out(found):
                return
        while continues and (found := self._attempt()):
            report.problems += found
            continues = self._leave_out(found)

    def _wrong_lines(self) -> list[Problem]:
        stage, kind = self.stage, self.kind
        return [*former_codes(stage, kind), *look_alikes(stage, kind), *kind.check(stage)]

    def _leave_out(self, found: Sequence[Problem], incomplete: Iterable[object] = ()) -> bool:
        """Leave these lines out, if that is requested and possible; returns whether any lines remain."""
        if not self.report.skip_bad_lines or self.report.must_be_whole:
            return False
        before = self.stage.count
        self.report.problems += self.stage.leave_out(found, self.kind.together, incomplete)
        is_less = (
            self.stage.count < before or not found
        )  # else the same problems would be found for ever
        return is_less and self.stage.count > 0

    def _attempt(self) -> list[Problem]:
        """Apply the staged lines; returns the problems of the result, with which it is rolled back."""
        report, session = self.report, self.stage.session
        if self.prepare is not None and not self.prepare(self.stage):
            return []
        savepoint = session.begin_nested()
        try:
            with figures.written(session) as rows:
                changes = self.kind.apply(self.stage)
                figures.settle(session)
            problems = list(self.kind.check_result(self.stage))
            if not problems:
                report.created, report.updated, report.removed = changes
                if self.reports_moved:
                    moved = [*rows, *self.kind.moved_at_once(self.stage)]
                    report.moved = moved_by(session, moved)
                report.went_through = True
                report.unchanged = self.stage.count - report.created - report.updated
                may_stay = self.judge is None or self.judge(report, self.stage)
                report.is_applied = may_stay and not report.dry_run
        except DataError as error:
            if getattr(error.orig, "sqlstate", None) != OUT_OF_RANGE:
                raise
            problems = [_too_large(report)]
            report.must_be_whole = True
        finally:
            if savepoint.is_active and report.is_applied:
                savepoint.commit()
            elif savepoint.is_active:
                savepoint.rollback()
        return problems


def header_problems(files: Sequence[CsvFile]) -> list[Problem]:
    """The problems of the files' headers; files imported together must have the same columns."""
    own = [problem for file in files for problem in file.problems]
    return own + [
        Problem(file.name, 1, "", N_("Files imported together must have the same columns."))
        for file in files[1:]
        if set(file.columns) != set(files[0].columns) and not file.problems
    ]


def _too_large(report: Report) -> Problem:
    return Problem(
        report.files[0],
        1,
        "",
        N_("The amounts in this file come to more than can be stored."),
    )
