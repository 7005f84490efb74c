"""Which owners a correction must skip: those with a fact beneath them that differs from the audit trail.

A run over many owners compares the tables that its figures read once, at its start (see `comparing`): the owners above
what differs are skipped. For a few owners their own facts are compared with the trail, those of what they build on, and
so on down. A row that was moved to another owner without the trail is beneath both owners: the one in the row, and the
one in the trail.

Rows that were written right under their owner's lock (a running balance, added at once) are evidence as well: where
they no longer follow from each other, only a person may correct the owner, with a reason.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Connection,
    Select,
    Text,
    and_,
    any_,
    bindparam,
    cast,
    func,
    literal,
    select,
    union,
)

from ...app.domain import declared
from ...audit.chain.records import EVENTS
from ...audit.facts import CHANGED, Facts, Forgery, facts_by_table, in_utc
from ...audit.marks import LONGEST_ID
from ...base import N_
from ...figures.computing.dependencies import lower_bundles, owners_above, owners_beneath
from ...figures.computing.registry import Bundle, Registry, registry
from ...figures.computing.relations import OWNERS
from ...figures.computing.statements import Statement, drifted, suspects
from ...figures.declaring.declaration import Source
from ...figures.keeping.drain import Correcting
from ...figures.keeping.recomputing import wrong_in_locked

_OWNERS: Final[Any] = bindparam("owners", type_=ARRAY(BigInteger))

Held = Mapping[int, Sequence[Forgery]]
"""Owner → the facts beneath it that differ from the trail."""

HELD = N_(
    "An input differs from the audit trail, so this total stays as it is. Decide about that input first: on the Drift "
    "page, or with backoffice audit verify-facts"
)
"""Why an owner with a fact that differs from the trail is skipped."""


BROKEN = N_(
    "Its rows do not follow from each other any more, though each was right when it was written. Look at what was "
    "written past the app; whoever knows that heals it with a reason"
)
"""Why an owner is skipped although every fact agrees with the trail."""

LOCKED = N_(
    "It is wrong in a closed month, which nothing rewrites: accept the adjustment that is proposed, or reopen the month"
)
"""Why an owner with a wrong row of locked days is skipped."""


@dataclass(frozen=True)
class Hold:
    """A domain's restriction on a figure: `of` returns which of these owners no heal may correct, and `why`."""

    figure: str
    why: str
    of: Callable[[Connection, Collection[int]], set[int]]


@dataclass(frozen=True)
class Doubts:
    """Which owners may not be corrected now, and why: asked under their locks, before anything is written.

    `beneath`: by bundle, the owners that build on a fact that differed when the run began. None, for a few owners: no
    table was compared, so the facts beneath those with a wrong figure are compared now.
    """

    beneath: Mapping[str, Collection[int]] | None = None

    def __call__(
        self,
        connection: Connection,
        bundle: Bundle,
        owners: Collection[int],
        correcting: Correcting,
    ) -> dict[int, str]:
        """The owners, of these, that a correction skips, each with the sentence that explains why."""
        is_decided = correcting["cause"] != "heal" or bool(correcting["reason"])
        broken = set() if is_decided else _broken(connection, bundle, owners)
        return dict.fromkeys(broken, BROKEN) | self._others(connection, bundle, owners)

    def untouched(
        self, connection: Connection, bundle: Bundle, owners: Collection[int]
    ) -> dict[int, str]:
        """The same before a dry run, plus the owners with a wrong row of locked days."""
        wrong = set[int]()
        for figure in bundle.figures if owners else ():
            if figure.locked is not None:
                asked = wrong_in_locked(registry, figure)
                wrong.update(asked.run(connection, owners=sorted(owners)).scalars())
        return dict.fromkeys(wrong, LOCKED) | self._others(connection, bundle, owners)

    def _others(
        self, connection: Connection, bundle: Bundle, owners: Collection[int]
    ) -> dict[int, str]:
        names = {figure.name for figure in bundle.figures}
        held_by = [hold for hold in declared().holds if hold.figure in names] if owners else []
        found = {owner: hold.why for hold in held_by for owner in hold.of(connection, owners)}
        if self.beneath is None:
            asked = suspects(registry, bundle, OWNERS).run(connection, owners=sorted(owners))
            return found | dict.fromkeys(held(connection, bundle, asked.scalars().all()), HELD)
        bundles = registry.bundles_of(bundle.figures) if self.beneath else ()
        doubted = {owner for each in bundles for owner in self.beneath.get(each.name, ())}
        return found | dict.fromkeys(doubted.intersection(owners), HELD)


