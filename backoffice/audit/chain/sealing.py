"""Sealing: the trail's events are added to a hash chain, in the background and in batches.

Only events of transactions older than the oldest running one are sealed. So nothing that commits later sorts before
what is sealed, and (xid, id) is an order that omits no event; the order of ids alone is not, because the transaction
that draws a number first may commit last.
"""

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from struct import pack
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Text,
    and_,
    cast,
    exists,
    func,
    insert,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.orm import Session

from ...base import N_, table_of
from ...base.refusals import Refusal
from ...figures.models import Xid8
from ..models import AuditSeal
from .keys import Key, Keyring
from .records import (
    EVENTS,
    digest_of,
    events,
    next_to_come,
    oldest_running,
    records_of,
    system_identifier,
    xid_in,
    xid_of,
)

SEALS = table_of(AuditSeal)

ONE_AT_A_TIME = 0x5EA1
"""Key of the advisory lock that serializes sealers."""

BATCH = 10_000
"""The most events in one seal; each seal is one short transaction."""


class UnknownKey(Refusal):
    """The chain was continued under a key that this process does not have."""

    sentence = N_(
        "Seal %(seal)s was made under the key %(key)s, which AUDIT_KEY does not hold here. "
        "Nothing is sealed until it does, so that the chain stays one."
    )


class BrokenChain(Refusal):
    """The last seal does not verify under any key of this deployment."""

    sentence = N_(
        "Seal %(seal)s is not genuine, and nothing is sealed after it. "
        "Look at it with: backoffice audit verify-chain"
    )


@dataclass(frozen=True)
class Head:
    """The last seal, without its events; `AuditSeal` describes the fields.

    `has_moved`: the trail has since been moved here from another cluster.
    """

    number: int
    system: int
    floor_id: int
    last_xid: int
    last_id: int
    highest_id: int
    total: int
    key: str
    sealed_at: datetime
    digest: bytes
    has_moved: bool

    @classmethod
    def of(cls, seal: Any) -> "Head":
        """The head of a seal, without its events."""
        return cls(**{each.name: seal[each.name] for each in fields(cls)})


_HAS_MOVED = or_(
    SEALS.c.system != system_identifier(),
    cast(cast(SEALS.c.last_xid, Text), Xid8) >= next_to_come(),
).label("has_moved")
"""Whether the cluster is another one, or its transaction counter went back."""


def head_of(connection: Connection | Session) -> Head | None:
    """The last seal; None if nothing has been sealed yet."""
    names = (each.name for each in fields(Head) if each.name in SEALS.c)
    newest = (
        select(*(SEALS.c[name] for name in names), _HAS_MOVED)
        .order_by(SEALS.c.number.desc())
        .limit(1)
    )
    row = connection.execute(newest).mappings().first()
    return None if row is None else Head.of(row)


def seal(
    engine: Engine,
    keys: Keyring,
    *,
    size: int = BATCH,
    progress: Callable[[int], None] = lambda _count: None,
) -> int:
    """Seal every event that can be sealed now, one transaction per batch; returns the number of events.

    Raises UnknownKey if the chain was continued under a key that the keyring lacks, and BrokenChain if its last seal
    is not genuine.
    """
    count = 0
    while True:
        with engine.begin() as connection:
            sealed = seal_batch(connection, keys, size)
        if sealed is None:
            return count
        count += sealed
        progress(sealed)


def seal_batch(connection: Connection, keys: Keyring, size: int = BATCH) -> int | None:
    """Add one seal in the caller's transaction; returns its number of events, or None if there was nothing to seal.

    Concurrent sealers wait here until the other one commits. Raises UnknownKey and BrokenChain.
    """
    connection.execute(select(func.pg_advisory_xact_lock(ONE_AT_A_TIME)))
    head = _genuine_head(connection, keys)
    system = connection.execute(select(system_identifier())).scalar_one()
    if head is None or head.has_moved:
        return _open(connection, keys.newest, head, system)
    statement = events().where(*_sealable(head)).order_by(EVENTS.c.xid, EVENTS.c.id).limit(size)
    found = list(records_of(connection, statement))
    if not found:
        return None
    last_id, last = found[-1]
    place = {"floor_id": head.floor_id, "last_xid": xid_in(last), "last_id": last_id}
    _add(connection, keys.newest, head, system, found, place)
    return len(found)


