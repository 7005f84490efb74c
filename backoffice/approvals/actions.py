"""Previewing a verb's changes and applying them: at once, or above the limits after another user's approval."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import delete, func, insert
from sqlalchemy.orm import Session

from ..base import table_of
from ..database.numbering import numbers_only_looked_up
from ..people.models import User
from ..runs.actions import Limits, request
from ..runs.errors import ReasonMissing
from ..runs.models import AMOUNTS, APPLIED, DONE, FOUND, Run, RunChunk, RunItem
from .changes import Outlook, changed_by
from .refusals import OutlookChanged
from .verbs import ASKED, Payload, Verb, outlook_of

ITEMS, CHUNKS = table_of(RunItem), table_of(RunChunk)


def look(session: Session, verb: Verb, user: User, payload: Payload) -> Outlook:
    """The changes that the verb would make, rolled back afterwards. Raises the verb's refusals."""
    savepoint = session.begin_nested()
    try:
        with numbers_only_looked_up(session):
            return outlook_of(session, verb, user, payload)
    finally:
        savepoint.rollback()


def waits(session: Session, act: Callable[[], object], settings: Mapping[str, Any]) -> bool:
    """Whether the changes of `act` exceed the limits, so that a second user must approve; rolled back afterwards."""
    savepoint = session.begin_nested()
    try:
        with numbers_only_looked_up(session):
            found = changed_by(session, act).found
    finally:
        savepoint.rollback()
    return Limits.of(settings).are_exceeded_by(found.count, found.gross)


def attempt(
    session: Session, verb: Verb, user: User | None, payload: Payload, limits: Limits
) -> tuple[Outlook, bool]:
    """Do it, unless it needs approval: then it is rolled back. Returns the changes, and whether they were applied."""
    outlook, waits = _tried(session, limits, lambda: outlook_of(session, verb, user, payload))
    return outlook, not waits


def carry_out(
    session: Session,
    verb: Verb,
    user: User | None,
    payload: Payload,
    *,
    reason: str,
    seen: str,
    limits: Limits,
) -> tuple[Run, Outlook]:
    """Apply what was shown (the outlook of digest `seen`), or request a second user's approval.

    Returns the run, and the changes.

    Raises:
        OutlookChanged: the changes would differ by now.
        ReasonMissing: no reason was given.
        AlreadyRunning: the same already waits for approval.
        NoLongerAllowed, and the verb's refusals.
    """

    def done() -> Outlook:
        outlook = outlook_of(session, verb, user, payload)
        if verb.digest(outlook) != seen:
            raise OutlookChanged()
        if not reason.strip():
            raise ReasonMissing()
        return outlook

    with session.begin_nested():  # if the request fails, nothing is applied either
        outlook, waits = _tried(session, limits, done)
        digest = verb.digest(outlook)
        asked = {"payload": dict(payload), "digest": digest}
        run = request(
            session, verb.name, {ASKED: asked},
            reason=reason.strip(), is_paced=False, needs_approval=waits,
            sameness={"digest": digest},
        )  # fmt: skip
        _list(session, run, outlook, FOUND if waits else APPLIED)
        if not waits:
            _end(session, run, outlook)
    return run, outlook


def do_or_ask(
    session: Session, verb: Verb, payload: Payload, *, reason: str, limits: Limits
) -> Run | None:
    """Apply on behalf of a command or a schedule; returns the pending run if a second user must approve, else None.

    Raises as `carry_out`.
    """
    outlook, is_done = attempt(session, verb, None, payload, limits)
    if is_done:
        return None
    seen = verb.digest(outlook)
    return carry_out(session, verb, None, payload, reason=reason, seen=seen, limits=limits)[0]


def _tried(session: Session, limits: Limits, verb: Callable[[], Outlook]) -> tuple[Outlook, bool]:
    """The verb's changes, and whether they need approval: then they are rolled back."""
    savepoint = session.begin_nested()
    try:
        outlook = verb()
    except BaseException:
        savepoint.rollback()
        raise
    waits = limits.are_exceeded_by(outlook.found.count, outlook.found.gross)
    if waits:
        savepoint.rollback()
    else:
        savepoint.commit()
    return outlook, waits


def _list(session: Session, run: Run, outlook: Outlook, outcome: str) -> None:
    """Store the shown items with the run."""
    fields = ("subject", "owner", "key", "before", "after")
    rows: list[dict[str, Any]] = [
        {
            "run_id": run.id,
            "outcome": outcome,
            **{name: item[name] for name in fields},
            **{name: item["amounts"].get(name) for name in AMOUNTS},
        }
        for item in outlook.items
    ]
    if rows:
        session.execute(insert(ITEMS), rows)


def _end(session: Session, run: Run, outlook: Outlook) -> None:
    """End the run: the requesting transaction has done the work, so nothing is left for a worker."""
    session.execute(delete(CHUNKS).where(CHUNKS.c.run_id == run.id))
    run.status, run.started_at, run.finished_at = DONE, func.now(), func.now()
    run.total = run.checked = run.changed = outlook.found.count
    session.flush()
