"""Merging duplicates: the preview of a merge, the merge, and undoing it. Nothing here commits.

A merge is previewed without a lock, then applied under the locks of both customers if nothing has
changed since the preview. It records what it moved and changed, so that undoing moves back exactly
that, and reports what has been moved again since.
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
    """A customer cannot be merged into itself."""

    sentence = N_("That is the same customer twice. Choose two different ones.")


class AlreadyMerged(Refusal):
    """One of the two customers was already merged into another one."""

    sentence = N_("Customer %(code)s has been merged already.")
    status = 409


class InTheWay(Refusal):
    """Both customers have a row of a kind of which one customer can have only one."""

    status = 409

    def __init__(self, owned: OwnedRecord, days: Sequence[object]) -> None:
        self.sentence = owned.both_have
        super().__init__(days=", ".join(map(str, days)))


class MovesLockedDays(Refusal):
    """A row that would be moved is dated on a locked day."""

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
    """Undoing the merge would do something different from what was shown."""

    sentence = N_(
        "What undoing the merge would do has changed since it was shown. "
        "Nothing was undone: look at it again, then undo."
    )


class AlreadyUndone(Refusal):
    """The merge has already been undone."""

    sentence = N_("This merge has been undone already.")
    status = 409


class SurvivorMerged(Refusal):
    """The survivor was itself merged into another customer, together with what this merge moved."""

    sentence = N_("Customer %(code)s has itself been merged since. Undo that merge first.")
    status = 409


@dataclass(frozen=True)
class Move:
    """One kind of owned record: what each customer has before the merge, and how many records both have parts of."""

    owned: OwnedRecord
    survivor: Held
    duplicate: Held
    shared: int = 0

    @property
    def after(self) -> Held:
        """What the survivor has after the merge; the duplicate then has nothing."""
        both = self.survivor + self.duplicate
        return replace(both, count=both.count - self.shared)


@dataclass(frozen=True)
class FieldChoice:
    """One fact in which the two customers may differ."""

    name: str
    survivor: str
    duplicate: str

    @property
    def differs(self) -> bool:
        """Whether the facts differ, so that there is a choice."""
        return self.survivor != self.duplicate

    @property
    def is_taken(self) -> bool:
        """Whether the duplicate's fact is suggested: the survivor's is empty."""
        return not self.survivor and bool(self.duplicate)


@dataclass(frozen=True)
class Preview:
    """What merging `duplicate` into `survivor` would do. `digest` identifies the state that was previewed."""

    survivor: Customer
    duplicate: Customer
    moves: tuple[Move, ...]
    fields: tuple[FieldChoice, ...]
    digest: str


@dataclass(frozen=True)
class Way:
    """What undoing a merge does with one kind of record: which are moved back, and how many were moved again since.

    `number` is how many are moved back, as people count them. `stays` names the records that were booked since the
    merge on something that is moved back (a meter) and that stay with the survivor.
    """

    owned: OwnedRecord
    back: tuple[int, ...]
    moved_on: int
    number: int
    stays: tuple[str, ...] = ()


@dataclass(frozen=True)
class Undoing:
    """What undoing a merge does with the rows that it moved and with the survivor's facts that it changed.

    `refusal` is the reason why it cannot be undone now.
    """

    merge: CustomerMerge
    ways: tuple[Way, ...]
    restored: Mapping[str, str]
    changed_since: tuple[str, ...]
    refusal: Refusal | None = None

    @property
    def digest(self) -> str:
        """A digest that changes as soon as undoing would do something different."""
        ways = [[way.owned.name, way.back, way.moved_on, way.stays] for way in self.ways]
        return _digest_of([ways, dict(self.restored), self.changed_since])


def preview(session: Session, survivor: Customer, duplicate: Customer) -> Preview:
    """Preview the merge. Writes nothing and locks nothing.

    Raises:
        SameCustomer, AlreadyMerged, InTheWay, MovesLockedDays: the two customers cannot be merged.
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
    """Move to the survivor what belongs to the duplicate, and copy the duplicate's facts that `taken` names.

    The duplicate remains as a row that refers to the survivor. `digest` is the preview's, `by` the user's id.

    Raises:
        SameCustomer, AlreadyMerged, RecordGone: the two customers cannot be merged.
        PreviewOutdated: something has changed since the preview.
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
    session.flush()  # before anything is moved: new rows for the duplicate now go to the survivor
    for owned in owned_records():
        owned.move(session, moved[owned.name], survivor.id)
    session.expire_all()
    return record


def undoing(session: Session, record: CustomerMerge) -> Undoing:
    """Preview undoing the merge. Writes nothing and locks nothing."""
    survivor = session.get_one(Customer, record.survivor_id)
    return _undoing(session, record, survivor, lock=False)


def undo(
    session: Session, merge_id: int, *, digest: str | None = None, by: int | None = None
) -> Undoing:
    """Make the duplicate a customer again, and move back exactly what its merge had moved.

    Rows that were moved again since stay where they are, and so do facts that a user changed since. `digest` is
    that of the preview; None if there was no preview.

    Raises:
        AlreadyUndone, SurvivorMerged, MovesLockedDays, RecordGone: it cannot be undone.
        UndoingOutdated: undoing would do something different from what was shown.
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
    session.flush()  # before anything is moved back: else the trigger would book it on the survivor again
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
    """The reason why the merge cannot be undone now, or None."""
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
    """A digest that changes as soon as one of the customers, or a record that they own, changes."""
    state = [
        [c.id, c.version, *(getattr(c, name) for name in MERGED)]
        + [owned.state_of(session, c.id) for owned in owned_records()]
        for c in customers
    ]
    return _digest_of(state)


def _digest_of(state: object) -> str:
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()


def live_merges_into(session: Session, customer: Customer) -> Sequence[CustomerMerge]:
    """The merges into this customer that have not been undone, the latest first."""
    return session.scalars(
        select(CustomerMerge)
        .where(CustomerMerge.survivor_id == customer.id, CustomerMerge.undone_at.is_(None))
        .order_by(CustomerMerge.id.desc())
    ).all()
