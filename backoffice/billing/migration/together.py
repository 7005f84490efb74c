"""Applying groups: a dry run rolls back and lists the changes, an application keeps exactly the listed ones.

Both run the same code, so that what is listed is what is written.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Integer, Text, cast, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError

from ...drift.findings import close_corrected
from ...drift.healing.applying import FIELDS, MOVED, sameness
from ...drift.healing.moved import totals_written
from ...figures import registry
from ...figures.computing.increments import Changes
from ...figures.keeping.drain import Correcting, Drained, correction_of, drain
from ...figures.keeping.hooks import held, written
from ...figures.keeping.notes import Touched
from ...figures.verifying.healing import PASSING, Healer
from ...runs.models import AMOUNTS, APPLIED, FOUND, ITEM_FAILED, SKIPPED
from ...runs.work import Asked, Chunk, Step, Work
from ..figures import RECALCULATED
from . import groups, placing, would_be
from .documents import DOCUMENT_KINDS
from .groups import GROUP, METERS, Group
from .steps import APPLY_WHOLE

Items = dict[str, list[dict[str, Any]]]
"""Name of a group → its changes, as the fields of a run's items except the outcome."""

_COUNTED = {FOUND: "changed", APPLIED: "changed", SKIPPED: "skipped", ITEM_FAILED: "failed"}


def plan(connection: Connection, asked: Asked) -> Iterator[Chunk]:
    """Chunks of the documents without a meter, or of exactly what a dry run of these has found.

    In the preview of a whole migration later steps list the totals.
    """
    if "run" in asked.scope:
        return groups.listed(connection, asked.scope["run"])
    return groups.waiting(connection) if _is_alone(asked) else placing.plan(connection)


def work(work: Work) -> None:
    """List what the chunk's groups change, or apply exactly what was listed."""
    payload = work.payload
    if "documents" not in payload:
        act = _GroupWork(work)
        act.each(act.preview if work.asked.dry_run else act.apply)
    elif _is_alone(work.asked):
        placing.leave(work, payload["documents"], payload["ids"])
    else:
        placing.place(work)


def _is_alone(asked: Asked) -> bool:
    """Whether it is the dry run of the first step alone."""
    return asked.dry_run and not would_be.is_previewed(asked)


