"""`backoffice import KIND FILE… --line-by-line`: performed here; if this command dies, any worker continues it."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click
from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...app.command_line import CLEAN, FOUND, Trouble, progress_bar
from ...app.extensions import db
from ...runs import actions as runs
from ...runs.models import DONE, Run
from ...runs.queries import progress_of, run_of
from ...runs.working import perform
from .. import actions, queries
from ..files.layout import Layout
from ..files.uploads import Upload
from ..importing import header_problems
from ..kinds import ImportKind
from ..models import Import
from . import actions as by_line
from .queries import counts_of, lines_of
from .reports import reason_of, write_results

LOOK_AGAIN_SECONDS = 0.2


def import_line_by_line(
    kind: ImportKind, files: Sequence[Path], layout: Layout, results: Path | None, as_json: bool
) -> None:
    """Process each line by itself, report the outcomes, and exit with a status like that of `diff`.

    Files of a command that died are continued where they were left.
    """
    if kind.results is None:
        raise Trouble(_("The lines of %(kind)s are not carried out by themselves.", kind=kind.name))
    import_id = _started(db.session(), kind, files, layout)
    run = _performed(import_id)
    upload = db.session.get_one(Import, import_id)
    if results is not None:
        _write(results, upload)
    counts = counts_of(db.session(), import_id)
    reported: dict[str, Any] = {
        "kind": kind.name,
        "import": import_id,
        "run": run.id,
        "status": run.status,
    }
    reported |= {name: getattr(counts, name) for name in ("lines", "done", "already", "refused")}
    if as_json:
        click.echo(json.dumps(reported))
    else:
        _print(upload, reported)
    sys.exit(FOUND if counts.refused or run.status != DONE else CLEAN)


def _started(session: Session, kind: ImportKind, files: Sequence[Path], layout: Layout) -> int:
    """Store the files and request their run, or continue an unfinished run of the same files."""
    with ExitStack() as opened:
        sent = [Upload(path.name, opened.enter_context(path.open("rb"))) for path in files]
        upload = actions.upload(session, user_id=None, kind=kind.name, files=sent)
    upload.layout = layout.as_dict()
    session.flush()
    if problems := header_problems(queries.opened(session, upload, layout)):
        session.rollback()
        first = problems[0]
        raise Trouble(
            f"{first.file}:{first.line}: {first.column}: {_(first.message, **first.params)}"
        )
    left = session.scalar(
        select(Import)
        .where(
            Import.digest == upload.digest, Import.layout == upload.layout, Import.state == "applying",
            Import.id != upload.id,
        )
        .order_by(Import.id.desc())
        .limit(1)
    )  # fmt: skip
    if left is None:
        by_line.request_run(session, upload, is_here=True, is_paced=False)
        number = upload.id
    else:
        number = left.id
        session.delete(upload)
        if not run_of(session, left.run_id or 0).is_live:
            left.run_id = runs.retry(session, left.run_id or 0).id
    session.commit()
    return number


def _performed(import_id: int) -> Run:
    """Work on the upload's run until it has ended, beside any workers, with a progress bar on a terminal."""
    session = db.session()
    run_id = session.get_one(Import, import_id).run_id or 0
    session.rollback()
    with _progress(run_id) as advance:
        while True:
            perform(db.engine, run_id, progress=advance)
            session.expire_all()
            run = run_of(session, run_id)
            if not run.is_live:
                return run
            session.rollback()
            time.sleep(LOOK_AGAIN_SECONDS)


@contextmanager
def _progress(run_id: int) -> Iterator[Callable[[], None]]:
    with progress_bar(_("Lines")) as bar:

        def advance() -> None:
            if bar is None:
                return
            with Session(db.engine) as session:
                progress = progress_of(session, run_of(session, run_id))
            bar(total=progress.total, completed=progress.checked)

        yield advance


def _write(path: Path, upload: Import) -> None:
    try:
        with path.open("w", encoding="utf-8", errors="replace", newline="") as stream:
            write_results(stream, db.session(), upload)
    except OSError as error:
        raise Trouble(f"{error.filename}: {error.strerror}") from error


def _print(upload: Import, reported: dict[str, Any]) -> None:
    for line in lines_of(db.session(), upload):
        if reason := reason_of(line):
            click.echo(f"{upload.files[line.file]['name']}:{line.line}: {line.column}: {reason}")
    click.echo(
        _(
            "%(kind)s: %(lines)s lines, %(done)s charged, %(already)s charged before, %(refused)s refused.",
            **{name: reported[name] for name in ("kind", "lines", "done", "already", "refused")},
        )
    )
    if reported["status"] != DONE:
        click.echo(
            _(
                "Run %(run)s has not done all of it. Give the same command to go on.",
                run=reported["run"],
            )
        )