def building_on(connection: Connection, forged: Sequence[Forgery]) -> dict[str, set[int]]:
    """By bundle, the owners with figures that are derived from these rows, directly or through other figures."""
    found: dict[str, set[int]] = {}
    for bundle in registry.bundles if forged else ():
        owners = {
            owner
            for source in bundle.sources
            for mine in _led_by(connection, source, [f for f in forged if _is_read(f, source)])
            for owner in mine
        }
        for lower in lower_bundles(registry, bundle):
            if lower.name in found:
                owners |= owners_above(connection, registry, bundle, lower, found[lower.name])
        if owners - {None}:
            found[bundle.name] = owners - {None}
    return found


def _is_read(forgery: Forgery, source: Source) -> bool:
    """Whether the figures read what differs in the row; of one that was added or removed they read all."""
    facts = facts_by_table().get(source.table.name)
    if facts is None or forgery.table != source.table.name:
        return False
    read = {column.key for column in _read(facts, source)}
    return forgery.kind != CHANGED or bool(forgery.columns & read)


def _led_by(
    connection: Connection, source: Source, forged: Sequence[Forgery]
) -> Iterator[Collection[Any]]:
    """The owners that these rows of a source lead to, by their present values and by those of the trail."""
    if source.through is None:
        yield from (_sides(forgery, source) for forgery in forged)
    elif forged:
        ids = literal([forgery.id for forgery in forged], ARRAY(BigInteger))
        yield connection.scalars(select(source.owner).where(source.through == any_(ids))).all()


def _broken(connection: Connection, bundle: Bundle, owners: Collection[int]) -> set[int]:
    """The owners, of these that a heal would correct, with rows that do not follow from each other."""
    if not owners:
        return set()
    if _is_evidence(bundle):
        return set(owners)
    found = set[int]()
    for other in registry.bundles:
        if _is_evidence(other) and other.owner_table is bundle.owner_table:
            wrong = drifted(registry, other.figures[0]).run(connection, owners=sorted(owners))
            found.update(row["owner"] for row in wrong.mappings())
    return found


def _is_evidence(bundle: Bundle) -> bool:
    """Whether its rows run, and are written with their right values under the owner's lock."""
    figure = bundle.figures[0]
    return figure.along is not None and figure.at_once


def held(
    connection: Connection,
    bundle: Bundle,
    owners: Collection[int],
    figures: Registry = registry,
) -> Held:
    """The owners, of these of a bundle, with a differing fact that their figures are derived from."""
    found: dict[int, dict[tuple[str, int], Forgery]] = defaultdict(dict)
    if not owners:
        return {}
    for source in bundle.sources:
        facts = facts_by_table().get(source.table.name)
        if facts is not None:
            for owner, forgery in _direct(connection, facts, source, owners):
                found[owner][forgery.table, forgery.id] = forgery
    for lower in lower_bundles(figures, bundle):
        beneath = owners_beneath(connection, figures, bundle, lower, owners)
        for below, forgeries in held(connection, lower, beneath, figures).items():
            above = owners_above(connection, figures, bundle, lower, [below])
            for owner in above.intersection(owners):
                found[owner].update({(f.table, f.id): f for f in forgeries})
    return {owner: list(forgeries.values()) for owner, forgeries in found.items()}


