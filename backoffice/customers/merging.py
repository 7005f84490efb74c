"""Merging duplicates: the preview of a merge, and the merge. Nothing here commits.

A merge is previewed without a lock, then applied under the locks of both customers if nothing has
changed since the preview.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, select
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
        before=before,
        after=after,
    )
    session.add(record)
    session.flush()  # before anything is moved: new rows for the duplicate now go to the survivor
    for owned in owned_records():
        owned.move(session, moved[owned.name], survivor.id)
    session.expire_all()
    return record


def _refuse_locked(session: Session, owned: OwnedRecord, those: ColumnElement[bool]) -> None:
    if (until := owned.locked_day(session, those)) is not None:
        raise MovesLockedDays(until=until.isoformat())


def _change(customer: Customer, facts: Mapping[str, str]) -> None:
    for name, value in facts.items():
        setattr(customer, name, value)
    next_version(customer)


def _digest(session: Session, *customers: Customer) -> str:
    """A digest that changes as soon as one of the customers, or a record that they own, changes."""
    state = [
        [c.id, c.version, *(getattr(c, name) for name in MERGED)]
        + [owned.state_of(session, c.id) for owned in owned_records()]
        for c in customers
    ]
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()


def live_merges_into(session: Session, customer: Customer) -> Sequence[CustomerMerge]:
    """The merges into this customer that have not been undone, the latest first."""
    return session.scalars(
        select(CustomerMerge)
        .where(CustomerMerge.survivor_id == customer.id, CustomerMerge.undone_at.is_(None))
        .order_by(CustomerMerge.id.desc())
    ).all()