def _genuine_head(connection: Connection, keys: Keyring) -> Head | None:
    """The last seal, verified: a chain continued from a forged seal would look sealed, or never be sealed."""
    newest = select(SEALS, _HAS_MOVED).order_by(SEALS.c.number.desc()).limit(1)
    seal = connection.execute(newest).mappings().first()
    if seal is None:
        return None
    age = keys.age_of(seal["key"])
    if age is None:
        raise UnknownKey(key=seal["key"], seal=seal["number"])
    if digest_of_seal(seal, keys.key(age)) != seal["digest"]:
        raise BrokenChain(seal=seal["number"])
    return Head.of(seal)


def _open(connection: Connection, key: Key, head: Head | None, system: int) -> int:
    """Write the first seal in this cluster, over the events that came unsealed from the previous cluster.

    A cluster numbers its own transactions, so the order of a restored trail cannot be continued. Events from the
    previous cluster have ids up to the floor; events written here have higher ones.
    """
    foreign = select(func.max(EVENTS.c.id)).where(EVENTS.c.xid >= next_to_come())
    floor = max(connection.scalar(foreign) or 0, head.highest_id if head else 0)
    left = events().where(EVENTS.c.id <= floor, ~is_sealed())
    found = list(records_of(connection, left.order_by(EVENTS.c.xid, EVENTS.c.id)))
    _add(connection, key, head, system, found, {"floor_id": floor, "last_xid": 0, "last_id": 0})
    return len(found)


def _add(
    connection: Connection,
    key: Key,
    head: Head | None,
    system: int,
    found: Sequence[tuple[int, bytes]],
    place: dict[str, Any],
) -> None:
    ids = [event_id for event_id, _record in found]
    values = {
        "number": head.number + 1 if head else 1,
        "system": system,
        **place,
        "highest_id": max([*ids, place["floor_id"], head.highest_id if head else 0]),
        "events": len(ids),
        "total": (head.total if head else 0) + len(ids),
        "ids": ids,
        "digests": b"".join(digest_of(record, key.of_events) for _id, record in found),
        "key": key.name,
        "sealed_at": datetime.now(UTC),
        "previous": head.digest if head else b"",
    }
    values["digest"] = digest_of_seal(values, key)
    connection.execute(insert(SEALS).values(values))


def digest_of_seal(seal: Any, key: Key) -> bytes:
    """The digest of a seal over all its other columns, each preceded by its length."""
    parts = (
        *(
            pack(">q", seal[name])
            for name in ("number", "system", "floor_id", "last_xid", "last_id")
        ),
        *(pack(">q", seal[name]) for name in ("highest_id", "events", "total")),
        pack(f">{len(seal['ids'])}q", *seal["ids"]),
        seal["digests"],
        seal["key"].encode(),
        seal["sealed_at"].astimezone(UTC).isoformat(timespec="microseconds").encode(),
        seal["previous"],
    )
    message = b"".join(pack(">q", len(part)) + part for part in parts)
    return hmac.digest(key.of_seals, message, "sha256")


def waiting(head: Head | None) -> ColumnElement[bool]:
    """The condition for visible events that are not sealed yet, with `head` as the end of the chain.

    In the cluster that wrote them no visible event has a future transaction id; such an id is forged.
    """
    if head is None:
        return true()
    if head.has_moved:
        return or_(_beyond(head), EVENTS.c.id > head.highest_id)
    return and_(_beyond(head), EVENTS.c.xid < next_to_come())


def stalled(connection: Connection | Session) -> timedelta | None:
    """The age of the oldest event that could have been sealed but is not; None if there is none.

    Events held back by a running transaction do not count.
    """
    head = head_of(connection)
    could = [EVENTS.c.xid < oldest_running()] if head is None else _sealable(head)
    if head is not None and head.has_moved:
        could = [waiting(head)]
    age = func.clock_timestamp() - EVENTS.c.at
    oldest = select(age).where(*could).order_by(EVENTS.c.xid, EVENTS.c.id).limit(1)
    found: timedelta | None = connection.scalar(oldest)
    return found


def is_sealed() -> ColumnElement[bool]:
    """The condition for events that stand in any seal; reads all seals."""
    sealed = select(func.unnest(SEALS.c.ids).label("id")).subquery("sealed")
    return exists(select(1).select_from(sealed).where(sealed.c.id == EVENTS.c.id))


def _beyond(head: Head) -> ColumnElement[bool]:
    place = tuple_(xid_of(head.last_xid), head.last_id)
    return and_(EVENTS.c.id > head.floor_id, tuple_(EVENTS.c.xid, EVENTS.c.id) > place)


def _sealable(head: Head) -> list[ColumnElement[bool]]:
    return [_beyond(head), EVENTS.c.xid < oldest_running()]
