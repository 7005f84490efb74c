"""One chunk of a heal: wrong owners are corrected in short transactions under the run's fence."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Text,
    any_,
    bindparam,
    case,
    cast,
    distinct,
    func,
    insert,
    literal,
    null,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB, array

from ...figures import Failure, Figure, Finding, registry
from ...figures.computing.registry import Bundle, Registry
from ...figures.computing.statements import Statement
from ...figures.keeping.drain import Drained, correction_of
from ...figures.verifying.findings import findings
from ...figures.verifying.healing import Healer
from ...runs.models import APPLIED, ITEM_FAILED, SKIPPED
from ...runs.work import Step, Work
from ..amounts import gross_in_sql, leading_in_sql
from ..facts import comparing
from ..facts.holding import LOCKED
from ..findings import (
    CORRECTIONS,
    ITEMS,
    close_corrected,
    key_of,
    record,
    record_held,
)
from ..verification.chunks import (
    ORPHANED,
    close_right,
    leave_alone,
    orphaned,
    suspected,
)
from ..verification.scope import bundle_named, later, parts
from . import above


class RunHealer:
    """A healer with a run's transactions: corrections are counted and recorded in the same transaction."""

    def __init__(
        self,
        work: Work,
        bundle: Bundle,
        cause: str,
        deferred: frozenset[str] = frozenset(),
        beneath: Sequence[Bundle] = (),
        *,
        reported: Sequence[Bundle] = (),
        is_led: bool = False,
    ) -> None:
        self.work = work
        self.bundle = bundle
        self.is_led = is_led
        """Whether these owners were not requested, but build on what was corrected."""
        self.bundles = [*beneath, bundle]
        self.counted = [one for one in self.bundles if one in (reported or self.bundles)]
        """Bundles of the chunk's owners; an owner is counted once in each."""
        self.named = [figure.name for one in reported or registry.bundles for figure in one.figures]
        """Figures with corrections that become items; for a recalculation only its own figures."""
        self.correcting = correction_of(cause, work.asked.reason, run_id=work.asked.id)
        self.healer = Healer(
            registry,
            self._begin,
            self._failed,
            within=self._within,
            deferred=deferred,
            strides=work.learned,
            failed_above=self._failed_above,
            doubtful=comparing.doubts(work),
        )
        self.step: Step | None = None
        self.failed: set[int] = set()
        """Owners that could not be corrected."""
        self.applied: set[int] = set()
        """Owners that are already corrected, together with what they build on."""

    def heal(self, owners: Sequence[int]) -> None:
        """Correct these owners, with what each builds on in the bundles beneath, and what builds on them."""
        self.healer.heal(self.bundles, owners, self.correcting, self._corrected_before())

    def heal_led(self, owners: Sequence[int]) -> None:
        """Correct these owners, which build on what the run has corrected, and what builds on them."""
        self.healer.heal_above({self.bundle: set(owners)}, self.correcting)

    def _corrected_before(self) -> Sequence[int]:
        """The chunk's owners corrected by an earlier attempt, which may not have reached what builds on them."""
        payload = self.work.payload
        if self.work.claim.fence == 1:
            return ()
        own = CORRECTIONS.c
        mine = (
            own.owner == any_(literal(payload["owners"], ARRAY(BigInteger)))
            if "owners" in payload
            else own.owner.between(payload["low"], payload["high"])
        )
        names = [figure.name for one in self.counted for figure in one.figures]
        before = select(own.owner).where(
            own.run_id == self.work.asked.id, own.figure.in_(names), mine
        )
        with self.work.snapshot() as connection:
            return list(connection.scalars(before.distinct()))

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        with self.work.transaction() as step:
            self.step = step
            yield step.connection

    def skipped(self, connection: Connection, owners: Sequence[int]) -> set[int]:
        """The owners, of these, that the run has skipped: a chunk may be started twice."""
        return self.reported_of(connection, self.bundle, owners, SKIPPED)

    def reported_of(
        self, connection: Connection, bundle: Bundle, owners: Sequence[int], outcome: str
    ) -> set[int]:
        """The owners, of these of a bundle, for which the run already has an item with this outcome."""
        names = [bundle.name, *(figure.name for figure in bundle.figures)]
        reported = select(ITEMS.c.owner).where(
            ITEMS.c.run_id == self.work.asked.id,
            ITEMS.c.outcome == outcome,
            ITEMS.c.subject.in_(names),
            ITEMS.c.owner == any_(literal(list(owners), ARRAY(BigInteger))),
        )
        return set(connection.scalars(reported))

    def _within(self, connection: Connection, things: Sequence[Any], drained: Drained) -> None:
        assert self.step is not None
        owners = len(things) * len(self.counted)
        _items_of_corrections(connection, registry, self.work.asked.id, drained, self.named)
        corrections = drained.corrections
        close_corrected(connection, corrections)
        corrected = (
            sum(_corrected_owners(connection, one, drained) for one in self.counted)
            if things
            else 0
        )
        further = len(corrections) - corrected  # rows of the same owners, and of owners above
        self.step.more += further
        self.step.tally.checked += owners + further
        self._leave_held(connection, drained)
        known = corrected + self.step.tally.skipped + len(self.applied)
        self.step.tally.unchanged += max(owners - known, 0)
        self.step.tally.changed += len(corrections)

    def _leave_held(self, connection: Connection, drained: Drained) -> None:
        """Record owners that were skipped, with the reason, each once per run."""
        assert self.step is not None
        for bundle, left in record_held(connection, drained, self.work.asked.id):
            reported = self.reported_of(connection, bundle, [f.owner for f in left], SKIPPED)
            new = [finding for finding in left if finding.owner not in reported]
            held = drained.held[bundle.name]
            why = {finding.owner: held[finding.owner] or LOCKED for finding in new}
            for sentence in sorted(set(why.values())):
                leave_alone(self.step, [f for f in new if why[f.owner] == sentence], sentence)
            if (
                bundle in self.counted and not self.is_led
            ):  # the size of the chunk already counts its owners
                owners = len({finding.owner for finding in new})
                self.step.more -= owners
                self.step.tally.checked -= owners

    def bring_in_step(self, connection: Connection) -> None:
        """Record the drift of the chunk's owners that could not be corrected, and close findings that are resolved."""
        for bundle in self.bundles:
            left = findings(connection, registry, bundle, sorted(self.failed))
            record(connection, left, set(), self.work.asked.id)
            close_right(connection, bundle, self.work.payload)

    def _failed(self, failure: Failure) -> None:
        self.failed |= set() if failure.owner is None else {failure.owner}
        with self.work.transaction() as step:
            asked = [] if failure.owner is None else [failure.owner]
            if self.reported_of(step.connection, self.bundle, asked, ITEM_FAILED):
                return
            step.item(failure.bundle, ITEM_FAILED, owner=failure.owner, error=failure.error)
            step.tally.checked += len(self.counted)
            step.tally.failed += 1

    def _failed_above(self, failure: Failure) -> None:
        """Record that an owner that builds on a correction is still wrong, unless its own chunk is still to come."""
        bundle, owner = bundle_named(registry, failure.bundle), failure.owner
        covered = parts(registry, self.work.asked.scope, beneath=True)
        mine = next((part.owners for part in covered if part.bundle is bundle), ())
        if owner is None or mine is None or owner in mine:
            return
        with self.work.transaction() as step:
            left = findings(step.connection, registry, bundle, [owner])
            record(step.connection, left, set(), self.work.asked.id)
            if not self.reported_of(step.connection, bundle, [owner], ITEM_FAILED):
                step.item(failure.bundle, ITEM_FAILED, owner=owner, error=failure.error)
                step.tally.checked += 1
                step.tally.failed += 1
                step.more += 1


