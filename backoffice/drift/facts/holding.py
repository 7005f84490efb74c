"""Which owners a heal must skip: those with a fact beneath them that differs from the audit trail.

Only the few owners that a heal would write are checked. Their own facts are compared with the trail, those of what
they build on, and so on down. A row that was moved to another owner without the trail is beneath
both owners: the one in the row, and the one in the trail.

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
    or_,
    select,
    union,
)

from ...app.domain import declared
from ...audit.chain.records import EVENTS
from ...audit.facts import CHANGED, Facts, Forgery, facts_by_table, in_utc
from ...base import N_, table_of
from ...figures.computing.dependencies import lower_bundles, owners_above, owners_beneath
from ...figures.computing.registry import Bundle, Known, Registry, registry
from ...figures.computing.statements import Statement, drifted
from ...figures.declaring.declaration import Source
from ...figures.keeping.recomputing import wrong_in_locked
from ...figures.models import Correction

CORRECTIONS = table_of(Correction)

NOBODY: Final[Known] = {}

_OWNERS: Final[Any] = bindparam("owners", type_=ARRAY(BigInteger))

LONGEST_ID: Final = 18
"""Digits of a row's id in an event, above which it is no row's."""

Held = Mapping[int, Sequence[Forgery]]
"""Owner → the facts beneath it that differ from the trail."""

HELD = N_(
    "Facts beneath it differ from the audit trail, so decide about those first: under Drift, or with "
    "backoffice audit verify-facts"
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


def doubted(
    connection: Connection, bundle: Bundle, owners: Collection[int], evident: Known = NOBODY
) -> dict[int, str]:
    """The owners, of these, that no heal may correct, each with the sentence that explains why."""
    names = {figure.name for figure in bundle.figures}
    held_by = [hold for hold in declared().holds if hold.figure in names] if owners else []
    found = {owner: hold.why for hold in held_by for owner in hold.of(connection, owners)}
    return found | dict.fromkeys(held(connection, bundle, owners, evident=evident), HELD)


def untouched(connection: Connection, bundle: Bundle, owners: Collection[int]) -> dict[int, str]:
    """As `doubted`, before anything is written, plus the owners with a wrong row of locked days."""
    wrong = set[int]()
    for figure in bundle.figures if owners else ():
        if figure.locked is not None:
            asked = wrong_in_locked(registry, figure)
            wrong.update(asked.run(connection, owners=sorted(owners)).scalars())
    return dict.fromkeys(wrong, LOCKED) | doubted(connection, bundle, owners)


def leave_alone(
    connection: Connection, bundle: Bundle, corrections: Sequence[int], evident: Known
) -> tuple[set[int], set[int]]:
    """The owners that these corrections have derived from doubtful facts, and the others; see `Registry.held`."""
    if not corrections:
        return set(), set()
    own = CORRECTIONS.c
    mine = own.id == any_(literal(list(corrections), ARRAY(BigInteger)))
    is_decided = or_(own.cause != "heal", own.reason != "")
    reported = select(own.owner, func.bool_and(is_decided)).where(mine).group_by(own.owner)
    decided = {row.owner: bool(row[1]) for row in connection.execute(reported)}
    undecided = {owner for owner, is_one in decided.items() if not is_one}
    doubtful = set(doubted(connection, bundle, set(decided), evident))
    doubtful |= _broken(connection, bundle, undecided)
    return doubtful, set(decided) - doubtful


def why_left(connection: Connection, bundle: Bundle, owners: Collection[int]) -> Mapping[int, str]:
    """Skipped owner → the sentence that explains why."""
    why = untouched(connection, bundle, owners)
    return {owner: why.get(owner, BROKEN) for owner in owners}


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
    evident: Known = NOBODY,
) -> Held:
    """The owners, of these of a bundle, with a differing fact that their figures are derived from.

    `evident` has the owners, by bundle, whose facts need not be compared again.
    """
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
        beneath -= evident.get(lower.name, set())
        for below, forgeries in held(connection, lower, beneath, figures, evident).items():
            above = owners_above(connection, figures, bundle, lower, [below])
            for owner in above.intersection(owners):
                found[owner].update({(f.table, f.id): f for f in forgeries})
    return {owner: list(forgeries.values()) for owner, forgeries in found.items()}


def _direct(
    connection: Connection, facts: Facts, source: Source, owners: Collection[int]
) -> Iterator[tuple[int, Forgery]]:
    """The rows of one source that differ in columns that the figures read, each with the owner it is beneath."""
    led = _led(connection, facts, source, owners)
    read = {column.key for column in _read(facts, source)}
    for forgery in facts.forged_among(connection, led):
        if forgery.kind == CHANGED and not forgery.columns & read:
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


def owners_of(
    connection: Connection, forgery: Forgery, figures: Registry = registry
) -> Mapping[str, set[int]]:
    """Bundle → the owners with figures that read the row, by its present values or by those of the trail."""
    found: dict[str, set[int]] = defaultdict(set)
    for bundle in figures.bundles:
        for source in bundle.sources:
            if source.table.name != forgery.table:
                continue
            if source.through is None:
                found[bundle.name] |= _sides(forgery, source)
            else:
                led = select(source.owner).where(source.through == forgery.id)
                found[bundle.name] |= set(connection.scalars(led))
    return {name: owners - {None} for name, owners in found.items()}


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


def _read(facts: Facts, source: Source) -> list[Column[Any]]:
    """The facts that the figures read in a row of the source, and by which it refers to its owner."""
    refers = {source.owner.key} if source.through is None else set()
    return [c for c in facts.columns if c.key in source.columns | refers]
