"""A flood of an outside program's notes, drained as a run: in chunks, by any number of workers.

Bundle after bundle, lower ones first. What builds on a drained figure stays noted, in the name of
the program that wrote, until its own bundle is drained: each is then recomputed once, and not
again with every chunk beneath it.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    and_,
    any_,
    func,
    literal,
    or_,
    select,
)

from ...figures import Failure, registry
from ...figures.computing.registry import Bundle
from ...figures.keeping.drain import Drained, Pending, correction_of, drain
from ...figures.keeping.notes import NOTES, Touched
from ...figures.models import noted_bundle
from ...figures.verifying.batches import Pieces
from ...figures.verifying.outside import (
    NOTES_AT_ONCE,
    Notes,
    by_owner,
    defer,
    forget,
    rows_of_notes,
    schedule_retry,
    taking,
)
from ...runs.models import CHUNK_FAILED
from ...runs.work import CHUNKS, Asked, Chunk, Work
from ..facts import comparing
from ..healing.chunks import RunHealer
from ..verification.scope import BundlePart, bundle_named, chunks, listed

OWNERS_AT_ONCE = 1_000


def plan(_connection: Connection, asked: Asked) -> Iterator[Chunk]:
    """What is noted, bundle after bundle; facts are compared before and after."""
    return comparing.around(asked, registry.bundles, again(()))


def again(_items: Sequence[Any]) -> Iterator[Chunk]:
    """For each bundle: cut its notes into chunks once those beneath it are drained, then delete those of TRUNCATE.

    For a retry, too: everything that is still noted.
    """
    for number, bundle in enumerate(registry.bundles):
        yield Chunk({"bundle": bundle.name, "cut": True}, 0, 2 * number + 1)


def work(work: Work) -> None:
    """Do one chunk of a flood."""
    if comparing.compare(work):
        return
    bundle = bundle_named(registry, work.payload["bundle"])
    if "cut" in work.payload:
        _cut(work, bundle)
    elif "forget" in work.payload:
        _forget(work)
    elif "db_user" in work.payload:
        _recompute(work, bundle)
    else:
        _drain(work, bundle)


def _of(bundle: Bundle) -> ColumnElement[bool]:
    """The bundle's notes, except those that could not be drained before and wait for a retry."""
    is_due = or_(NOTES.c.attempts == 0, NOTES.c.retry_at <= func.clock_timestamp())
    return and_(noted_bundle == bundle.name, is_due)


UNTIL_ITS_TURN = timedelta(minutes=10)
"""How long the watch ignores the notes that a flood's run leaves for its own later stages."""


def _cut(work: Work, bundle: Bundle) -> None:
    """Cut the bundle's present notes into chunks by owner."""
    with work.transaction(is_last=True) as step:
        high = step.connection.scalar(select(func.max(NOTES.c.id)).where(_of(bundle)))
        if high is not None:
            step.add(_cut_up(step.connection, bundle, high, work.claim.stage))


def _cut_up(connection: Connection, bundle: Bundle, high: int, stage: int) -> Iterator[Chunk]:
    """The bundle's notes up to `high`: by owner, by row that leads to one, and of emptied tables."""
    mine = _of(bundle), NOTES.c.id <= high
    unassigned = (*mine, NOTES.c.owner.is_(None))
    owned = select(NOTES.c.owner).where(*mine, NOTES.c.owner.is_not(None)).distinct()
    owners = sorted(connection.scalars(owned))
    for chunk in listed(bundle, owners, stage, OWNERS_AT_ONCE):
        yield Chunk({**chunk.payload, "high": high}, chunk.size, stage)
    ids = list(
        connection.scalars(select(NOTES.c.id).where(*unassigned, NOTES.c.source.is_not(None)))
    )
    for i in range(0, len(ids), NOTES_AT_ONCE):
        page = ids[i : i + NOTES_AT_ONCE]
        yield Chunk({"bundle": bundle.name, "ids": page}, len(page), stage)
    every = select(NOTES.c.id, NOTES.c.db_user).where(*unassigned, NOTES.c.source.is_(None))
    emptied = connection.execute(every.order_by(NOTES.c.id)).all()
    if emptied:
        user = {"db_user": emptied[-1].db_user}
        for chunk in chunks(connection, BundlePart(bundle, None), stage, OWNERS_AT_ONCE):
            yield Chunk({**chunk.payload, **user}, chunk.size, stage)
        gone = {"bundle": bundle.name, "forget": [note.id for note in emptied]}
        yield Chunk(gone, 0, stage + 1)