def deferred(work: Work, bundle: Bundle) -> frozenset[str]:
    """The bundles above this one that the same run handles later: over all their owners, or over those affected."""
    covered = parts(registry, work.asked.scope, beneath=True)
    is_covered = any(part.bundle is bundle for part in covered)
    whole = later(covered, bundle) if is_covered else frozenset()
    return whole | above.collected(work.asked, bundle)


def heal(work: Work, *, every_owner: bool = False) -> None:
    """Correct the wrong owners in the chunk; with `every_owner` all of them are recomputed."""
    if "led" in work.payload:
        _heal_led(work)
        return
    bundle = bundle_named(registry, work.payload["bundle"])
    fixing = bool(work.asked.scope.get("fix"))
    deferred_bundles = frozenset() if fixing else deferred(work, bundle)
    healer = RunHealer(work, bundle, "heal", deferred_bundles)
    owners, gone = _chosen(work, bundle, every_owner)
    healer.heal(owners)
    with work.transaction() as step:
        if gone:
            leave_alone(step, _unreported(work, step, gone), ORPHANED)
            record(step.connection, gone, set(), work.asked.id)
        healer.bring_in_step(step.connection)


def _heal_led(work: Work) -> None:
    """Find the owners that build on what was corrected, or correct them."""
    if "owners" not in work.payload:
        above.lead_heal(work)
        return
    bundle = bundle_named(registry, work.payload["led"])
    healer = RunHealer(work, bundle, "heal", deferred(work, bundle), is_led=True)
    healer.heal_led(work.payload["owners"])


def heal_with_beneath(work: Work, bundles: Sequence[Bundle], owners: Sequence[int]) -> None:
    """Recompute these owners of the last bundle and, in the same transactions, what they build on in the others.

    Where an owner cannot be corrected (a failed item), nothing beneath it is corrected either.
    """
    *beneath, bundle = bundles
    RunHealer(work, bundle, "heal", beneath=beneath, reported=(bundle,) if beneath else ()).heal(
        owners
    )


