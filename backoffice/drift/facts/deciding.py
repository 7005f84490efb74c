"""Decisions about a fact that differs from the trail: accept it as it is, or restore it from the trail.

Accepting adds an event with the row's values; restoring writes the row, through the triggers.
Either way the trail and the row agree afterwards, an event names who decided, and what builds on
the fact may follow. Nothing here commits.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Connection,
    Text,
    any_,
    bindparam,
    cast,
    column,
    delete,
    func,
    insert,
    literal,
    null,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ... import figures
from ...audit.facts import ADDED, REMOVED, Facts, Forgery
from ...base import Base
from ...base.actor import actor
from ...figures import registry, written
from ...figures.keeping.hooks import settle_connection
from ...figures.keeping.notes import Touched
from ..healing.moved import Moved, moved_by
from ..models import ACCEPTED, DriftFinding
from .findings import facts_named, settle
from .holding import building_on
from .models import FactDecision
from .refusals import (
    BY_STATE,
    CannotRestore,
    DifferentByNow,
    NoSuchFinding,
    OthersBelong,
    WithoutReason,
)

WRITES = 3
"""Restoring a column may change whether another one is entered, which is then restored as well."""


def decide(
    session: Session, finding_id: int, decision: str, reason: str, *, seen: str | None = None
) -> FactDecision:
    """Accept the finding's row as it is, or restore it (`ACCEPTED`, `RESTORED`), in the name of the current actor.

    `seen` is the `stamp` of what the person looked at. Raises NoSuchFinding, WithoutReason, DifferentByNow,
    CannotRestore.
    """
    if not reason.strip():
        raise WithoutReason()
    mine = select(DriftFinding).where(DriftFinding.id == finding_id).with_for_update()
    finding = session.scalars(mine).one_or_none()
    facts = None if finding is None else facts_named(finding.figure)
    if finding is None or facts is None:
        raise NoSuchFinding(finding=finding_id)
    row_id = int(finding.key["id"])
    connection = session.connection()
    _lock(connection, facts, row_id)
    found = facts.forged(connection, [row_id])
    if finding.healed_at is not None or not found:
        raise DifferentByNow()
    if seen is not None and seen != stamp(found[0].row, found[0].trail):
        raise DifferentByNow()
    # Reading the trail is no write, so the actor has not been sent to the database yet.
    connection.execute(select(func.set_config("backoffice.actor", actor.get(), True)))
    if decision == ACCEPTED:
        _accept(connection, facts, found[0])
    else:
        _restore(connection, facts, found[0])
        _recompute(connection, found[0])
        session.expire_all()
    if settle(connection, facts, [row_id], healed_by=decision):
        raise CannotRestore()
    session.expire(finding)
    decided = FactDecision(
        finding_id=finding_id, table_name=facts.name, row_id=row_id, kind=found[0].kind,
        decision=decision, stored=dict(found[0].row) or None, trail=dict(found[0].trail) or None,
        reason=reason.strip(), decided_by=actor.get(),
    )  # fmt: skip
    session.add(decided)
    session.flush()
    return decided


def decided(
    session: Session, finding_id: int, decision: str, reason: str
) -> tuple[FactDecision, Moved]:
    """The decision, and the stored totals that it changes; they are recomputed in the same transaction."""
    with written(session) as rows:
        made = decide(session, finding_id, decision, reason)
        figures.settle(session)
        return made, moved_by(session, rows)


def stamp(row: Mapping[str, Any] | None, trail: Mapping[str, Any] | None) -> str:
    """A digest of both sides of a finding, by which a later change of either is detected."""
    sides = json.dumps([row or {}, trail or {}], sort_keys=True)
    return hashlib.sha256(sides.encode()).hexdigest()[:32]


def _lock(connection: Connection, facts: Facts, row_id: int) -> None:
    """Lock the row against writes until this transaction ends."""
    mine = select(facts.key).where(facts.key == row_id)
    with _in_words(connection):
        connection.execute(mine.with_for_update(key_share=True))


def _accept(connection: Connection, facts: Facts, forgery: Forgery) -> None:
    """Record an event with the row's values; the database itself reads them from the row."""
    names = sorted(forgery.columns)
    before = cast(null(), JSONB) if forgery.kind == ADDED else _picked(forgery, names)
    stated = func.public.audit_accept(facts.name, forgery.id, literal(names, ARRAY(Text)), before)
    with _in_words(connection):
        connection.execute(select(stated))


