"""Reads of uploads: their files, their problems by line and by sentence, and earlier imports of the same files."""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from ..web.paging import PAGE_SIZE, Page
from .files.guessing import guess_layout
from .files.layout import EACH, EACH_SAYS, ENCODINGS, Layout, normalised
from .files.reading import CsvFile
from .files.sources import StoredFile, digest
from .kinds import KINDS
from .models import Import, ImportContent, ImportLayout, ImportOutcome, ImportProblem
from .refusals import NoLongerStored
from .report import Problem


@dataclass(frozen=True)
class Sentence:
    """A problem with the same sentence in `count` places."""

    column: str
    message: str
    count: int


def upload_of(session: Session, import_id: int) -> Import | None:
    """The upload. Users who may import see the uploads of all users."""
    return session.get(Import, import_id)


def stored_files(session: Session, upload: Import) -> list[StoredFile]:
    """The files exactly as they were uploaded. Raises NoLongerStored."""
    rows = select(ImportContent).where(ImportContent.import_id == upload.id)
    contents = session.scalars(rows.order_by(ImportContent.place)).all()
    files = [
        StoredFile(
            reported["name"],
            stored.content,
            reported.get("encoding", "utf-8-sig"),
            reported.get("is_workbook", False),
        )
        for reported, stored in zip(upload.files, contents, strict=False)
    ]
    try:
        is_whole = [digest(file) for file in files] == [
            reported["digest"] for reported in upload.files
        ]
    except (OSError, EOFError, zlib.error):
        is_whole = False
    if not is_whole:
        raise NoLongerStored()
    return files


def are_stored(session: Session, upload: Import) -> bool:
    """Whether the files' bytes are still stored."""
    rows = select(ImportContent.place).where(ImportContent.import_id == upload.id)
    return session.scalar(select(rows.exists())) or False


def has_rows(session: Session, import_id: int) -> bool:
    """Whether the dry run has kept the rows that the lines name; one of an earlier version has not."""
    kept = select(ImportOutcome.rows.is_not(None)).where(ImportOutcome.import_id == import_id)
    return session.scalar(kept) or False


def encodings_of(upload: Import) -> Mapping[str, str]:
    """The encodings to choose from, including `EACH` if the files were recognised in different ones."""
    found = {file.get("encoding") for file in upload.files if not file.get("is_workbook")}
    return {EACH: EACH_SAYS, **ENCODINGS} if len(found) > 1 else ENCODINGS


def opened(session: Session, upload: Import, layout: Layout) -> list[CsvFile]:
    """The files as `layout` reads them, with the documented defaults for what it lacks."""
    columns, complete = KINDS[upload.kind].columns, Layout.from_dict(layout.as_dict())
    return [CsvFile(file, columns, complete) for file in stored_files(session, upload)]


def header_of(session: Session, upload: Import, layout: Layout) -> str:
    """A digest of the names in the headers, independent of their order."""
    names: set[str] = set()
    for file in opened(session, upload, layout):
        names.update(map(normalised, file.header[:-1] if file.is_returned else file.header))
    return sha256("\n".join(sorted(names)).encode("utf-8", "replace")).hexdigest()


def suggested(
    session: Session, upload: Import, user_id: int, exported: Mapping[str, str]
) -> Layout:
    """The suggested layout, with the columns that this user chose before for the header.

    `exported` are the heads of our own files, as in `guess_columns`.

    The notation is never remembered: another file with this header may be written otherwise.
    """
    found = Layout.from_dict(upload.layout)
    if not upload.checks:
        key = (user_id, upload.kind, header_of(session, upload, found))
        earlier = session.get(ImportLayout, key)
        if earlier:
            found = replace(found, columns=Layout.from_dict(earlier.layout).columns)
    return guess_layout(stored_files(session, upload), KINDS[upload.kind], found, exported)


def imported_before(session: Session, upload: Import) -> Import | None:
    """The last import of exactly the same files, if there was one."""
    rows = select(Import).where(
        Import.digest == upload.digest, Import.state == "applied", Import.id != upload.id
    )
    return session.scalars(rows.order_by(Import.applied_at.desc()).limit(1)).one_or_none()


def sentences(session: Session, import_id: int) -> list[Sentence]:
    """The sentences of the problems, each once, the most frequent first."""
    place = ImportProblem.column, ImportProblem.message
    rows = (
        select(*place, func.count())
        .where(ImportProblem.import_id == import_id)
        .group_by(*place)
        .order_by(func.count().desc(), *place)
    )
    return [Sentence(*row) for row in session.execute(rows)]


def problems(
    session: Session, import_id: int, sentence: Sentence | None, number: int
) -> Page[ImportProblem]:
    """One page of the problems by line; only those of `sentence`, if one is given."""
    rows = _problems(import_id)
    if sentence:
        rows = rows.where(
            ImportProblem.column == sentence.column, ImportProblem.message == sentence.message
        )
    total = session.scalar(select(func.count()).select_from(rows.order_by(None).subquery())) or 0
    number = min(number, max(1, -(-total // PAGE_SIZE)))
    page = rows.order_by(ImportProblem.n).limit(PAGE_SIZE).offset((number - 1) * PAGE_SIZE)
    return Page(session.scalars(page).all(), number, PAGE_SIZE, total)


def all_problems(session: Session, import_id: int) -> Iterator[Any]:
    """Every problem by line, fetched as needed."""
    columns = ImportProblem.file, ImportProblem.line, ImportProblem.column, ImportProblem.message
    rows = select(*columns, ImportProblem.params).where(ImportProblem.import_id == import_id)
    return iter(session.execute(rows.order_by(ImportProblem.n)).yield_per(1000))


def as_problems(session: Session, upload: Import) -> list[Problem]:
    """The stored problems, as an import reports them."""
    names = [file["name"] for file in upload.files]
    return [
        Problem(names[row.file], row.line, row.column, row.message, row.params)
        for row in all_problems(session, upload.id)
    ]


def _problems(import_id: int) -> Select[ImportProblem]:
    return select(ImportProblem).where(ImportProblem.import_id == import_id)