class _GroupWork:
    """The groups of one chunk, several in a transaction; those that fail are isolated by halving."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.step: Step | None = None
        asked = work.asked
        corrects = asked.kind == APPLY_WHOLE
        why = correction_of("heal", asked.reason, run_id=asked.id)
        self.correcting = why if corrects else None

    def each(self, act: Callable[[Connection, Sequence[Group], bool], None]) -> None:
        """Call `act` on the groups that have no items in this run yet."""

        def done(connection: Connection, part: Sequence[Group], alone: bool) -> Drained:
            act(connection, part, alone)
            return Drained()

        with self.work.snapshot() as connection:
            left = groups.of_chunk(connection, self.work)
        Healer(registry, self._begin, lambda _: None).each(left, done, self._failed, rows=_rows)

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        with self.work.transaction() as step:
            self.step = step
            yield step.connection

    def preview(self, connection: Connection, part: Sequence[Group], alone: bool) -> None:
        """List what they change, and roll it back. `alone`: one document at a time, because one of them fails."""
        refused: list[dict[str, Any]] = []
        savepoint = connection.begin_nested()
        found = (
            _one_by_one(connection, part[0], refused) if alone else apply_groups(connection, part)
        )
        savepoint.rollback()
        for name, items in found.items():
            self._record(name, items, FOUND)
        self._record(part[0].name, refused, ITEM_FAILED)
        self._add_unplanned(sum(map(len, found.values())) - _documents(part))

    def apply(self, connection: Connection, part: Sequence[Group], _alone: bool = False) -> None:
        """Apply exactly what was listed; a group that would change anything else is skipped."""
        savepoint = connection.begin_nested()
        found = apply_groups(connection, part, self.correcting)
        names = {group.name for group in part}
        moved = [group for group in part if _differs_from_listed(group, found[group.name])]
        if not moved and names == found.keys():
            for group in part:
                self._record(group.name, map(_fields, group.listed), APPLIED)
            return
        savepoint.rollback()
        if len(part) == 1:
            listed = part[0].listed
            self._record(part[0].name, (_fields(row, MOVED) for row in listed), SKIPPED)
            return
        left = [group for group in part if group not in moved]
        is_led_away = names != found.keys()  # a meter was reassigned meanwhile
        for some in ([group] for group in part) if is_led_away else (moved[:1], moved[1:], left):
            if some:
                self.apply(connection, some)

    def _failed(self, group: Group, error: str) -> None:
        with self._begin():
            self._record(group.name, (_fields(row, error) for row in group.listed), ITEM_FAILED)

    def _record(self, group: str, items: Iterable[Mapping[str, Any]], outcome: str) -> None:
        """Record the items of a group with their outcome."""
        assert self.step is not None
        tally, counter = self.step.tally, _COUNTED[outcome]
        for item in items:
            self.step.item(**item, outcome=outcome, details={GROUP: group})
            tally.checked += 1
            setattr(tally, counter, getattr(tally, counter) + 1)

    def _add_unplanned(self, items: int) -> None:
        """Count items beyond the documents that the chunk was planned with."""
        assert self.step is not None
        self.step.more += items


def _documents(part: Sequence[Group]) -> int:
    return sum(len(ids) for group in part for ids in group.documents.values())


READ_ROWS_OF_A_DOCUMENT = 20
"""How many rows that are only read a document counts for that is given its meter: so much longer it takes."""


def _rows(_connection: Connection, part: Sequence[Group], _most: int) -> int:
    return READ_ROWS_OF_A_DOCUMENT * _documents(part)


def apply_groups(
    connection: Connection, part: Sequence[Group], correcting: Correcting | None = None
) -> Items:
    """Give the groups' documents their meters, settle the totals, and return all changes by group.

    With `correcting` the listed totals are corrected too, and those that depend on them.
    """
    found: Items = {group.name: [] for group in part}
    names = {(t, id_): g.name for g in part for t, ids in g.documents.items() for id_ in ids}
    meters: set[int] = set()
    with held(connection), written(connection) as rows:
        for documents in DOCUMENT_KINDS:
            mine = sorted(id_ for table, id_ in names if table == documents.name)
            for row in placing.give_meters(connection, documents, mine) if mine else ():
                found[names[documents.name, row.id]].append(placing.as_item(documents, row))
                meters.add(row.meter_id)
        placing.settle(connection, meters)
        if correcting is not None:
            rows.extend(_correct(connection, _owners(part, meters), correcting))
    _add_totals(connection, rows, found)
    return found


def _one_by_one(connection: Connection, group: Group, refused: list[dict[str, Any]]) -> Items:
    """As `apply_groups`, document by document; adds those that fail to `refused`."""
    found: Items = {group.name: []}
    with held(connection), written(connection) as rows:
        for documents in DOCUMENT_KINDS:
            for id_ in group.documents.get(documents.name, ()):
                try:
                    with connection.begin_nested():
                        given = placing.give_meters(connection, documents, [id_])
                        placing.settle(connection, {row.meter_id for row in given})
                except DBAPIError as error:
                    state = getattr(error.orig, "sqlstate", None)
                    if error.connection_invalidated or state is None or state in PASSING:
                        raise
                    why = str(error.orig).strip().splitlines()[0]
                    refused.append({"subject": documents.failed.name, "owner": id_, "error": why})
                else:
                    found[group.name] += [placing.as_item(documents, row) for row in given]
    _add_totals(connection, rows, found)
    return found


def _add_totals(connection: Connection, rows: Changes, found: Items) -> None:
    """Add the stored totals that these rows changed, each to its group."""
    totals = totals_written(connection, rows)
    asked = [
        {"place": place, "subject": item["subject"], "owner": item["owner"]}
        for place, item in enumerate(totals)
    ]
    given = func.jsonb_to_recordset(cast(literal(json.dumps(asked), Text), JSONB))
    item = given.table_valued(
        Column("place", Integer), Column("subject", Text), Column("owner", BigInteger), name="item"
    ).render_derived(with_types=True)
    names = connection.scalars(select(groups.of_item(item.c)).order_by(item.c.place))
    for total, name in zip(totals, names, strict=True):
        found.setdefault(name, []).append(total)


def _owners(part: Sequence[Group], meters: set[int]) -> dict[str, set[int]]:
    """The owners by bundle to correct in a migration: those that were listed, and all that depend on them."""
    found: dict[str, set[int]] = defaultdict(set)
    customers = {int(group.name[1:]) for group in part if group.name.startswith("c")}
    for bundle in registry.bundles_of(RECALCULATED):
        found[bundle.name] |= meters if bundle.owner_table is METERS else customers
    for row in (row for group in part for row in group.listed):
        if groups.documents_of(row.subject) is None:
            found[registry.bundle_of(registry.get(row.subject)).name].add(row.owner)
    return found


def _correct(
    connection: Connection, owners: Mapping[str, set[int]], correcting: Correcting
) -> Changes:
    """Write the expected totals of these owners from the facts; returns the written rows."""
    rows: Changes = []
    for bundle in registry.bundles:
        if mine := owners.get(bundle.name):
            pending = {bundle.name: Touched(owners=set(mine))}
            # Dependent figures come next, or are right already: nothing else is written.
            every = registry.bundle_names
            drained = drain(connection, registry, pending, correcting, deferred=every)
            close_corrected(connection, drained.corrections)
            rows += drained.changed
    return rows


def _differs_from_listed(group: Group, found: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a group changes anything else than was listed."""
    return Counter(map(sameness, found)) != Counter(
        sameness(dict(row._mapping)) for row in group.listed
    )


def _fields(row: Any, error: str | None = None) -> dict[str, Any]:
    """A listed item as the fields of the item that records its outcome."""
    fields = {name: getattr(row, name) for name in ("subject", *FIELDS)}
    amounts = {name: getattr(row, name) for name in AMOUNTS}
    return {**fields, "amounts": amounts, "error": row.error if error is None else error}