def _picked(forgery: Forgery, names: Collection[str]) -> ColumnElement[Any]:
    """The trail's values of these columns, selected in SQL so that no number is converted by Python."""
    whole = cast(bindparam("document", forgery.document, Text), JSONB)
    each = func.jsonb_each(whole).table_valued("key", column("value", JSONB), name="said")
    kept = each.c.key == any_(literal(sorted(names), ARRAY(Text)))
    return select(func.jsonb_object_agg(each.c.key, each.c.value)).where(kept).scalar_subquery()


def _restore(connection: Connection, facts: Facts, forgery: Forgery) -> None:
    with _in_words(connection):
        if forgery.kind == ADDED:
            _refuse_if_others_belong(connection, facts, forgery.id)
            connection.execute(delete(facts.table).where(facts.key == forgery.id))
            return
        if forgery.kind == REMOVED:
            _insert(connection, facts, forgery)
            return
        still: Forgery | None = forgery
        for _ in range(WRITES):
            if still is not None:
                _update(connection, facts, still)
                still = next(iter(facts.forged(connection, [forgery.id])), None)


def _recompute(connection: Connection, forgery: Forgery) -> None:
    """Recompute what reads the row: incremental figures never included the forged value."""
    owners = building_on(connection, [forgery])
    pending = {name: Touched(owners=mine) for name, mine in owners.items() if mine}
    settle_connection(connection, registry, pending=pending)


def _update(connection: Connection, facts: Facts, forgery: Forgery) -> None:
    names = sorted(forgery.trail)
    values = dict(_typed(facts, forgery, names))
    table = facts.table
    if "version" in table.c:
        values["version"] = table.c.version + 1
    if "updated_at" in table.c:
        values["updated_at"] = func.now()
    connection.execute(update(table).where(facts.key == forgery.id).values(values))


def _insert(connection: Connection, facts: Facts, forgery: Forgery) -> None:
    known = {c.key for c in facts.columns}
    values = dict(_typed(facts, forgery, sorted(known & forgery.trail.keys())))
    connection.execute(insert(facts.table).values(values))


def _typed(facts: Facts, forgery: Forgery, names: list[str]) -> Iterator[tuple[str, Any]]:
    """The trail's values of these columns, cast by PostgreSQL itself from the document."""
    columns = [column(c.key, c.type) for c in facts.table.columns]
    read = func.jsonb_populate_record(text(f'NULL::public."{facts.name}"'), _picked(forgery, names))
    row = read.table_valued(*columns, name="trail")
    for name in names:
        yield name, select(row.c[name]).scalar_subquery()


def _refuse_if_others_belong(connection: Connection, facts: Facts, row_id: int) -> None:
    """Refuse a deletion that would cascade to other rows, which may have been entered and would be lost unseen."""
    for pointing in _pointing(facts):
        if connection.execute(select(pointing).where(pointing == row_id).limit(1)).first():
            raise OthersBelong()


def _pointing(facts: Facts) -> Iterator[Column[Any]]:
    for table in Base.metadata.tables.values():
        for held in table.columns:
            if any(k.column is facts.key and k.ondelete == "CASCADE" for k in held.foreign_keys):
                yield held


@contextmanager
def _in_words(connection: Connection) -> Iterator[None]:
    """Turn a database error, of deferred constraints too, into a refusal with a sentence."""
    try:
        with connection.begin_nested():
            yield
            connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None)
        if state not in BY_STATE:
            raise
        raise BY_STATE[state]() from error