def _drain(work: Work, bundle: Bundle) -> None:
    """Drain the notes of the chunk's owners."""
    which: tuple[ColumnElement[bool], ...]
    if "ids" in work.payload:
        which = (NOTES.c.id == any_(literal(work.payload["ids"], ARRAY(BigInteger))),)
    else:
        owners = literal(work.payload["owners"], ARRAY(BigInteger))
        which = (_of(bundle), NOTES.c.owner == any_(owners), NOTES.c.id <= work.payload["high"])
    columns = (NOTES.c.id, NOTES.c.bundle, NOTES.c.owner, NOTES.c.db_user)
    with work.snapshot() as connection:
        notes = connection.execute(select(*columns).where(*which).order_by(NOTES.c.id)).all()
    for db_user in sorted({note.db_user for note in notes}):
        FloodHealer(work, bundle, db_user).take([n for n in notes if n.db_user == db_user])


class FloodHealer(RunHealer):
    """Recomputes one bundle alone; what builds on it stays noted in the name of the program that wrote."""

    def __init__(self, work: Work, bundle: Bundle, db_user: str) -> None:
        super().__init__(work, bundle, "bypass")
        self.db_user = db_user
        self.correcting = correction_of("bypass", db_user=db_user, run_id=work.asked.id)

    def take(self, notes: Notes) -> None:
        """Drain these notes."""
        pieces = Pieces()
        take = taking(
            pieces, registry, self.db_user, UNTIL_ITS_TURN, self.work.asked.id, self.healer.doubtful
        )

        def failed(group: Notes, error: str) -> None:
            with self.work.transaction() as step:
                schedule_retry(step.connection, [note.id for note in group])
            self.healer.failed(Failure(group[0].bundle, group[0].owner, error))

        rows = rows_of_notes(self.healer.rows_of(self.bundle))
        self.healer.reporting_to(pieces).each(by_owner(notes), take, failed, self.bundle.name, rows)

    def recompute(self, owners: Sequence[int]) -> None:
        """Recompute these owners, which have lost all their sources."""
        pieces = Pieces()

        def correct(connection: Connection, part: Sequence[int], _: bool) -> Drained:
            pending: Pending = {self.bundle.name: Touched(owners=set(part))}
            drained = drain(
                connection, registry, pending, self.correcting, alone=True,
                most_rows=pieces.most_rows(part[0]) if len(part) == 1 else None,
                doubtful=self.healer.doubtful,
            )  # fmt: skip
            defer(connection, self.db_user, UNTIL_ITS_TURN)
            return drained

        healer = self.healer.reporting_to(pieces)
        rows = healer.rows_of(self.bundle)
        healer.each(owners, correct, healer.of(self.bundle), self.bundle.name, rows)


def _recompute(work: Work, bundle: Bundle) -> None:
    """Recompute the owners of a figure after its sources were emptied."""
    key = bundle.owner_key
    between = key.between(work.payload["low"], work.payload["high"])
    with work.snapshot() as connection:
        owners = list(connection.scalars(select(key).where(between).order_by(key)))
    FloodHealer(work, bundle, work.payload["db_user"]).recompute(owners)


def _forget(work: Work) -> None:
    """Delete the notes of emptied tables, which are drained; where an owner failed, schedule a retry."""
    ids: list[int] = work.payload["forget"]
    failed = select(CHUNKS.c.number).where(
        CHUNKS.c.run_id == work.asked.id,
        CHUNKS.c.payload["bundle"].astext == work.payload["bundle"],
        or_(CHUNKS.c.status == CHUNK_FAILED, CHUNKS.c.failed > 0),
    )
    with work.transaction(is_last=True) as step:
        if step.connection.execute(failed.limit(1)).first() is None:
            forget(step.connection, ids)
        else:
            schedule_retry(step.connection, ids)
