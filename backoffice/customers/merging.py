"""Merging duplicates: what a merge would do, doing it, and undoing it. Nothing here commits.

A merge is previewed without a lock, then carried out under the locks of both customers, if all is
still as it was previewed. It records what it moved and changed, so that undoing moves back exactly
that, and names what has moved on since.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from ..base import N_
from ..base.refusals import Refusal, Stale
from ..records.actions import locked, next_version
from .fields import MERGED
from .models import Customer, CustomerMerge
from .owned_records import Held, OwnedRecord, owned_records


class SameCustomer(Refusal):
    """A customer is no duplicate of itself."""

    sentence = N_("That is the same customer twice. Choose two different ones.")


class AlreadyMerged(Refusal):
    """One of the two is a duplicate that was merged already."""

    sentence = N_("Customer %(code)s has been merged already.")
    status = 409


class InTheWay(Refusal):
    """Both have a row of what one customer can have only one of."""

    status = 409

    def __init__(self, owned: OwnedRecord, days: Sequence[object]) -> None:
        self.sentence = owned.both_have
        super().__init__(days=", ".join(map(str, days)))


class MovesLockedDays(Refusal):
    """Something that would go over is of a day that is locked."""

    sentence = N_(
        "What would move is partly of the days up to %(until)s, which are locked: nothing of them changes any more. "
        "Have those days opened first."
    )
    status = 409


class PreviewOutdated(Stale):
    """Something changed between the preview and the merge."""

    sentence = N_(
        "One of the customers, or what belongs to them, has changed since this preview. "
        "Nothing was merged: look at the new preview, then merge again."
    )


class UndoingOutdated(Stale):
    """Undoing the merge would do something else than was shown."""

    sentence = N_(
        "What undoing the merge would do has changed since it was shown. "
        "Nothing was undone: look at it again, then undo."
    )


class AlreadyUndone(Refusal):
    """The merge was undone before."""

    sentence = N_("This merge has been undone already.")
    status = 409


class SurvivorMerged(Refusal):
    """What the merge moved has gone on with its survivor."""

    sentence = N_("Customer %(code)s has itself been merged since. Undo that merge first.")
    status = 409


@dataclass(frozen=True)
class Move:
    """One kind of what belongs to the two customers: what each has before the merge, and how many are of both."""

    owned: OwnedRecord
    survivor: Held
    duplicate: Held
    shared: int = 0

    @property
    def after(self) -> Held:
        """What the survivor has after it; the duplicate has nothing then."""
        both = self.survivor + self.duplicate
        return replace(both, count=both.count - self.shared)


@dataclass(frozen=True)
class FieldChoice:
    """One fact in which the two may differ; `is_taken`: the survivor's is empty, so it is filled."""

    name: str
    survivor: str
    duplicate: str

    @property
    def differs(self) -> bool:
        """Whether there is anything to choose."""
        return self.survivor != self.duplicate

    @property
    def is_taken(self) -> bool:
        """Whether the duplicate's is suggested."""
        return not self.survivor and bool(self.duplicate)


@dataclass(frozen=True)
class Preview:
    """What merging `duplicate` into `survivor` would do. `digest` names the state that it was seen in."""

    survivor: Customer
    duplicate: Customer
    moves: tuple[Move, ...]
    fields: tuple[FieldChoice, ...]
    digest: str


@dataclass(frozen=True)
class Way:
    """What undoing a merge does with one kind: these go back, so many have moved on since.

    `number` is how many go back as people count them. `stays` names what was booked since on what goes back (a
    meter), and stays with the survivor.
    """

    owned: OwnedRecord
    back: tuple[int, ...]
    moved_on: int
    number: int
    stays: tuple[str, ...] = ()


@dataclass(frozen=True)
class Undoing:
    """What undoing a merge does: with what it moved, and with the survivor's facts that it changed.

    `refusal` is why it cannot be undone now.
    """

    merge: CustomerMerge
    ways: tuple[Way, ...]
    restored: Mapping[str, str]
    changed_since: tuple[str, ...]
    refusal: Refusal | None = None

    @property
    def digest(self) -> str:
        """Another one as soon as it would do something else."""
        ways = [[way.owned.name, way.back, way.moved_on, way.stays] for way in self.ways]
        return _digest_of([ways, dict(self.restored), self.changed_since])


def preview(session: Session, survivor: Customer, duplicate: Customer) -> Preview:
    """What the merge would do. Writes nothing and locks nothing.

    Raises:
        SameCustomer, AlreadyMerged, InTheWay, MovesLockedDays: these two cannot be merged.
    """
    if survivor.id == duplicate.id:
        raise SameCustomer()
    for customer in (survivor, duplicate):
        if customer.merged_into_id is not None:
            raise AlreadyMerged(code=customer.code)
    ids = [survivor.id, duplicate.id]
    moves = []
    for owned in owned_records():
        if days := owned.of_both(session, *ids):
            raise InTheWay(owned, days)
        _refuse_locked(session, owned, owned.customer == duplicate.id)
        held = owned.held_by(session, ids)
        shared = owned.shared_by(session, *ids)
        moves.append(Move(owned, held[survivor.id], held[duplicate.id], shared))
    fields = tuple(
        FieldChoice(name, getattr(survivor, name), getattr(duplicate, name)) for name in MERGED
    )
    return Preview(survivor, duplicate, tuple(moves), fields, _digest(session, survivor, duplicate))