def _unreported(work: Work, step: Step, gone: Sequence[Finding]) -> list[Finding]:
    """The rows without an item: a chunk may be started twice, and one item each is enough."""
    reported = select(ITEMS.c.subject, ITEMS.c.key).where(
        ITEMS.c.run_id == work.asked.id, ITEMS.c.outcome == SKIPPED
    )
    known = [tuple(row) for row in step.connection.execute(reported)]
    return [f for f in gone if (f.figure.name, key_of(f)) not in known]


def _chosen(work: Work, bundle: Bundle, every_owner: bool) -> tuple[list[int], Sequence[Finding]]:
    """The chunk's owners to recompute, and the rows with a missing owner."""
    payload: Any = work.payload
    with work.snapshot() as connection:
        gone = orphaned(connection, bundle, payload)
        if not every_owner:
            return suspected(connection, bundle, payload), gone
        if "owners" in payload:
            return sorted(payload["owners"]), gone
        key = bundle.owner_key
        everyone = bundle.owner_table.select().with_only_columns(key)
        between = key.between(payload["low"], payload["high"])
        return sorted(connection.scalars(everyone.where(between))), gone


def _corrected_owners(connection: Connection, bundle: Bundle, drained: Drained) -> int:
    """How many of the bundle's owners a drain has corrected."""
    if not drained.corrected:
        return 0
    written = {table for table, _ in drained.changed if table in bundle.targets}
    if written == {bundle.owner_table} and not any(f.derived_rows for f in bundle.figures):
        return len({key for table, key in drained.changed if table is bundle.owner_table})
    corrections = _of(drained, [figure.name for figure in bundle.figures])
    mine = CORRECTIONS.c.id == any_(literal(corrections, ARRAY(BigInteger)))
    return connection.scalar(select(func.count(distinct(CORRECTIONS.c.owner))).where(mine)) or 0


def _items_of_corrections(
    connection: Connection,
    registry: Registry,
    run_id: int,
    drained: Drained,
    figures: Sequence[str],
) -> None:
    """Insert an applied item for each of a drain's corrections of these figures."""
    names = tuple(sorted(drained.corrected.keys() & set(figures)))
    if names:
        ids = _of(drained, names)
        _as_items(registry, names).run(connection, run_id=run_id, ids=ids)


def _of(drained: Drained, figures: Iterable[str]) -> list[int]:
    """The ids of a drain's corrections of these figures."""
    return [id_ for figure in figures for id_ in drained.corrected.get(figure, ())]


@cache
def _as_items(registry: Registry, names: tuple[str, ...]) -> Statement:
    """Inserts items for the corrections (`ids`) of these figures alone, in a run (`run_id`)."""
    figures = [registry.get(name) for name in names]
    own = CORRECTIONS.c
    apart = (
        select(
            own.id, own.figure, own.owner, own.key,
            _apart(figures, own.figure, own.before, own.after).label("before"),
            _apart(figures, own.figure, own.after, own.before).label("after"),
        )
        .where(own.id == any_(bindparam("ids", type_=ARRAY(BigInteger))))
        .subquery()
    )  # fmt: skip
    of = apart.c
    before, after = (
        leading_in_sql(figures, of.figure, *sides)
        for sides in ((of.before, of.after), (of.after, of.before))
    )
    columns = {
        "run_id": bindparam("run_id", type_=BigInteger),
        "subject": of.figure,
        "owner": of.owner,
        "key": of.key,
        "outcome": literal(APPLIED, Text),
        "before": of.before,
        "after": of.after,
        "amount_before": before,
        "amount_after": after,
        "amount": after - before,
        "gross": gross_in_sql(figures, of.figure, of.before, of.after),
    }
    picked = select(*columns.values()).order_by(of.id)
    return Statement(insert(ITEMS).from_select(list(columns), picked, include_defaults=False))


def _apart(
    figures: Iterable[Figure],
    name: ColumnElement[str],
    mine: ColumnElement[Any],
    other: ColumnElement[Any],
) -> ColumnElement[Any]:
    """The columns of one side that differ from the other, as in a finding; all of them where there is no other side.

    A figure with a single column needs no filter, because a correction exists only where it differed.
    """

    def same(column: str) -> ColumnElement[Any]:
        is_same = cast(mine, JSONB)[column].is_not_distinct_from(cast(other, JSONB)[column])
        return case((is_same, literal(column, Text)), else_=null())

    def but_for(columns: Iterable[str]) -> ColumnElement[Any]:
        equal = func.array_remove(array([same(column) for column in columns]), cast(null(), Text))
        return cast(mine, JSONB).op("-", return_type=JSONB())(cast(equal, ARRAY(Text)))

    several = [(f.name, [c.key for c in f.columns]) for f in figures if len(f.columns) > 1]
    cases = [(name == figure, but_for(columns)) for figure, columns in several]
    return case(*cases, else_=mine) if cases else mine