def _direct(
    connection: Connection, facts: Facts, source: Source, owners: Collection[int]
) -> Iterator[tuple[int, Forgery]]:
    """The rows of one source that differ in columns that the figures read, each with the owner it is beneath."""
    led = _led(connection, facts, source, owners)
    for forgery in facts.forged_among(connection, led):
        if not _is_read(forgery, source):
            continue
        mine = led[forgery.id] & set(owners)
        if source.through is None:
            mine &= _sides(forgery, source)
        for owner in mine:
            yield owner, forgery


def _sides(forgery: Forgery, source: Source) -> set[int]:
    """The owner in the row, and the owner in the trail."""
    name = source.owner.key
    return {side[name] for side in (forgery.whole, forgery.trail) if side.get(name) is not None}


def _led(
    connection: Connection, facts: Facts, source: Source, owners: Collection[int]
) -> Mapping[int, set[int]]:
    """The source's rows to be compared that refer to these owners, now or once by the trail, each with the owners."""
    led: dict[int, set[int]] = defaultdict(set)
    given = sorted(set(owners))
    with in_utc(connection):
        asked = _suspects(facts, source)
        rows = asked.rows(connection, owners=given, names=[str(owner) for owner in given])
    for row, owner in rows:
        if row.isdigit() and len(row) <= LONGEST_ID:
            led[int(row)].add(int(owner))
    return led


@cache
def _suspects(facts: Facts, source: Source) -> Statement:
    """Rows beneath `owners` (as texts: `names`) that are not at once seen to agree with the trail, with their owner.

    And rows that by an event once came to one of them, and are not there now; events are found through an index.
    """
    standing, stored = _standing(facts, source).cte("standing"), facts.table.alias("stored")
    told, key = facts.comparison.told(standing), stored.c[facts.key.key]
    differs = facts.comparison.may_differ(stored, told, _read(facts, source))
    if source.owner is facts.key or source.through is not None:
        is_own = [key == any_(_OWNERS)] if source.owner is facts.key else []  # else all are read
        rows = standing.outerjoin(stored, and_(key == standing.c.id, *is_own))
        rows = rows.outerjoin(told, told.c.row_id == cast(standing.c.id, Text))
        found = select(cast(standing.c.id, Text), cast(standing.c.owner, Text)).select_from(rows)
        return Statement(found.where(differs))
    owner, name = stored.c[source.owner.key], EVENTS.c.after[source.owner.key].astext
    rows = stored.outerjoin(told, told.c.row_id == cast(key, Text))
    found = select(cast(key, Text), cast(owner, Text)).select_from(rows)
    is_there = select(1).where(
        cast(standing.c.id, Text) == EVENTS.c.row_id, cast(standing.c.owner, Text) == name
    )
    mine = name == any_(bindparam("names", type_=ARRAY(Text)))
    once = select(EVENTS.c.row_id, name).where(
        EVENTS.c.table_name == facts.name, mine, EVENTS.c.row_id.is_not(None), ~is_there.exists()
    )
    return Statement(union(found.where(owner == any_(_OWNERS), differs), once))


def _standing(facts: Facts, source: Source) -> Select[Any]:
    """The ids of the rows that refer to `owners` now, or through another table's rows that do, with the owner."""
    if source.owner is facts.key:
        owner = func.unnest(_OWNERS).column_valued("owner")
        return select(owner.label("id"), owner.label("owner"))
    row = facts.key if source.through is None else source.through
    found = select(row.label("id"), source.owner.label("owner")).where(
        source.owner == any_(_OWNERS)
    )
    return found if source.through is None else found.where(row.is_not(None)).distinct()


@cache
def read_columns(facts: Facts) -> frozenset[str]:
    """The facts of the table that any figure reads."""
    sources = [source for bundle in registry.bundles for source in bundle.sources]
    mine = [source for source in sources if source.table is facts.table]
    return frozenset(column.key for source in mine for column in _read(facts, source))


def _read(facts: Facts, source: Source) -> list[Column[Any]]:
    """The facts that the figures read in a row of the source, and by which it refers to its owner."""
    refers = {source.owner.key} if source.through is None else set()
    return [c for c in facts.columns if c.key in source.columns | refers]
