"""The watch over outside programs: the notes they leave are drained within moments of their commit.

A note that another transaction can see was left by a program other than the app: the app's own sessions
drain theirs before they commit.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, Row, func, select
from sqlalchemy.orm import Session

from ... import figures
from ...figures import NotedResult, registry
from ...figures.computing.registry import Bundle
from ...figures.keeping.drain import Drained
from ...figures.keeping.notes import NOTES
from ...figures.models import bundle_of_note, noted_bundle
from ...figures.verifying.outside import due_notes, known_notes
from ...runs import actions
from ...runs.errors import AlreadyRunning
from ...runs.models import Run
from ...runs.working import perform
from ..facts.holding import Doubts
from ..findings import close_corrected, record_held
from ..verification.checks import settle_open
from ..verification.chunks import close_right
from ..verification.scope import bundle_named

log = structlog.get_logger("backoffice.watch")

FLOOD = 5_000
"""More notes, or owners of an emptied table, than this are drained as a run rather than at once."""


SLICE_SECONDS = 1.0
"""How long the watch itself works on a flood before it handles anything else."""


def look(engine: Engine) -> bool:
    """Drain what outside programs left noted, or request a run if that is a flood; returns whether there was any."""
    with engine.connect() as connection:
        flooding = _flooding(connection)
        if flooding is None and not _waiting(connection):
            return False
        is_flood = flooding is None and _is_flood(connection)
    if flooding is not None:  # workers help if there are any; without Redis the watch does it alone
        perform(engine, flooding.id, seconds=SLICE_SECONDS)
        drain(engine, above=flooding.scope.get("high", 0))  # later notes do not wait for it
        return True
    if is_flood:
        _ask_for_a_run(engine)
        return True
    done = drain(engine)
    if done.failures:
        log.error(
            "notes could not be drained", failures=len(done.failures), first=str(done.failures[0])
        )
    return bool(done.notes)


def drain(engine: Engine, above: int = 0, *, put_off: bool = False) -> NotedResult:
    """Drain every note that outside programs left, and close the findings that this heals.

    Those with an id `above`; notes waiting for a retry because they could not be drained only with `put_off`.
    """
    done = figures.heal_noted(
        engine, within=_within, above=above, put_off=put_off, doubtful=Doubts()
    )
    if done.notes:
        log.info("outside notes drained", notes=done.notes, corrections=len(done.corrections))
    if done.notes:  # after corrections, checks may hold again
        with engine.begin() as connection:
            settle_open(connection)
    return done


MOST_NAMED = 10_000
"""The most noted owners of a bundle that a scope lists; with more it covers all of them."""


def noted_scope(engine: Engine) -> dict[str, Any]:
    """The scope of whatever outside programs left noted: the owners that a drain would recompute.

    Every owner of a bundle where a note names none (an emptied table; a row that leads to its owner through
    another table). Without notes: the figures with no owners.
    """
    waiting = select(noted_bundle, NOTES.c.owner).where(known_notes(registry)).distinct()
    noted: dict[str, set[int | None]] = {figure.name: set() for figure in registry.figures}
    with engine.connect() as connection:
        for name, owner in connection.execute(waiting):
            for figure in bundle_named(registry, name).figures:
                noted[figure.name].add(owner)
    reported = {
        name: None if None in owners or len(owners) > MOST_NAMED else sorted(filter(None, owners))
        for name, owners in noted.items()
    }
    return {"figures": reported}


def _within(connection: Connection, things: Sequence[Any], drained: Drained) -> None:
    close_corrected(connection, drained.corrections)
    for bundle, owners in _owners_noted(things).items():  # the program may have corrected it itself
        close_right(connection, bundle, {"owners": sorted(owners)})
    for bundle, left in record_held(connection, drained, None):
        if left:
            log.warning(
                "skipped: facts beneath differ from the audit trail",
                bundle=bundle.name,
                rows=len(left),
            )


def _owners_noted(things: Sequence[Any]) -> dict[Bundle, set[int]]:
    """The owners named by groups of notes; none for anything else that was processed."""
    found: dict[Bundle, set[int]] = defaultdict(set)
    for note in (note for group in things if isinstance(group, list) for note in group):
        if note.owner is not None:
            found[bundle_named(registry, bundle_of_note(note.bundle))].add(note.owner)
    return found


def _waiting(connection: Connection) -> bool:
    waiting = select(NOTES.c.id).where(due_notes(registry))
    return connection.execute(waiting.limit(1)).first() is not None


def _flooding(connection: Connection) -> Row[int, dict[str, Any]] | None:
    """The live run that drains a flood."""
    live = select(Run.id, Run.scope).where(Run.kind == "figures.drain", Run.finished_at.is_(None))
    return connection.execute(live.limit(1)).first()


def _is_flood(connection: Connection) -> bool:
    some = select(NOTES.c.id).where(due_notes(registry)).limit(FLOOD + 1).subquery()
    if (connection.scalar(select(func.count()).select_from(some)) or 0) > FLOOD:
        return True
    every = select(noted_bundle).where(
        NOTES.c.owner.is_(None), NOTES.c.source.is_(None), due_notes(registry)
    )
    emptied = set(connection.scalars(every.distinct()))
    return any(_is_large(connection, b) for b in registry.bundles if b.name in emptied)


def _is_large(connection: Connection, bundle: Bundle) -> bool:
    some = select(bundle.owner_key).limit(FLOOD + 1).subquery()
    return (connection.scalar(select(func.count()).select_from(some)) or 0) > FLOOD


def _ask_for_a_run(engine: Engine) -> None:
    with Session(engine) as session:
        try:
            high = session.scalar(select(func.max(NOTES.c.id))) or 0
            run = actions.request(session, "figures.drain", {"high": high}, is_paced=False)
        except AlreadyRunning:
            return
        session.commit()
        log.info("a flood of outside notes is drained as a run", run=run.id)
