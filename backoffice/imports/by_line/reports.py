"""The file of results: every line as it was read, with its outcome."""

import csv
import tempfile
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any

from flask import Response, send_file
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from ...base.formula_guard import guarded
from ..kinds import KINDS
from ..models import Import
from .queries import lines_of

IN_MEMORY = 1024 * 1024
"""The size in bytes up to which a file is kept in memory while it is written."""

RESULTS = ("outcome", "transaction_id", "balance_after", "reason")
"""The columns of the file of results that follow those of the lines."""


def results_file(session: Session, upload: Import) -> Response:
    """The file of results as a download."""
    store = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 (the server closes what it sends)
    text = TextIOWrapper(store, encoding="utf-8-sig", errors="replace", newline="")
    write_results(text, session, upload)
    text.flush()
    text.detach()
    store.seek(0)
    name = f"{Path(upload.files[0]['name']).stem} - results.csv"
    return send_file(store, mimetype="text/csv", as_attachment=True, download_name=name)


def write_results(stream: IO[str], session: Session, upload: Import) -> None:
    """Write every line as it was read, with its outcome; the columns have the names of the files' columns."""
    columns = [column.name for column in KINDS[upload.kind].columns]
    are_several = len(upload.files) > 1
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow([*(["file"] if are_several else []), "line", *columns, *RESULTS])
    for line in lines_of(session, upload):
        place = [upload.files[line.file]["name"]] if are_several else []
        said = (line.values.get(name) for name in columns)
        writer.writerow([*map(_cell, place), line.line, *map(_cell, said), *_reported(line)])


def _reported(line: Any) -> Iterator[Any]:
    yield line.outcome or "waiting"
    yield line.record_id
    yield line.balance_after
    yield _cell(reason_of(line))


def reason_of(line: Any) -> str:
    """Why a line was refused, in the reader's language; empty if it was not."""
    return str(_(line.message, **line.params)) if line.message else ""


def _cell(said: str | None) -> str | None:
    return guarded(said) if said else said
