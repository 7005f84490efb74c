"""Carrying out groups: a dry run rolls back and lists the changes, an application keeps exactly the listed ones.

Both run the same code, so that what is listed is what is written.
"""

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    Row,
    Text,
    cast,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError

from ...drift.facts.holding import Doubts
from ...drift.findings import close_corrected
from ...drift.healing.applying import FIELDS, MOVED, sameness
from ...drift.healing.moved import totals_written
from ...drift.verification.chunks import leave_alone, suspected
from ...figures import Finding, registry
from ...figures.computing.increments import Changes
from ...figures.computing.registry import Bundle
from ...figures.keeping.drain import Correcting, Drained, correction_of, drain
from ...figures.keeping.hooks import held, written
from ...figures.keeping.notes import Touched
from ...figures.verifying.findings import findings
from ...figures.verifying.healing import PASSING, Healer
from ...runs.models import AMOUNTS, APPLIED, FOUND, ITEM_FAILED, SKIPPED
from ...runs.work import Asked, Chunk, Step, Work
from ..figures import RECALCULATED, invoice_amount
from . import groups, placing, preview
from .documents import DOCUMENT_KINDS, INVOICES, DocumentKind, any_of
from .groups import CUSTOMERS, GROUP, METERS, Group
from .steps import APPLY_WHOLE, WHOLE

Result = TypeVar("Result")

Items = dict[str, list[dict[str, Any]]]
"""Name of a group → its changes, as the fields of a run's items except the outcome."""

_COUNTED = {FOUND: "changed", APPLIED: "changed", SKIPPED: "skipped", ITEM_FAILED: "failed"}


def plan(connection: Connection, asked: Asked) -> Iterator[Chunk]:
    """Chunks of exactly what a dry run has found; for a dry run of all groups; else of the documents without a meter.

    A dry run of the first step then lists the documents that get no meter.
    """
    if "run" in asked.scope:
        return groups.listed(connection, asked.scope["run"])
    if not asked.dry_run:
        return placing.plan(connection)
    if asked.kind == WHOLE:
        return groups.everything(connection)
    names = [name for documents in DOCUMENT_KINDS for name in documents.names]
    found = (
        preview.share(connection, asked, names)
        if preview.is_previewed(asked)
        else groups.everything(connection)
    )
    return itertools.chain(found, placing.left(connection))


def work(work: Work) -> None:
    """Carry out the chunk's groups and roll them back, or apply exactly what was listed."""
    if preview.SHARE in work.payload:
        preview.copy(work)
    elif "documents" not in work.payload:
        act = _GroupWork(work)
        act.each(act.rehearse if work.asked.dry_run else act.apply)
    elif work.asked.dry_run:
        placing.leave(work)
    else:
        placing.place(work)


