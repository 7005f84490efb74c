"""Importing files: all of it or nothing, with every bad line named. Never commits."""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy.exc import DataError
from sqlalchemy.orm import Session

from .. import figures
from ..base import N_
from .kinds import Kind
from .reading import OneFile
from .report import Problem, Report
from .stage import Stage

OUT_OF_RANGE = "22003"
"""PostgreSQL: numeric_value_out_of_range."""


def import_files(
    session: Session, kind: Kind, paths: Sequence[Path], *, dry_run: bool = False
) -> Report:
    """Bring the files into the database as one; the figures that follow are right after it.

    With a problem in any line, or in a dry run, nothing is changed; the report says what the
    problems are, or what would have been changed. Raises OSError for a file that cannot be read.
    """
    report = Report(kind.name, tuple(map(str, paths)), dry_run)
    files = [OneFile(path, kind.columns) for path in paths]
    report.problems = [problem for file in files for problem in file.problems]
    report.problems += _different_columns(files)
    if report.problems:
        return report
    savepoint = session.begin_nested()
    try:
        _fill(report, session, kind, files)
    except DataError as error:
        if getattr(error.orig, "sqlstate", None) != OUT_OF_RANGE:
            raise
        report.problems.append(_too_large(report))
    finally:
        if savepoint.is_active and report.is_applied:
            savepoint.commit()
        elif savepoint.is_active:
            savepoint.rollback()
    session.expire_all()
    return report


def _fill(report: Report, session: Session, kind: Kind, files: Sequence[OneFile]) -> None:
    """Stage, check, apply and check again, within the caller's savepoint."""
    stage = Stage(session, files)
    report.read = stage.count
    report.problems += [problem for file in files for problem in file.problems]
    report.problems += kind.check(stage)
    if not report.problems:
        changes = kind.apply(stage)
        figures.settle(session)
        report.problems += kind.check_result(stage)
        if not report.problems:
            report.created, report.updated, report.removed = changes
            report.unchanged = report.read - report.created - report.updated
    stage.drop()
    places = {path: place for place, path in enumerate(report.files)}
    report.problems.sort(key=lambda problem: (places[problem.file], problem.line))


def _different_columns(files: Sequence[OneFile]) -> list[Problem]:
    """Files that are imported together say the same things of their rows."""
    return [
        Problem(str(file.path), 1, "", N_("Files imported together must have the same columns."))
        for file in files[1:]
        if set(file.columns) != set(files[0].columns) and not file.problems
    ]


def _too_large(report: Report) -> Problem:
    return Problem(
        report.files[0],
        1,
        "",
        N_("The amounts of an order in this file come to more than can be stored."),
    )
