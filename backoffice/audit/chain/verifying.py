"""Verifying the chain: the trail against its seals, and the chain against its anchors.

Every seal is verified by its key and the previous seal, every event by its digest in its seal; so a bad row is named,
and later rows are still checked one by one. Everything is read in one snapshot, where events being written are not
sealed yet: they raise no false alarm.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, Text, cast, func, insert, select, tuple_

from ...base import N_, table_of
from ...database.snapshots import snapshot
from .. import corrections
from ..models import AuditCheck
from .anchors import Anchor, Anchors
from .keys import Key, Keyring
from .records import DIGEST_SIZE, EVENTS, digest_of, events, records_of
from .sealing import SEALS, Head, digest_of_seal, head_of, is_sealed, waiting

AT_A_TIME = 10_000
"""The approximate number of events read at a time."""

LISTED = 100
"""The most bad rows that are listed; all of them are counted."""

KINDS = {
    "changed": N_("Event %(event)s is not what was sealed: the row was changed, or put in another's place."),
    "removed": N_("Event %(event)s is gone: the row was deleted after it was sealed."),
    "added": N_("Event %(event)s was never sealed, yet stands before events that were: the row was put in."),
    "seal": N_("Seal %(seal)s is not genuine: it was changed, or made without the key."),
    "key": N_("Seal %(seal)s was made under the key %(key)s, which AUDIT_KEY does not hold, or no longer."),
    "gap": N_("Seal %(seal)s is missing."),
    "other": N_("Seal %(seal)s is not the one that was anchored at %(at)s: the chain was made anew."),
    "cut": N_("The chain ends before seal %(seal)s, which was anchored at %(at)s: its tail was cut."),
    "anchor": N_("The anchor %(place)s cannot be believed: the line was changed, or its key is not ours."),
    "correction changed": N_("Correction %(correction)s is not what was recorded: the row was changed."),
    "correction removed": N_("Correction %(correction)s is gone: the row was deleted after it was recorded."),
    "correction added": N_("Correction %(correction)s is in no event of the trail: the row was put in."),
}  # fmt: skip
"""Kind of defect → its message."""

_LAST = float("inf")


@dataclass(frozen=True)
class Bad:
    """One defect, with the seal at which it was found, and the event if it can be identified."""

    kind: str
    seal: int
    event: int | None = None
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> tuple[float, float]:
        """Its position in the chain, to sort by."""
        return self.seal, _LAST if self.event is None else self.event

    @property
    def reported(self) -> dict[str, Any]:
        """The parameters of its message."""
        return {"seal": self.seal, "event": self.event, **self.values}

    @property
    def sentence(self) -> str:
        """The message in English; `KINDS` is translated when rendered."""
        return KINDS[self.kind] % self.reported


@dataclass
class Verification:
    """The result of a verification; `bad` is in the order of the chain."""

    seals: int = 0
    events: int = 0
    waiting: int = 0
    anchors: int = 0
    last_anchor: Anchor | None = None
    head: Head | None = None
    bad: list[Bad] = field(default_factory=list)
    bad_count: int = 0

    def add(self, bad: Bad, count: int = 1) -> None:
        """Count a defect `count` times, and list it unless the list is full."""
        self.bad_count += count
        if len(self.bad) < LISTED:
            self.bad.append(bad)


Progress = Callable[[int], None]


def verify(
    engine: Engine,
    keys: Keyring,
    anchors: Anchors | None = None,
    *,
    progress: Progress = lambda _count: None,
) -> Verification:
    """Compare every sealed event with its seal, every seal with its chain, and the chain with the anchors."""
    with snapshot(engine) as connection:
        return _Verifying(connection, keys, anchors or Anchors(), progress).result()


def record(connection: Connection, found: Verification) -> None:
    """Record that the chain was verified, and the result."""
    first = found.bad[0].sentence if found.bad else ""
    connection.execute(
        insert(table_of(AuditCheck)).values(
            kind="verified", seal=found.head.number if found.head else 0,
            events=found.events, bad=found.bad_count, first_bad=first,
        )
    )  # fmt: skip


class _Verifying:
    """One pass over the chain, in the snapshot of `connection`."""

    def __init__(
        self, connection: Connection, keys: Keyring, anchors: Anchors, progress: Progress
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._anchors = anchors
        self._progress = progress
        self._found = Verification(
            head=head_of(connection),
            anchors=len(anchors.standing),
            last_anchor=anchors.standing[-1] if anchors.standing else None,
        )
        self._gone = 0
        self._anchored: dict[int, list[Anchor]] = {}
        for one in anchors.standing:
            self._anchored.setdefault(one.seal, []).append(one)

    def result(self) -> Verification:
        """The result of the pass."""
        previous: Any = None
        for group in self._groups():
            for seal in group:
                self._check_link(seal, previous)
                previous = seal
            self._check_events(group)
        self._check_rest()
        self._check_corrections()
        for place in self._anchors.unbelievable:
            self._found.add(Bad("anchor", self._last + 1, values={"place": place}))
        self._found.bad.sort(key=lambda bad: bad.place)
        return self._found

    @property
    def _last(self) -> int:
        return self._found.head.number if self._found.head else 0

    def _groups(self) -> Iterator[list[Any]]:
        """The seals in order, in groups of some thousands of events under one key."""
        chain = select(SEALS).order_by(SEALS.c.number)
        streamed = chain.execution_options(stream_results=True, max_row_buffer=20)
        group: list[Any] = []
        count = 0
        for seal in self._connection.execute(streamed).mappings():
            if group and (count >= AT_A_TIME or group[-1]["key"] != seal["key"]):
                yield group
                group, count = [], 0
            group.append(seal)
            count += len(seal["ids"])
        if group:
            yield group

    def _check_link(self, seal: Any, previous: Any) -> None:
        """Check that the seal is genuine, follows the previous one, and matches its anchors."""
        self._found.seals += 1
        number = seal["number"]
        expected = previous["number"] + 1 if previous else 1
        if number > expected:
            self._found.add(Bad("gap", expected), number - expected)
        age = self._keys.age_of(seal["key"])
        before = self._keys.age_of(previous["key"]) if previous else None
        if age is None or (before is not None and age > before):
            self._found.add(Bad("key", number, values={"key": seal["key"]}))
        elif not _is_genuine(seal, self._keys.key(age), previous):
            self._found.add(Bad("seal", number))
        for one in self._anchored.pop(number, ()):
            if (one.digest, one.events) != (seal["digest"].hex(), seal["total"]):
                self._found.add(Bad("other", number, values={"at": one.at}))

    def _check_events(self, group: Sequence[Any]) -> None:
        """Check that each event of these seals exists and is unchanged."""
        ids = [event_id for seal in group for event_id in seal["ids"]]
        self._found.events += len(ids)
        age = self._keys.age_of(group[0]["key"])
        found = self._digests(ids, None if age is None else self._keys.key(age))
        for seal in group:
            sealed, now = seal["digests"], [found.get(event_id) for event_id in seal["ids"]]
            if age is None:
                now = [digest and _at(sealed, i) for i, digest in enumerate(now)]
            if None in now or b"".join(filter(None, now)) != sealed:
                self._name_bad(seal, now)
        self._progress(len(ids))

    def _digests(self, ids: Sequence[int], key: Key | None) -> dict[int, bytes]:
        """The current digests of these events; an id that occurs twice gets an empty digest, which never matches."""
        digests: dict[int, bytes] = {}
        wanted = events().where(EVENTS.c.id == func.any(list(ids)))
        for event_id, row in records_of(self._connection, wanted):
            is_twice = event_id in digests
            digests[event_id] = b"" if is_twice else digest_of(row, key.of_events) if key else b"?"
        return digests

    def _name_bad(self, seal: Any, now: Sequence[bytes | None]) -> None:
        for position, event_id in enumerate(seal["ids"]):
            digest = now[position]
            if digest is None:
                self._gone += 1
                self._found.add(Bad("removed", seal["number"], event_id))
            elif digest != _at(seal["digests"], position):
                self._found.add(Bad("changed", seal["number"], event_id))

    def _check_rest(self) -> None:
        """Check for events added among sealed ones, and that the chain reaches every anchored seal."""
        head = self._found.head
        here = self._connection.scalar(select(func.count()).select_from(EVENTS)) or 0
        late = select(func.count()).select_from(EVENTS).where(waiting(head))
        self._found.waiting = self._connection.scalar(late) or 0
        surplus = here - self._found.waiting - (self._found.events - self._gone)
        if surplus > 0:
            self._name_added(surplus)
        for number in sorted(self._anchored):
            at = self._anchored[number][0].at
            if number > self._last:
                self._found.add(Bad("cut", number, values={"at": at}))

    def _check_corrections(self) -> None:
        """Check every correction against the event that records it; the events themselves are sealed."""
        for wrong in corrections.bad(self._connection):
            place = self._last if wrong.event is None else 0
            self._found.add(Bad(wrong.kind, place, wrong.event, {"correction": wrong.id}))

    def _name_added(self, count: int) -> None:
        """List the unsealed events that sort before the end of the chain."""
        head = self._found.head
        if head is None:
            return
        added = select(EVENTS.c.id, cast(EVENTS.c.xid, Text)).where(~waiting(head), ~is_sealed())
        first = added.order_by(EVENTS.c.xid, EVENTS.c.id).limit(LISTED)
        for event_id, xid in self._connection.execute(first):
            self._found.bad.append(Bad("added", self._seal_around(event_id, int(xid)), event_id))
        self._found.bad_count += count

    def _seal_around(self, event_id: int, xid: int) -> int:
        """The first seal that extends beyond this position."""
        beyond = select(func.min(SEALS.c.number)).where(
            tuple_(SEALS.c.last_xid, SEALS.c.last_id) > tuple_(xid, event_id),
            SEALS.c.floor_id < event_id,
        )
        return self._connection.scalar(beyond) or self._last


def _is_genuine(seal: Any, key: Key, previous: Any) -> bool:
    """Whether the key made the seal, after the previous seal; a missing previous seal is reported elsewhere."""
    follows = previous is None or previous["number"] + 1 < seal["number"]
    return digest_of_seal(seal, key) == seal["digest"] and (
        follows or seal["previous"] == previous["digest"]
    )


def _at(digests: bytes, position: int) -> bytes:
    return digests[position * DIGEST_SIZE : (position + 1) * DIGEST_SIZE]