class _GroupWork:
    """The groups of one chunk, several in a transaction; those that fail are isolated by halving."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.step: Step | None = None
        asked = work.asked
        why = correction_of("heal", asked.reason, run_id=asked.id)
        self.correcting = why if asked.kind in (WHOLE, APPLY_WHOLE) else None

    def each(self, act: Callable[[Connection, Sequence[Group], bool], None]) -> None:
        """Call `act` on the groups that have no items in this run yet."""

        def done(connection: Connection, part: Sequence[Group], alone: bool) -> Drained:
            act(connection, part, alone)
            return Drained()

        with self.work.snapshot() as connection:
            left = groups.of_chunk(connection, self.work)
        Healer(registry, self._begin, lambda _: None).each(left, done, self._failed)

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        with self.work.transaction() as step:
            self.step = step
            yield step.connection

    def rehearse(self, connection: Connection, part: Sequence[Group], alone: bool) -> None:
        """Carry them out, roll it back, and list what changed. `alone`: row by row, because one of them fails."""
        assert self.step is not None
        savepoint = connection.begin_nested()
        done = _Carried(connection, self.correcting, is_by_row=alone)
        found = done.carry_out(part)
        savepoint.rollback()
        for name, items in found.items():
            self._record(name, items, FOUND)
        self._record(part[0].name, done.refused, ITEM_FAILED)
        for why, wrong in done.left.items():
            leave_alone(self.step, wrong, why)
        listed = sum(map(len, found.values())) + len(done.refused)
        unchanged = sum(not found[group.name] for group in part)
        self.step.tally.checked += unchanged
        self.step.tally.unchanged += unchanged
        self.step.more += listed + unchanged - len(part)

    def apply(self, connection: Connection, part: Sequence[Group], _alone: bool = False) -> None:
        """Apply exactly what was listed; a group that would change anything else is skipped."""
        savepoint = connection.begin_nested()
        found = _Carried(connection, self.correcting).carry_out(part)
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


@dataclass
class _Carried:
    """What carrying out groups in a transaction has changed, left and not been allowed to do."""

    connection: Connection
    correcting: Correcting | None
    is_by_row: bool = False
    """Whether each row is changed in a savepoint of its own, so that a refused one is found."""
    left: dict[str, list[Finding]] = field(default_factory=lambda: defaultdict(list))
    """Why → the wrong totals that nothing may correct."""
    refused: list[dict[str, Any]] = field(default_factory=list)

    def carry_out(self, part: Sequence[Group]) -> Items:
        """Give documents their meters and settle the totals above them; correct wrong totals where that is asked.

        Returns all changes by group.
        """
        changes: list[dict[str, Any]] = []
        with held(self.connection), written(self.connection) as rows:
            for documents in DOCUMENT_KINDS:
                ids = groups.to_place(self.connection, documents, part)
                place = partial(self._place, documents)
                for placed in self._allowed(documents.failed.name, ids, place):
                    changes += [placing.as_item(documents, row) for row in placed]
            if self.correcting is not None:
                for bundle in registry.bundles_of([invoice_amount, *RECALCULATED]):
                    rows.extend(self._correct(bundle, part))
        changes += totals_written(self.connection, rows)
        return self._by_group(part, changes)

    def _correct(self, bundle: Bundle, part: Sequence[Group]) -> Changes:
        """Correct the wrong totals of these groups from the facts; returns the written rows."""
        assert self.correcting is not None
        connection = self.connection
        wrong = suspected(connection, bundle, {"owners": _members(connection, bundle, part)})
        why = Doubts().untouched(connection, bundle, set(wrong))
        for owner, sentence in why.items():
            self.left[sentence] += findings(connection, registry, bundle, [owner])
        owners = [owner for owner in wrong if owner not in why]
        corrected = self._allowed(bundle.name, owners, partial(self._write, bundle))
        return [row for rows in corrected for row in rows]

    def _place(self, documents: DocumentKind, ids: Sequence[int]) -> Sequence[Row[Any]]:
        placed = placing.give_meters(self.connection, documents, ids)
        placing.settle(self.connection, {row.meter_id for row in placed})
        return placed

    def _write(self, bundle: Bundle, owners: Sequence[int]) -> Changes:
        pending = {bundle.name: Touched(owners=set(owners))}
        # What builds on them is looked at next: nothing else is written.
        every = registry.bundle_names
        drained = drain(self.connection, registry, pending, self.correcting, deferred=every)
        close_corrected(self.connection, drained.corrections)
        return drained.changed

    def _allowed(
        self, subject: str, ids: Sequence[int], do: Callable[[Sequence[int]], Result]
    ) -> list[Result]:
        """`do` it with all of these ids; or with each in a savepoint, and list those that PostgreSQL refuses."""
        if not self.is_by_row:
            return [do(ids)] if ids else []
        results = []
        for id_ in ids:
            try:
                with self.connection.begin_nested():
                    results.append(do([id_]))
            except DBAPIError as error:
                state = getattr(error.orig, "sqlstate", None)
                if error.connection_invalidated or state is None or state in PASSING:
                    raise
                why = str(error.orig).strip().splitlines()[0]
                self.refused.append({"subject": subject, "owner": id_, "error": why})
        return results

    def _by_group(self, part: Sequence[Group], changes: Sequence[Mapping[str, Any]]) -> Items:
        """The changes by the groups that they belong to now."""
        found: Items = {group.name: [] for group in part}
        asked = [
            {"place": place, "subject": item["subject"], "owner": item["owner"]}
            for place, item in enumerate(changes)
        ]
        given = func.jsonb_to_recordset(cast(literal(json.dumps(asked), Text), JSONB))
        item = given.table_valued(
            Column("place", Integer),
            Column("subject", Text),
            Column("owner", BigInteger),
            name="item",
        ).render_derived(with_types=True)
        names = self.connection.scalars(select(groups.of_item(item.c)).order_by(item.c.place))
        for change, name in zip(changes, names, strict=True):
            found.setdefault(name, []).append(dict(change))
        return found


def _members(connection: Connection, bundle: Bundle, part: Sequence[Group]) -> list[int]:
    """The owners of the bundle in these groups."""
    if bundle.owner_table is CUSTOMERS:
        return groups.ids_of(part, "c")
    meters = groups.meters_of(connection, part)
    if bundle.owner_table is METERS:
        return meters
    theirs = select(INVOICES.c.id).where(INVOICES.c.meter_id == any_of(meters))
    return sorted({*connection.scalars(theirs), *groups.ids_of(part, "i")})


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