def merge(
    session: Session,
    survivor_id: int,
    duplicate_id: int,
    *,
    taken: Sequence[str],
    digest: str,
    by: int | None = None,
) -> CustomerMerge:
    """Give the survivor what belongs to the duplicate, and the duplicate's facts that `taken` names.

    The duplicate stays as a row that leads to the survivor. `digest` is the preview's; `by` the user.

    Raises:
        SameCustomer, AlreadyMerged, RecordGone: these two cannot be merged.
        PreviewOutdated: it would not do what was previewed.
    """
    customers = locked(session, Customer, [survivor_id, duplicate_id])
    survivor, duplicate = customers[survivor_id], customers[duplicate_id]
    if preview(session, survivor, duplicate).digest != digest:
        raise PreviewOutdated()
    after = {n: getattr(duplicate, n) for n in MERGED if n in taken}
    after = {name: value for name, value in after.items() if value != getattr(survivor, name)}
    before = {name: getattr(survivor, name) for name in after}
    duplicate.merged_into_id = survivor.id
    _change(survivor, after)
    _change(duplicate, {})
    moved = {b.name: b.locked(session, duplicate.id) for b in owned_records()}
    record = CustomerMerge(
        survivor_id=survivor.id,
        duplicate_id=duplicate.id,
        merged_by_id=by,
        moved=moved,
        before=before,
        after=after,
    )
    session.add(record)
    session.flush()  # before anything is moved: what comes for the duplicate now is the survivor's
    for owned in owned_records():
        owned.move(session, moved[owned.name], survivor.id)
    session.expire_all()
    return record


def undoing(session: Session, record: CustomerMerge) -> Undoing:
    """What undoing the merge would do now. Writes nothing and locks nothing."""
    survivor = session.get_one(Customer, record.survivor_id)
    return _undoing(session, record, survivor, lock=False)


def undo(
    session: Session, merge_id: int, *, digest: str | None = None, by: int | None = None
) -> Undoing:
    """Make the duplicate a customer again, and give back exactly what its merge had moved.

    What has moved on since stays where it is, and so do facts that a user changed since. `digest` is that of
    what was shown; None: nobody was shown anything.

    Raises:
        AlreadyUndone, SurvivorMerged, MovesLockedDays, RecordGone: it cannot be undone.
        UndoingOutdated: it would not do what was shown.
    """
    record = session.get_one(CustomerMerge, merge_id)
    customers = locked(session, Customer, [record.survivor_id, record.duplicate_id])
    session.refresh(record, with_for_update=True)
    survivor, duplicate = customers[record.survivor_id], customers[record.duplicate_id]
    done = _undoing(session, record, survivor, lock=True)
    if done.refusal is not None:
        raise done.refusal
    if digest is not None and done.digest != digest:
        raise UndoingOutdated()
    duplicate.merged_into_id = None
    record.undone_at, record.undone_by_id = func.now(), by
    _change(survivor, done.restored)
    _change(duplicate, {})
    session.flush()  # before anything is moved back: it would follow the duplicate to the survivor
    for way in done.ways:
        way.owned.move(session, way.back, duplicate.id)
    session.expire_all()
    return done


def _refuse_locked(session: Session, owned: OwnedRecord, those: ColumnElement[bool]) -> None:
    if (until := owned.locked_day(session, those)) is not None:
        raise MovesLockedDays(until=until.isoformat())


def _change(customer: Customer, facts: Mapping[str, str]) -> None:
    for name, value in facts.items():
        setattr(customer, name, value)
    next_version(customer)


def _ways(session: Session, record: CustomerMerge, *, lock: bool) -> Iterator[Way]:
    back = {}
    for owned in owned_records():
        there = owned.locked if lock else owned.those
        back[owned.name] = there(session, record.survivor_id, record.moved.get(owned.name, []))
    for owned in owned_records():
        ids, mine = record.moved.get(owned.name, []), back[owned.name]
        gone = sorted(set(ids) - set(mine))
        stays = owned.booked_since(session, record.survivor_id, record.merged_at, back, mine)
        moved_on, number = (owned.number_of(session, some) for some in (gone, mine))
        yield Way(owned, tuple(mine), moved_on, number, tuple(stays))


def _undoing(session: Session, record: CustomerMerge, survivor: Customer, *, lock: bool) -> Undoing:
    ways = tuple(_ways(session, record, lock=lock))
    untouched = {n for n, value in record.after.items() if getattr(survivor, n) == value}
    restored = {name: value for name, value in record.before.items() if name in untouched}
    changed = tuple(name for name in record.after if name not in untouched)
    refusal = _refusal_of(session, record, survivor, ways)
    return Undoing(record, ways, restored, changed, refusal)


def _refusal_of(
    session: Session, record: CustomerMerge, survivor: Customer, ways: Sequence[Way]
) -> Refusal | None:
    """Why the merge cannot be undone as things are."""
    if record.undone_at is not None:
        return AlreadyUndone()
    if survivor.merged_into_id is not None:
        return SurvivorMerged(code=survivor.code)
    try:
        for way in ways:
            _refuse_locked(session, way.owned, way.owned.among(way.back))
    except MovesLockedDays as locked_days:
        return locked_days
    return None


def _digest(session: Session, *customers: Customer) -> str:
    """Another one as soon as one of the customers, or what belongs to them, is another."""
    state = [
        [c.id, c.version, *(getattr(c, name) for name in MERGED)]
        + [owned.state_of(session, c.id) for owned in owned_records()]
        for c in customers
    ]
    return _digest_of(state)


def _digest_of(state: object) -> str:
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()


def live_merges_into(session: Session, customer: Customer) -> Sequence[CustomerMerge]:
    """The merges into this customer that were not undone, the latest first."""
    return session.scalars(
        select(CustomerMerge)
        .where(CustomerMerge.survivor_id == customer.id, CustomerMerge.undone_at.is_(None))
        .order_by(CustomerMerge.id.desc())
    ).all()
