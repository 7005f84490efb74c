"""The list of uploads: its columns and its filters."""

from collections.abc import Sequence
from typing import Any

from flask import url_for
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from ..audit.tables import Recorded
from ..base import N_, counted
from ..lists import Choice, Column, List, Reference, Search, containing
from ..people.models import User
from .models import Import
from .wording import KIND_NAMES, STATES


def _rows(_user: Any) -> Select[Any]:
    return select().select_from(Import).outerjoin(Import.user)


def _people(session: Session, _user: Any) -> Sequence[tuple[int, str]]:
    uploaders = select(User.id, User.name).where(User.id.in_(select(Import.user_id)))
    return [(row.id, row.name) for row in session.execute(uploaders.order_by(User.name))]


def _count(name: str, label: str) -> Column:
    return Column(name, label, getattr(Import, name), kind="number")


IMPORTS = List(
    "imports",
    N_("Imports"),
    "imports.index",
    export="imports.export",
    rows=_rows,
    key=Import.id,
    columns=(
        Column(
            "name",
            N_("Files"),
            Import.name,
            link=lambda row: url_for("imports.record", import_id=row.key),
            classes="cell-name",
        ),
        Column("kind", N_("Kind of file"), Import.kind, words=KIND_NAMES),
        Column("state", N_("Status"), Import.state, words={k: v for k, (v, _t) in STATES.items()}),
        Column("person", N_("Uploaded by"), func.coalesce(User.name, Import.sent_by)),
        Column("created_at", N_("Uploaded"), Import.created_at, kind="moment"),
        _count("read", N_("Lines")),
        _count("created", N_("Created")),
        _count("updated", N_("Updated")),
        _count("removed", N_("Removed")),
        _count("bad_lines", N_("Bad lines")),
        Column("applied_at", N_("Imported"), Import.applied_at, kind="moment", is_shown=False),
    ),
    filters=(
        Search("q", N_("Search"), containing(Import.name), placeholder=N_("File name")),
        Choice.of("kind", N_("Kind of file"), Import.kind, KIND_NAMES),
        Choice(
            "state",
            N_("Status"),
            {state: (name, Import.state == state) for state, (name, _tone) in STATES.items()},
        ),
        Reference("person", N_("Uploaded by"), Import.user_id, _people),
    ),
    default_sort="-created_at",
    counted=counted("%(num)s upload", "%(num)s uploads"),
    new=("imports.new", N_("Upload files")),
    nothing_yet=(
        N_("No files yet"),
        N_("Upload a CSV file. You see what it would change before anything is changed."),
    ),
)

RECORDED = (
    Recorded(
        N_("Import"), Import, name=Import.name,
        endpoint="imports.record", argument="import_id", is_shown_by_id=True,
        labels={
            "kind": N_("Kind of file"), "state": N_("Status"), "files": N_("Files"),
            "read": N_("Lines"), "updated": N_("Updated"), "unchanged": N_("Unchanged"),
        },
    ),
)  # fmt: skip
