"""Immediate posting: documents that a user entered, changed or voided are posted after their request is answered.

In a separate transaction, so that a save neither waits for postings nor holds their locks. What cannot be posted then
is left to the nightly posting.
"""

from collections.abc import Callable, Collection, Mapping
from functools import cache, partial
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ... import figures
from ...app.domain import declared
from ...audit.models import AuditEvent
from ..refusals import AccountsNotNamed
from .actions import reconcile
from .queries import Scope
from .sources import SOURCES

MOST = 50
"""Documents of one request; more than a user enters by hand are left to the nightly posting."""

PATIENCE = "1000"
"""Milliseconds to wait for concurrent postings."""

Documents = Mapping[str, Collection[int]]
"""Kind of document → ids."""


def posting(session: Session) -> Callable[[Session], None] | None:
    """The posting to run after this transaction; None where it wrote no documents, or too many."""
    documents = _written_documents(session) if figures.has_written(session) else {}
    is_by_hand = documents and max(map(len, documents.values())) <= MOST
    return partial(_post, documents) if is_by_hand else None


def _post(documents: Documents, session: Session) -> None:
    try:
        session.execute(select(func.set_config("lock_timeout", PATIENCE, True)))
        reconcile(session, Scope(documents=documents))
    except AccountsNotNamed:
        session.rollback()


AFTERWARDS = (posting,)


@cache
def _sources() -> Mapping[str, list[str]]:
    """Table → the kinds of documents stored in it, of those posted one by one."""
    found: dict[str, list[str]] = {}
    for source in SOURCES:
        if source.id is not None:
            found.setdefault(source.id.table.name, []).append(source.name)
    return found


def _written_documents(session: Session) -> dict[str, set[int]]:
    """Kind of document → the ids of documents that this transaction has written, themselves or a part of them."""
    parts = {
        name: (known.part_of, parent)
        for name, known in declared().recorded.items()
        if known.part_of is not None
        for parent in (key.column.table.name for key in known.part_of.property.columns[0].foreign_keys)
        if parent in _sources()
    }  # fmt: skip
    e = AuditEvent
    own = e.xid == func.pg_current_xact_id_if_assigned(), e.table_name.in_([*_sources(), *parts])
    found: dict[str, set[int]] = {}
    for event in session.execute(select(e.table_name, e.row_id, e.before, e.after).where(*own)):
        table, ids = event.table_name, [event.row_id]
        if table in parts:
            column, table = parts[table]
            ids = _document_ids(session, column, event)
        for source in _sources()[table]:
            found.setdefault(source, set()).update(int(one) for one in ids if one is not None)
    return found


def _document_ids(session: Session, column: Any, event: Any) -> list[Any]:
    """The ids of the documents of which the row is, or was, a part."""
    sides = [side for side in (event.before, event.after) if side]
    recorded = [side[column.key] for side in sides if column.key in side]
    return recorded or list(
        session.scalars(select(column).where(column.class_.id == int(event.row_id)))
    )
