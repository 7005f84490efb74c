"""Sealing: the trail's events are put into a chain of digests, in the background and in batches.

Only events of transactions older than the oldest one still running are sealed. So nothing that
commits later comes before what is sealed, and (xid, id) is an order in which nobody is skipped; the
order of ids alone is none, for whoever draws a number first may commit last.
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
    xid_in,
    xid_of,
)

SEALS = table_of(AuditSeal)

ONE_AT_A_TIME = 0x5EA1
"""Key of the advisory lock under which sealers wait for each other."""

BATCH = 10_000
"""Events of one seal, at most; one short transaction each."""


class UnknownKey(Refusal):
    """The chain was continued under a key that this process does not have."""

    sentence = N_(
        "Seal %(seal)s was made under the key %(key)s, which AUDIT_KEY does not hold here. "
        "Nothing is sealed until it does, so that the chain stays one."
    )


class BrokenChain(Refusal):
    """The last seal is not one of ours."""

    sentence = N_(
        "Seal %(seal)s is not genuine, and nothing is sealed after it. "
        "Look at it with: backoffice audit verify-chain"
    )


@dataclass(frozen=True)
class Head:
    """The last seal, without its events; what the fields mean stands in `AuditSeal`.

    `has_moved`: since then the trail was brought here from another cluster.
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
        """A seal without its events."""
        return cls(**{each.name: seal[each.name] for each in fields(cls)})


def _system() -> ColumnElement[int]:
    """The cluster of databases that this one belongs to."""
    control = func.pg_control_system().table_valued("system_identifier", name="control")
    return select(control.c.system_identifier).scalar_subquery()


_HAS_MOVED = or_(
    SEALS.c.system != _system(), cast(cast(SEALS.c.last_xid, Text), Xid8) >= next_to_come()
).label("has_moved")
"""Another cluster, or one whose count of transactions went back."""


def head_of(connection: Connection | Session) -> Head | None:
    """The last seal; None where nothing has been sealed yet."""
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
    """Seal everything that can be sealed now, a transaction a batch; answers how many events that was.

    Raises UnknownKey where the chain was continued under a key that is not among ours, and
    BrokenChain where its last seal is not genuine.
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
    """Add one seal, in the caller's transaction; answers its number of events, None when there was nothing.

    Sealers wait for each other here, until the other's commit. Raises UnknownKey and BrokenChain.
    """
    connection.execute(select(func.pg_advisory_xact_lock(ONE_AT_A_TIME)))
    head = _genuine_head(connection, keys)
    system = connection.execute(select(_system())).scalar_one()
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
    """The last seal, proved: what goes on from a forged one would look sealed, or never be."""
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
    """The first seal in this cluster of databases, with what was not sealed where the trail comes from.

    A cluster numbers its transactions itself, so the order of a restored trail cannot be continued.
    What it brought along has ids up to the floor; what is written here has higher ones.
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
    """The digest of a seal over all its other columns, each with its length before it."""
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
    """Events that are seen and not sealed yet, the chain going as far as `head`.

    In the cluster that made them nothing seen has a number to come; that number is invented.
    """
    if head is None:
        return true()
    if head.has_moved:
        return or_(_beyond(head), EVENTS.c.id > head.highest_id)
    return and_(_beyond(head), EVENTS.c.xid < next_to_come())


def stalled(connection: Connection | Session) -> timedelta | None:
    """The age of the oldest event that could have been sealed and is not; None where there is none.

    What a transaction still running keeps from being sealed does not count.
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
    """Whether an event stands in any seal; reads them all."""
    sealed = select(func.unnest(SEALS.c.ids).label("id")).subquery("sealed")
    return exists(select(1).select_from(sealed).where(sealed.c.id == EVENTS.c.id))


def _beyond(head: Head) -> ColumnElement[bool]:
    place = tuple_(xid_of(head.last_xid), head.last_id)
    return and_(EVENTS.c.id > head.floor_id, tuple_(EVENTS.c.xid, EVENTS.c.id) > place)


def _sealable(head: Head) -> list[ColumnElement[bool]]:
    return [_beyond(head), EVENTS.c.xid < oldest_running()]
